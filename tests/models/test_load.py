import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file

from glyphsight.errors import ModelError
from glyphsight.extras import need
from glyphsight.models import RunRecord, load_model
from glyphsight.models.nano import make_nano
from glyphsight.models.runs import SHIPPED_RUNS, Task, resolve


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A transformers directory."""
    path = tmp_path_factory.mktemp("models") / "whole"
    for part in make_nano(0):
        part.save_pretrained(path)
    return path


@pytest.fixture
def adapter(whole, tmp_path):
    """A run that is an adapter on a copy of that directory, ``base`` beside it."""
    from peft import LoraConfig, get_peft_model

    from glyphsight.models.load import without_peft_warning

    base = shutil.copytree(whole, tmp_path / "base")
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    with without_peft_warning():
        get_peft_model(load_model(base).model, config).save_pretrained(tmp_path / "run")
    RunRecord(
        base=str(base),
        seed=0,
        tasks=(
            Task(
                "",
                (
                    "1",
                    "2",
                ),
            ),
        ),
    ).save(tmp_path / "run")
    return tmp_path / "run"


def complaint(name):
    with pytest.raises(ModelError) as caught:
        load_model(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_name_that_is_no_model_is_said_in_one_line_with_the_reason(tmp_path):
    said = complaint(str(tmp_path / "nothing"))
    assert said.startswith(f"{tmp_path}/nothing: cannot be loaded as a causal language model (no ")
    assert "(no such directory here; " in said
    assert "; )" not in said


class _Hub(BaseHTTPRequestHandler):
    """A hub that knows no model."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(f"{self.command} {self.path}")
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_a_name_the_hub_does_not_know_is_asked_for_once(tmp_path):
    with HTTPServer(("127.0.0.1", 0), _Hub) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        code = "from glyphsight.models import load_model; load_model('some/none')"
        hub_here = {
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
            "HF_HOME": str(tmp_path),
            "HF_HUB_OFFLINE": "0",
        }
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | hub_here
        )
        hub.shutdown()
    assert done.stderr.strip().endswith("or a hub id")
    assert "(no such directory here; the hub has none of this name that may be read)" in done.stderr
    assert [one for one in _Hub.asked if "some/none" in one] == ["GET /api/models/some/none"]


@pytest.mark.parametrize(("name", "meant"), [("nanno", "nano"), ("smollm-135m", "smollm2-135m")])
def test_a_slip_in_a_name_of_ours_does_not_go_to_the_hub(name, meant):
    assert complaint(name) == f"{name}: no such directory here; give {meant}, if that is meant"


def test_a_directory_that_holds_no_model_is_not_called_missing(tmp_path):
    said = complaint(str(tmp_path))
    assert said.startswith(f"{tmp_path}: cannot be loaded")
    assert "no such directory" not in said


@pytest.mark.slow
def test_a_directory_called_like_a_reserved_name_does_not_shadow_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunRecord(base="elsewhere", seed=0, tasks=(Task("", ("1",)),)).save(Path("nano"))
    assert load_model("nano").run is None
    for directory in ("./nano", Path("nano"), str(tmp_path / "nano")):
        assert complaint(directory).endswith(
            "has not finished; resume it: give the command that began it with --resume"
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nano", "smollm2-135m"])
def test_a_finished_run_called_like_a_reserved_name_is_loaded_itself(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SHIPPED_RUNS["nano-digits"], name)
    taught = load_model("nano-digits").model.get_input_embeddings().weight
    for directory in (f"./{name}", Path(name)):
        loaded = load_model(directory)
        assert loaded.run is not None
        assert loaded.model.get_input_embeddings().weight.equal(taught)


@pytest.mark.parametrize("name", ["nano", "smollm2-135m"])
def test_a_reserved_name_is_never_a_run_directory(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    RunRecord(base="elsewhere", seed=0, tasks=(Task("", ("1",)),)).save(Path(name))
    assert resolve(name).directory is None
    assert resolve(f"./{name}").user_run == resolve(Path(name)).user_run == Path(name)
    assert resolve(".").user_run is None


def test_a_name_means_the_run_that_ships_or_a_directory_or_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunRecord(base="elsewhere", seed=0, tasks=(Task("", ("1",)),)).save(Path("mine"))
    for shipped in SHIPPED_RUNS:
        found = resolve(shipped)
        assert found.run is not None
        assert (found.directory, found.user_run) == (SHIPPED_RUNS[shipped], None)
        assert found.lasting_name == shipped
    for base in ("nano", "smollm2-135m"):
        assert resolve(base).run is resolve(base).directory is None
        assert not resolve(base).from_hub
    assert resolve("mine").user_run == Path("mine")
    assert resolve("mine").lasting_name == str(tmp_path / "mine")
    assert resolve("someone/model").from_hub


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("model.safetensors", "header"),
        ("config.json", "config.json"),
        ("tokenizer.json", ""),
    ],
)
def test_a_truncated_file_is_one_line_that_names_the_directory(whole, tmp_path, file, reason):
    path = shutil.copytree(whole, tmp_path / "cut")
    cut(path / file)
    said = complaint(str(path))
    assert said.startswith(f"{path}: cannot be loaded as a causal language model (")
    assert reason in said
    assert "no such directory" not in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [("num_hidden_layers", 5, "weights are not in the file"), ("intermediate_size", 96, "")],
)
def test_weights_that_do_not_fit_their_config_are_refused(whole, tmp_path, name, value, reason):
    path = shutil.copytree(whole, tmp_path / "other")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {name: value}))
    said = complaint(str(path))
    assert said.startswith(f"{path}: cannot be loaded")
    assert reason in said


