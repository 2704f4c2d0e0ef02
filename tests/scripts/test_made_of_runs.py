"""Scripts that make a run of other runs: their mean, a larger one, an adapter of low rank."""

import re
import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glyphsight.dataset import Record, load_dataset, write_records
from glyphsight.errors import ModelError
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.models import RunRecord, load_model
from glyphsight.models.runs import Task
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

pytestmark = pytest.mark.slow
SCRIPTS = Path(__file__).parents[2] / "scripts"
LORA = {"method": "lora", "lora_rank": 2, "max_steps": 2, "batch_size": 8, "learning_rate": 0.01}


@pytest.fixture
def script(monkeypatch, capsys):
    """Run a script of the repository in this process; gives what it prints."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_each_weight_is_the_mean_of_two_runs(script, digits, tmp_path):
    a, b, out = (tmp_path / name for name in ("a", "b", "out"))
    train(digits, "nano", a, resolve_settings("nano", LORA), quiet=True)
    train(digits, str(a), b, resolve_settings("nano", LORA | {"seed": 1}), quiet=True)
    script("average.py", a, b, out)
    first, second, found = (load_file(run / "adapter_model.safetensors") for run in (a, b, out))
    assert any(not torch.equal(first[name], second[name]) for name in first)
    for name, weight in found.items():
        torch.testing.assert_close(weight, (first[name] + second[name]) / 2)
    assert load_model(out).run.base == "nano"
    script("average.py", a, b, tmp_path / "most", "--share", 0.9)
    for name, weight in load_file(tmp_path / "most" / "adapter_model.safetensors").items():
        torch.testing.assert_close(weight, 0.1 * first[name] + 0.9 * second[name])


def test_what_has_no_mean_is_refused(script, digits, nano_run, tmp_path):
    train(digits, "nano", tmp_path / "a", resolve_settings("nano", LORA), quiet=True)
    with pytest.raises(ModelError, match="have different weights"):
        script("average.py", tmp_path / "a", nano_run, tmp_path / "out")


@pytest.fixture
def run(tmp_path):
    """A nano whose linear layers changed by matrices of rank 2."""
    loaded = load_model("nano", seed=4, training=True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in loaded.model.named_parameters():
            if "proj" in name:
                left = torch.randn(weight.shape[0], 2, generator=generator)
                weight += 0.05 * left @ torch.randn(2, weight.shape[1], generator=generator)
    loaded.model.save_pretrained(tmp_path / "run")
    loaded.tokenizer.save_pretrained(tmp_path / "run")
    RunRecord(
        base="nano",
        seed=4,
        tasks=(
            Task(
                "",
                (
                    "0",
                    "1",
                ),
            ),
        ),
    ).save(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("layers", [4, 7])
def test_more_layers_change_no_answer_before_they_learn(script, run, tmp_path, layers):
    script("grow.py", run, tmp_path / "deep", "--layers", layers)
    deep = load_model(tmp_path / "deep")
    assert deep.model.config.num_hidden_layers == layers
    assert deep.run == RunRecord.load(run)
    torch.testing.assert_close(logits(deep.model), logits(load_model(run).model))


def test_fewer_layers_are_refused(script, run, tmp_path):
    with pytest.raises(SystemExit, match="the run has 4; give as many at least"):
        script("grow.py", run, tmp_path / "deep", "--layers", 3)
    assert not (tmp_path / "deep").exists()


def test_a_wider_nano_answers_nearly_the_same(script, run, tmp_path):
    script("grow.py", run, tmp_path / "wide", "--width", 192)
    wide, own = load_model(tmp_path / "wide").model, load_model(run).model
    assert wide.config.hidden_size == 192
    assert wide.config.num_attention_heads == 6
    before, after = logits(own)[0, -1], logits(wide)[0, -1]
    assert float(torch.corrcoef(torch.stack([before, after]))[0, 1]) > 0.9


def test_a_grown_nano_has_a_token_for_each_frequent_answer_of_its_data(script, run, tmp_path):
    records = [Record((f"{'█' * 20}\n" * 11,), name, size="20") for name in ("ice cream", "7") * 20]
    write_records(records, tmp_path / "data.json")
    script("grow.py", run, tmp_path / "named", "--data", tmp_path / "data.json")
    named, own = load_model(tmp_path / "named"), load_model(run)
    assert named.run.base_answers == ("ice cream",)
    assert len(named.tokenizer(" ice cream")["input_ids"]) == 1
    assert len(named.tokenizer) == len(own.tokenizer) + 1
    torch.testing.assert_close(logits(named.model)[..., :12], logits(own.model)[..., :12])


@pytest.fixture
def low_rank(script, tmp_path):
    """Reduce a run to an adapter; gives the share kept and the loaded adapter."""

    def reduced(run, *options):
        out = tmp_path / "adapter"
        kept = re.search(r"keeps ([\d.]+) %", script("low_rank.py", run, out, *options))
        return float(kept[1]) / 100, load_model(out)

    return reduced


def logits(model):
    ids = torch.arange(12)[None]
    with torch.inference_mode():
        return model.eval()(input_ids=ids).logits


def test_a_change_of_rank_two_is_kept_whole_by_rank_two(low_rank, run):
    kept, adapted = low_rank(run, "--rank", 2)
    assert kept == 1
    torch.testing.assert_close(
        logits(adapted.model), logits(load_model(run).model), atol=2e-3, rtol=1e-3
    )


def test_inputs_that_records_have_are_kept_best(low_rank, run, digits):
    blind, by_weights = low_rank(run, "--rank", 1)
    kept, by_outputs = low_rank(run, "--rank", 1, "--data", digits)
    assert kept > blind
    whole = load_model(run)
    ids = prompt_ids(whole.tokenizer, [load_dataset(digits)[0].picture])

    def error(reduced):
        with torch.inference_mode():
            wanted, got = (
                one.model.eval()(input_ids=torch.tensor(ids)).logits for one in (whole, reduced)
            )
        return float((wanted - got).square().mean())

    assert error(by_outputs) < error(by_weights)
    assert low_rank(run, "--rank", 2, "--data", digits)[0] == 1


def test_a_run_from_a_run_becomes_an_adapter_of_the_base_at_the_root(low_rank, run, tmp_path):
    record = RunRecord.load(run)
    shutil.copytree(run, tmp_path / "second")
    replace(record, base=str(run), seed=9).save(tmp_path / "second")
    kept, adapted = low_rank(tmp_path / "second", "--rank", 2)
    assert (adapted.run.base, adapted.run.seed) == ("nano", record.seed)
    assert kept == 1


def test_rank_one_keeps_a_part(low_rank, run):
    assert 0.4 < low_rank(run, "--rank", 1)[0] < 0.95


def test_what_is_no_whole_run_is_refused(low_rank, tmp_path):
    loaded = load_model("nano", training=True)
    loaded.model.save_pretrained(tmp_path / "model")
    loaded.tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="holds no whole model trained with glyphsight"):
        low_rank(tmp_path / "model", "--rank", 2)


def test_a_run_trained_with_unknown_has_a_threshold_and_a_script_chooses_another(
    script, digits, tmp_path
):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(digits, data)
    for split in ("train", "validation"):
        records = load_dataset(data, split)
        some = [replace(one, answer="unknown") if one.answer == "3" else one for one in records]
        write_records(some, data / f"{split}.json")
    settings = {"max_steps": 4, "batch_size": 16, "evaluations": 1}
    train(data, "nano", run, resolve_settings("nano", settings), quiet=True)
    chosen = RunRecord.load(run).unknown_above
    assert 0.5 <= chosen < 1
    assert f"above {chosen:.4g}" in (run / "README.md").read_text()
    said = script("choose_unknown.py", run, data)
    assert f"unknown above {RunRecord.load(run).unknown_above:.6f}; of " in said
    assert RunRecord.load(run).unknown_above == pytest.approx(chosen, abs=1e-3)
    script("choose_unknown.py", run, data, "--refused", 1)
    assert RunRecord.load(run).unknown_above == 0.5


def test_a_model_that_ships_scores_as_its_run_though_rows_that_no_answer_has_are_alike(
    script, run, digits, tmp_path
):
    script("ship_model.py", run, tmp_path / "ships")
    asked, shipped = load_model(run, dtype="float32"), load_model(tmp_path / "ships")
    vocabulary = asked.tokenizer.get_vocab()
    answers = [vocabulary[f" {digit}"] for digit in range(10)]
    texts = [one.picture + "Response:" for one in load_dataset(digits)[:4]]
    ids = torch.tensor(asked.tokenizer(texts, padding=True)["input_ids"])
    with torch.no_grad():
        one, other = (model.model(ids).logits[:, -1] for model in (asked, shipped))
    assert torch.allclose(one[:, answers], other[:, answers], atol=0.02)  # of float16
    head = load_file(tmp_path / "ships" / "model.safetensors")["lm_head.weight"]
    glyphs = head[[vocabulary["▓█"], vocabulary["<row:1> ▓█ ▓█"], vocabulary["    "]]]
    assert torch.equal(glyphs, glyphs[:1].expand_as(glyphs))
    assert not torch.equal(head[answers[0]], head[answers[1]])
