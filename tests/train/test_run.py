"""Training runs on the bundled digits with the real Trainer, a few steps each."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
import transformers
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from tokenizers import Regex, normalizers
from transformers import AutoModelForCausalLM

from glyphsight.codec import Profile
from glyphsight.dataset import BuildSettings, build_dataset, load_dataset, write_records
from glyphsight.errors import DatasetError, ModelError
from glyphsight.models import RunRecord, load_model
from glyphsight.models.nano import make_tokenizer
from glyphsight.models.runs import read_history
from glyphsight.train import job as job_module
from glyphsight.train import run as run_module
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

pytestmark = pytest.mark.slow
SMALL = {"batch_size": 16, "checkpoints": 3, "evaluations": 2, "validation_records": 20}

PLAIN = resolve_settings("nano", {})


def small(**settings):
    return resolve_settings("nano", SMALL | settings)


def weights(run):
    return load_file(run / "model.safetensors")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def kill(run, *, while_writing_the_last_checkpoint=False):
    """Leave a run as if killed before its model was saved."""
    for name in ("model.safetensors", "config.json", "glyphsight.json"):
        (run / name).unlink()
    kept = sorted((run / "checkpoints").glob("checkpoint-*"), key=lambda p: int(p.name[11:]))
    assert len(kept) == 2
    if while_writing_the_last_checkpoint:
        shutil.rmtree(kept[-1])
        kept[-1].mkdir()


def test_a_run_leaves_a_model_its_settings_its_history_and_its_record(nano_run):
    settings = json.loads((nano_run / "settings.json").read_text())
    assert settings["batch_size"]["origin"] == "given"
    history = read_history(nano_run / "history.jsonl")
    assert any("loss" in line for line in history)
    assert any("validation_accuracy" in line for line in history)
    record = load_model(str(nano_run)).run
    assert record.labels == [str(digit) for digit in range(10)]
    assert record.base == "nano"


def test_the_model_is_an_ordinary_transformers_directory(nano_run):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(nano_run)
    tokenizer = AutoTokenizer.from_pretrained(nano_run)
    assert model(**tokenizer("<row:1>  ", return_tensors="pt")).logits.shape[0] == 1


@pytest.mark.parametrize("steps", [{"max_steps": 6}, {"epochs": 1.5, "batch_size": 50}])
def test_a_resumed_run_ends_in_the_same_weights(digits, tmp_path, steps):
    whole = train(digits, "nano", tmp_path / "whole", small(**steps), quiet=True)
    train(digits, "nano", tmp_path / "cut", small(**steps), quiet=True)
    kill(tmp_path / "cut", while_writing_the_last_checkpoint=True)
    resumed = train(digits, "nano", tmp_path / "cut", PLAIN, resume=True, quiet=True)
    assert resumed.steps == whole.steps
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    history = read_history(tmp_path / "cut" / "history.jsonl")
    assert [line["step"] for line in history] == sorted(line["step"] for line in history)


def test_a_run_killed_after_its_last_step_is_saved_without_a_step_more(digits, tmp_path):
    settings = small(max_steps=3, schedule="constant")
    train(digits, "nano", tmp_path, settings, quiet=True)
    expected = weights(tmp_path)
    kill(tmp_path)
    report = train(digits, "nano", tmp_path, settings, resume=True, quiet=True)
    assert report.steps == 3
    assert same(expected, weights(tmp_path))


def test_a_finished_run_is_left_as_it_is(digits, nano_run, capsys):
    before = (nano_run / "model.safetensors").stat().st_mtime_ns
    report = train(digits, "nano", nano_run, PLAIN, resume=True, quiet=True)
    assert report.steps == 8
    assert "nothing to resume" in capsys.readouterr().err
    assert (nano_run / "model.safetensors").stat().st_mtime_ns == before


def test_a_run_that_is_out_of_time_ends_saved_and_resumes_to_nothing_more(digits, tmp_path):
    settings = small(max_steps=5000, minutes=0.03)
    report = train(digits, "nano", tmp_path, settings, quiet=True)
    assert report.steps < 5000
    expected = weights(tmp_path)
    for name in ("model.safetensors", "glyphsight.json"):
        (tmp_path / name).unlink()
    again = train(digits, "nano", tmp_path, settings, resume=True, quiet=True)
    assert again.steps == report.steps
    assert same(expected, weights(tmp_path))


def test_a_run_is_neither_overwritten_nor_resumed_otherwise(digits, nano_run, tmp_path):
    with pytest.raises(ModelError, match="add --resume"):
        train(digits, "nano", nano_run, small(), quiet=True)
    other = resolve_settings("nano", {"learning_rate": 1.0})
    with pytest.raises(ModelError, match="was started with learning_rate"):
        train(digits, "nano", nano_run, other, resume=True, quiet=True)
    copy = tmp_path / "copy"
    shutil.copytree(nano_run, copy)
    (copy / "glyphsight.json").unlink()
    write_records(load_dataset(digits)[:40], tmp_path / "other.json")
    with pytest.raises(ModelError, match="was started with another data"):
        train(tmp_path / "other.json", "nano", copy, PLAIN, resume=True, quiet=True)


def test_a_start_that_fails_leaves_the_place_free(digits, tmp_path):
    with pytest.raises(ModelError, match="no/such/model"):
        train(digits, "no/such/model", tmp_path / "run", small(), quiet=True)
    assert not (tmp_path / "run").exists()
    train(digits, "nano", tmp_path / "run", small(max_steps=1), quiet=True)


@pytest.fixture
def words(tmp_path, monkeypatch):
    """What a base is made to have written, and the bases that were asked for it."""
    made, asked = tmp_path / "words.txt", []
    made.write_text("One sentence and another one, all of the same kind. " * 40)
    monkeypatch.setattr(job_module, "own_words", lambda base: asked.append(base) or made)
    return made, asked


def test_a_start_that_fails_asks_no_base_for_its_words_and_keeps_none(
    nano_run, digits, tmp_path, words
):
    made, asked = words
    wanted = small(text_share=0.5, max_steps=1)
    run = tmp_path / "run"
    with pytest.raises(DatasetError, match="nodata"):
        train(tmp_path / "nodata", str(nano_run), run, wanted, quiet=True)
    assert asked == []
    assert not run.exists()
    train(digits, str(nano_run), run, wanted, quiet=True)
    assert asked == ["nano"]
    assert (run / "own-words.txt").read_text() == made.read_text()


def test_words_that_lie_about_are_not_taken_for_those_of_a_base(nano_run, digits, tmp_path, words):
    made, _ = words
    run = tmp_path / "run"
    run.mkdir()
    (run / "own-words.txt").write_text("Of another base. " * 400)
    train(digits, str(nano_run), run, small(text_share=0.5, max_steps=1), quiet=True)
    assert (run / "own-words.txt").read_text() == made.read_text()


def test_pictures_in_another_profile_than_before_are_told(nano_run, digits, tmp_path, capsys):
    other = shutil.copytree(digits, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text("utf-8"))
    manifest["profile"] |= {"invert": "no"}
    (other / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    train(other, str(nano_run), tmp_path / "run", small(max_steps=1), quiet=True)
    assert "(invert 'auto', now 'no')" in capsys.readouterr().err


def test_an_adapter_that_goes_on_keeps_its_rank_and_says_so(digits, tmp_path):
    lora = {"method": "lora", "max_steps": 1}
    train(digits, "nano", tmp_path / "a", small(**lora, lora_rank=2, lora_alpha=4), quiet=True)
    with pytest.raises(ModelError, match=r"lora_rank 8: the adapter of .*a has 2"):
        train(digits, str(tmp_path / "a"), tmp_path / "b", small(**lora, lora_rank=8), quiet=True)
    train(digits, str(tmp_path / "a"), tmp_path / "b", small(**lora), quiet=True)
    chosen = json.loads((tmp_path / "b" / "settings.json").read_text())
    assert chosen["lora_rank"] == {"value": 2, "origin": "model"}
    assert chosen["lora_alpha"]["value"] == 4
    assert json.loads((tmp_path / "b" / "adapter_config.json").read_text())["r"] == 2


def test_settings_of_another_version_are_named(digits, nano_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(nano_run, copy)
    saved = json.loads((copy / "settings.json").read_text())
    saved["newer"] = {"value": 1, "origin": "default"}
    (copy / "settings.json").write_text(json.dumps(saved))
    with pytest.raises(ModelError, match=r"settings\.json: .*does not know.*newer"):
        train(digits, "nano", copy, PLAIN, resume=True, quiet=True)


def test_every_record_is_taken_in_every_epoch(digits, tmp_path):
    settings = small(batch_size=50, epochs=2.0)
    report = train(digits, "nano", tmp_path, settings, quiet=True)
    assert report.records == 120
    assert report.steps == 2 * 3  # two batches of 50 and one of 20, twice
    assert read_history(tmp_path / "history.jsonl")[-1]["records"] == 240


def test_a_dataset_file_serves_and_a_wrong_size_in_it_is_named(digits, tmp_path):
    train(digits / "train.json", "nano", tmp_path / "run", small(max_steps=1), quiet=True)
    text = (digits / "train.json").read_text("utf-8").replace('"20"', '"20x11"')
    (tmp_path / "odd.json").write_text(text, "utf-8")
    with pytest.raises(DatasetError, match="record 1: size '20x11'"):
        train(tmp_path / "odd.json", "nano", tmp_path / "other", small(max_steps=1), quiet=True)


def test_an_adapter_is_trained_goes_on_and_is_merged(digits, nano_run, tmp_path, monkeypatch):
    lora = {"method": "lora", "lora_rank": 2, "max_steps": 2, "learning_rate": 0.01}
    first = tmp_path / "first"
    train(digits, str(nano_run), first, small(**lora), quiet=True)
    loaded = load_model(str(first))
    trained = sum(p.numel() for name, p in loaded.model.named_parameters() if "lora" in name)
    assert 0 < trained < sum(p.numel() for p in loaded.model.parameters()) / 10

    second = tmp_path / "second"
    train(digits, str(first), second, small(**lora, seed=5), quiet=True)
    record = load_model(str(second)).run
    assert record.base == str(nano_run)

    merged = tmp_path / "merged"
    train(digits, str(second), merged, small(max_steps=1, learning_rate=1e-12), quiet=True)
    assert not (merged / "adapter_config.json").exists()
    assert load_model(str(merged)).run.base == str(second)


def test_an_adapter_of_a_fresh_nano_finds_the_weights_it_was_taught_on(digits, tmp_path):
    lora = {"method": "lora", "lora_rank": 2, "max_steps": 1}
    train(digits, "nano", tmp_path / "a", small(**lora, seed=3), quiet=True)
    train(digits, str(tmp_path / "a"), tmp_path / "b", small(**lora), quiet=True)
    base = "base_model.model.lm_head.base_layer.weight"
    a, b = (dict(load_model(str(tmp_path / n)).model.named_parameters()) for n in "ab")
    key = base if base in a else "base_model.model.lm_head.weight"
    assert torch.equal(a[key], b[key])


def test_an_adapter_of_a_fresh_nano_keeps_its_base_where_it_goes_on_with_other_text(
    digits, tmp_path
):
    build_dataset(
        "bundled",
        tmp_path / "plain",
        BuildSettings(profile=Profile(format="plain"), limit=20),
        quiet=True,
    )
    lora = {"method": "lora", "lora_rank": 2, "max_steps": 1}
    train(digits, "nano", tmp_path / "a", small(**lora), quiet=True)
    train(tmp_path / "plain", str(tmp_path / "a"), tmp_path / "b", small(**lora), quiet=True)
    a, b = (load_model(str(tmp_path / name)) for name in "ab")
    assert (a.run.profile.format, b.run.profile.format) == ("seed", "plain")
    assert len(a.tokenizer) == len(b.tokenizer)
    weights = [model.model.get_input_embeddings().weight for model in (a, b)]
    assert torch.equal(*weights)


def test_names_are_kept_by_a_run_that_goes_on_and_must_be_answers(digits, tmp_path):
    settings = small(max_steps=1)
    with pytest.raises(ModelError, match=r"'ten' is no answer of .*train\.json"):
        train(digits, "nano", tmp_path / "no", settings, names={"ten": "10"}, quiet=True)
    train(digits, "nano", tmp_path / "a", settings, names={" 1 ": "one"}, quiet=True)
    train(digits, str(tmp_path / "a"), tmp_path / "b", settings, quiet=True)
    assert RunRecord.load(tmp_path / "b").tasks[0].names == {"1": "one"}


def test_a_loss_that_is_no_number_stops_with_one_line(digits, tmp_path):
    settings = small(max_steps=6)
    nano = load_model("nano")
    with torch.no_grad():
        nano.model.lm_head.weight.fill_(float("nan"))
    nano.model.save_pretrained(tmp_path / "broken")
    nano.tokenizer.save_pretrained(tmp_path / "broken")
    with pytest.raises(ModelError, match="no longer a finite number"):
        train(digits, str(tmp_path / "broken"), tmp_path / "run", settings, quiet=True)


def judging(monkeypatch, *shares):
    """Let validation give these accuracies, one after the other."""
    left = list(shares)

    def validate(*_):
        return {"validation_accuracy": left.pop(0), "validation_records": 300}

    monkeypatch.setattr(run_module, "validate", validate)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_weights_of_the_best_validation_are_kept_and_both_figures_said(
    digits, tmp_path, monkeypatch, capsys, method
):
    settings = small(max_steps=6, evaluations=3, checkpoints=3, method=method)
    judging(monkeypatch, 0.99, 0.98, 0.9633)
    report = train(digits, "nano", tmp_path / "run", settings, quiet=True)
    assert (report.steps, report.kept_step, report.validation_accuracy) == (6, 2, 0.99)
    said = capsys.readouterr().err
    assert "at step 2 (99.00 % of 300 validation records right), the best" in said
    assert "at step 6 (96.33 %" in said
    assert RunRecord.load(tmp_path / "run").training["kept_step"] == 2
    judging(monkeypatch, 0.99, 0.98, 0.99)
    train(digits, "nano", tmp_path / "last", settings, quiet=True)
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["checkpoint-2", "checkpoint-6"]
    assert "keeps its weights" not in capsys.readouterr().err
    file = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    run, best, last = (
        load_file(tmp_path / where / file)
        for where in ("run", "run/checkpoints/checkpoint-2", "last/checkpoints/checkpoint-6")
    )
    assert same(run, best)
    assert same(load_file(tmp_path / "last" / file), last)
    assert not same(run, last)


def test_a_killed_run_keeps_its_best_weights_too(digits, tmp_path, monkeypatch):
    settings = small(max_steps=6, evaluations=3, checkpoints=3)
    judging(monkeypatch, 0.99, 0.98, 0.97, 0.97)
    train(digits, "nano", tmp_path, settings, quiet=True)
    expected = weights(tmp_path)
    kill(tmp_path, while_writing_the_last_checkpoint=True)
    judging(monkeypatch, 0.98, 0.97)
    assert train(digits, "nano", tmp_path, settings, resume=True, quiet=True).kept_step == 2
    assert same(expected, weights(tmp_path))


def test_others_may_read_every_file_of_a_run_as_the_umask_says(nano_run):
    umask = os.umask(0)
    os.umask(umask)
    modes = {path: path.stat().st_mode & 0o777 for path in nano_run.rglob("*") if path.is_file()}
    assert len(modes) > 10
    assert {path for path, mode in modes.items() if mode & 0o666 != 0o666 & ~umask} == set()


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_has_a_model_card_of_its_own(digits, tmp_path, method):
    settings = small(max_steps=2, method=method)
    train(digits, "nano", tmp_path / "my-run", settings, names={"1": "one"}, quiet=True)
    card = ModelCard.load(tmp_path / "my-run" / "README.md")
    library = {"full": "transformers", "lora": "peft"}[method]
    assert (card.data.library_name, card.data.base_model) == (library, None)
    assert card.data.tags == ["ascii-art", "glyphsight"]
    assert card.text.lstrip().startswith("# my-run")
    assert "one of 0, 1, 2" in card.text
    assert "validation accuracy" in card.text
    assert str(tmp_path) not in card.content
    assert "More Information Needed" not in card.content
    assert [path.parent.name for path in (tmp_path / "my-run").rglob("README.md")] == ["my-run"]


def test_minutes_alone_are_used_up_however_few_the_records(digits, tmp_path):
    write_records(load_dataset(digits)[:4], tmp_path / "few.json")
    some = {"batch_size": 4, "minutes": 0.03}
    timed = resolve_settings("nano", some)
    assert train(tmp_path / "few.json", "nano", tmp_path / "a", timed, quiet=True).steps > 1
    once = resolve_settings("nano", some | {"epochs": 1.0})
    assert train(tmp_path / "few.json", "nano", tmp_path / "b", once, quiet=True).steps == 1


@pytest.fixture
def foreign(tmp_path):
    """A way to save a tiny model with a tokenizer that is changed before."""

    def save(name, change=lambda tokenizer: None, **config):
        tokenizer = make_tokenizer()
        change(tokenizer)
        kind = getattr(transformers, f"{name}Config")
        own = kind(vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=None, **config)
        AutoModelForCausalLM.from_config(own).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        return str(tmp_path / name)

    return save


SMALL_GPT2 = {"n_embd": 32, "n_layer": 1, "n_head": 2}


def without_end(tokenizer):
    tokenizer.eos_token = tokenizer.pad_token = None


def with_squeezed_spaces(tokenizer):
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex(r"\s+"), " ")


@pytest.mark.parametrize(
    ("name", "change", "config", "method", "fix"),
    [
        ("GPT2", without_end, SMALL_GPT2, "full", "name one as eos_token in its tokenizer_config"),
        ("GPT2", with_squeezed_spaces, SMALL_GPT2, "full", "encode them with --palette "),
        (
            *("Mamba", lambda tokenizer: None, {"hidden_size": 32, "num_hidden_layers": 1}),
            *("lora", "take no adapter .*; train with --method full"),
        ),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused_with_the_fix_and_leaves_nothing(
    digits, foreign, tmp_path, name, change, config, method, fix
):
    model, out = foreign(name, change, **config), tmp_path / "run"
    with pytest.raises(ModelError, match=fix) as caught:
        train(digits, model, out, small(method=method, max_steps=1), quiet=True)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_an_unforeseen_error_before_a_checkpoint_leaves_what_was_there_alone(
    digits, tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(torch.Tensor, "backward", fail)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(RuntimeError, match="out of memory"):
        train(digits, "nano", tmp_path / "run", small(max_steps=1), quiet=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    monkeypatch.undo()
    assert train(digits, "nano", tmp_path / "run", small(max_steps=1), quiet=True).steps == 1


@pytest.mark.slow
def test_training_on_two_threads_stays_finite_as_the_program_starts_it(digits, tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    command = [sys.executable, "-m", "glyphsight", "train", "--model", "nano"]
    words = ["--data", str(digits), "--out", str(tmp_path / "run"), "--set", "max_steps=3"]
    done = subprocess.run(
        [*command, *words], capture_output=True, encoding="utf-8", check=False, env=env
    )
    assert done.returncode == 0, done.stderr