@pytest.mark.slow
def test_an_adapter_loads_without_a_warning_its_user_can_do_nothing_about(adapter):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_model(adapter).run.labels == ["1", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_damaged_adapter_is_one_line_that_names_run_and_base(adapter, file):
    cut(adapter / file)
    said = complaint(adapter)
    assert said.startswith(f"{adapter}: its adapter does not load on {adapter.parent / 'base'} (")


@pytest.mark.slow
def test_an_adapter_whose_base_is_gone_says_which(adapter):
    base = adapter.parent / "base"
    shutil.rmtree(base)
    said = complaint(adapter)
    assert said.startswith(f"{adapter}: its adapter needs its base model {base}: cannot be loaded")
    assert "no such directory here" in said


@pytest.mark.slow
def test_an_adapter_is_saved_without_asking_a_hub_for_its_base(adapter, tmp_path, monkeypatch):
    from peft.utils import save_and_load

    asked = []
    monkeypatch.setattr(save_and_load, "check_file_exists_on_hf_hub", lambda *_: asked.append(1))
    for loaded in (load_model(adapter), load_model(adapter, training=True)):
        loaded.model.peft_config["default"].base_model_name_or_path = "someone/elsewhere"
        loaded.model.save_pretrained(tmp_path / "copy")
    assert not asked
    assert load_file(tmp_path / "copy" / "adapter_model.safetensors").keys() == (
        load_file(adapter / "adapter_model.safetensors").keys()
    )


@pytest.mark.parametrize("verb", ["see", "evaluate"])
def test_without_torch_the_verbs_say_what_to_install(golden, tmp_path, verb):
    """Trained runs of a Llama answer without torch; they are explained and measured with it."""
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    explained = [str(golden / "five.png"), "--explain", "why.png"]
    arguments = ["glyphsight", verb, *(explained if verb == "see" else ["--data", "bundled"])]
    code = (
        "import sys; sys.modules['torch'] = None\n"  # how Python marks what cannot be imported
        "from glyphsight.cli.app import main\n"
        f"sys.argv = {arguments!r}; main()"
    )
    command = [sys.executable, "-c", code]
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        command, capture_output=True, cwd=tmp_path, env={"PYTHONPATH": source}, timeout=60
    )
    assert done.returncode == 1
    assert (b": 5 (" in done.stdout) == (verb == "see")  # answered, not drawn
    assert done.stderr.decode().endswith("run: pip install 'glyphsight[train]'\n")
    assert "not installed: torch; " in done.stderr.decode()


def test_what_is_needed_is_looked_for_without_importing_it():
    code = (
        "import sys; from glyphsight.extras import need\n"
        "need('train'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (b"False", b"")
    need("train")


def test_a_run_that_was_only_begun_is_named_as_such(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has not finished; resume it: .* --resume"):
        load_model(str(tmp_path))


def test_an_unfinished_run_is_named_as_such(tmp_path):
    RunRecord(base="nano", seed=0, tasks=(Task("", ("1",)),)).save(tmp_path)
    with pytest.raises(ModelError, match="has not finished"):
        load_model(str(tmp_path))


def test_a_run_record_comes_back_as_it_was_saved(tmp_path):
    record = RunRecord(
        base="nano",
        seed=4,
        tasks=(
            Task(
                "",
                (
                    "a",
                    "b",
                ),
            ),
        ),
        training={"steps": 3},
    )
    record.save(tmp_path)
    assert RunRecord.load(tmp_path) == record


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"base": "nano"})])
def test_a_damaged_run_record_is_named(tmp_path, text):
    (tmp_path / "glyphsight.json").write_text(text)
    with pytest.raises(ModelError, match=r"glyphsight\.json: damaged"):
        RunRecord.load(tmp_path)


@pytest.mark.slow
def test_a_loaded_model_can_be_sent_to_another_process(whole, adapter):
    ids = torch.tensor([[5, 6, 7]])
    for name in (whole, adapter):
        loaded = load_model(name)
        again = pickle.loads(pickle.dumps(loaded))
        assert (again.name, again.run, again.window) == (loaded.name, loaded.run, loaded.window)
        with torch.inference_mode():
            assert torch.equal(again.model(ids).logits, loaded.model(ids).logits)
        assert again.tokenizer("<row:1>")["input_ids"] == loaded.tokenizer("<row:1>")["input_ids"]
