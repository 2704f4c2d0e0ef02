import re
import shutil

import huggingface_hub
import pytest
from huggingface_hub import constants

from glyphsight.dataset import BuildSettings, build_dataset, load_dataset
from glyphsight.integrations.hub import HubError, pull, push
from glyphsight.models import nano, smollm2
from glyphsight.models.runs import SHIPPED_RUNS, RunRecord, root_of
from glyphsight.train.card import head_card, write_card
from standin_hub import TOKEN, Hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the library's


@pytest.fixture(autouse=True)
def hub(monkeypatch, tmp_path):
    """A stand-in of the hub that its library speaks to."""
    server = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(tmp_path):
    """The shipped reader of digits as a run of the user's own, with what training leaves."""
    path = shutil.copytree(SHIPPED_RUNS["nano-digits"], tmp_path / "run")
    write_card(path, "run", RunRecord.load(path))
    (path / "history.jsonl").write_text('{"step": 1}\n')
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "optimizer.pt").write_bytes(b"")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("hub") / "data"
    build_dataset("bundled", path, BuildSettings(limit=20, copies=0, output="hub"), quiet=True)
    return path


def test_a_run_goes_to_the_hub_and_comes_back(hub, run, tmp_path):
    assert push(run, "me/shapes", "model", private=True) == f"{hub.url}/me/shapes"
    repo = hub.repos["model", "me/shapes"]
    assert repo["seen"] == "private"
    assert {"README.md", "glyphsight.json", "history.jsonl", "model.safetensors"} < set(
        repo["files"]
    )
    assert not any("checkpoints" in name for name in repo["files"])
    got = pull("me/shapes", tmp_path / "got", "model")
    assert RunRecord.load(got) == RunRecord.load(run)
    assert {one.name for one in got.iterdir()} == set(repo["files"])
    assert (got / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_a_dataset_goes_to_the_hub_and_comes_back(hub, data, tmp_path):
    assert push(data, "me/digits", "dataset") == f"{hub.url}/datasets/me/digits"
    assert "data/train-00000-of-00001.parquet" in hub.repos["dataset", "me/digits"]["files"]
    got = pull("me/digits", tmp_path / "got", "dataset")
    assert load_dataset(got, "test") == load_dataset(data, "test")


def test_cards_are_read_and_checked_by_the_hubs_library(hub, run, data):
    for directory, kind in ((run, "model"), (data, "dataset")):
        push(directory, f"me/{kind}", kind)
    assert hub.asked["validate"] >= 2
    model = huggingface_hub.ModelCard.load(run / "README.md").data
    assert (model.library_name, model.tags) == ("transformers", ["ascii-art", "glyphsight"])
    said = huggingface_hub.DatasetCard.load(data / "README.md").data
    assert (said.license, said.size_categories) == ("cc-by-sa-3.0", ["n<1K"])


@pytest.mark.parametrize("name", SHIPPED_RUNS)
def test_the_card_of_a_model_that_ships_is_taken_by_the_hub(hub, name, tmp_path):
    """Its figure is that of its text, and the script that ships models writes the same head."""
    run = tmp_path / name
    shutil.copytree(SHIPPED_RUNS[name], run)
    push(run, f"me/{name}", "model")
    card = huggingface_hub.ModelCard.load(run / "README.md")
    [result] = card.data.eval_results
    assert re.search(rf"\*\*{100 * result.metric_value:.2f} %\*\*", card.text)
    assert (card.data.license, card.data.metrics) == ("apache-2.0", ["accuracy"])
    assert (card.data.library_name == "peft") == (card.data.base_model is not None)
    before, record = (run / "README.md").read_bytes(), RunRecord.load(run)
    head_card(run, record)
    assert (run / "README.md").read_bytes() == before
    assert root_of(record).base in (nano.NAME, smollm2.NAME)  # no directory of this machine
    assert record.base == root_of(record).base


def test_a_card_that_the_hub_refuses_stops_before_anything_is_made(hub, run):
    (run / "README.md").write_text("---\nlicense: mine\n---\n")
    with pytest.raises(HubError, match=r"README\.md: .*license.*must be.*; correct its first"):
        push(run, "me/shapes", "model")
    assert hub.repos == {}


def test_a_repository_that_exists_gets_a_new_version_only_where_that_is_said(hub, run):
    push(run, "me/shapes", "model")
    with pytest.raises(HubError, match="me/shapes: exists; give another name, or --force"):
        push(run, "me/shapes", "model")
    (run / "history.jsonl").write_text('{"step": 2}\n')
    push(run, "me/shapes", "model", force=True)
    assert hub.repos["model", "me/shapes"]["files"]["history.jsonl"] == b'{"step": 2}\n'


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "glyphsight.json").unlink(), "glyphsight.json"),
        (lambda run: (run / "README.md").unlink(), "holds no card"),
        (lambda run: (run / "config.json").unlink(), "--resume"),
    ],
)
def test_a_run_that_is_not_ready_is_refused_with_its_fix(hub, run, spoil, said):
    spoil(run)
    with pytest.raises(HubError, match=said):
        push(run, "me/shapes", "model")
    assert hub.asked == {}


def test_a_dataset_without_a_card_names_the_layout_that_has_one(tmp_path):
    build_dataset("bundled", tmp_path / "json", BuildSettings(limit=20, copies=0), quiet=True)
    with pytest.raises(HubError, match="--output hub"):
        push(tmp_path / "json", "me/digits", "dataset")


def test_no_token_a_wrong_one_and_no_network_say_what_to_do(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match=r"401.*hf auth login"):
        push(run, "me/shapes", "model")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="unset it"):
        pull("me/shapes", tmp_path / "got", "model")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"cannot be reached.*HF_ENDPOINT"):
        pull("me/shapes", tmp_path / "got", "model")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(HubError, match=r"no token.*hf auth login"):
        push(run, "me/shapes", "model")


def test_what_is_not_there_not_ours_or_in_the_way_is_told(hub, run, tmp_path):
    with pytest.raises(HubError, match="me/none: no such repository"):
        pull("me/none", tmp_path / "got", "model")
    with pytest.raises(HubError, match="a b: no name on the hub"):
        pull("a b", tmp_path / "got", "model")
    hub.repos["model", "me/other"] = {"files": {"config.json": b"{}"}}
    with pytest.raises(HubError, match=r"me/other: holds no glyphsight\.json"):
        pull("me/other", tmp_path / "got", "model")
    with pytest.raises(HubError, match="exists; give another --out"):
        pull("me/other", run, "model")
