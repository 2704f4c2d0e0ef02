import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import glyphsight as package
from glyphsight.dataset import BuildSettings, build_dataset, load_dataset, write_records
from glyphsight.errors import ModelError
from glyphsight.models import RunRecord
from glyphsight.models.runs import SHIPPED_RUNS, Task, start_from
from glyphsight.train.settings import resolve_settings

SHORT = ["--set", "max_steps=2", "--set", "lora_rank=2", "--batch-size", "8"]


def test_the_nano_that_ships_is_a_start_and_brings_nanos_settings():
    start = start_from("nano-digits")
    assert start.directory == SHIPPED_RUNS["nano-digits"]
    assert (start.origin, start.adapter) == ("nano", None)


def test_a_start_is_found_through_the_runs_before_it(tmp_path):
    RunRecord("nano", tasks=(Task("", ("1",)),)).save(tmp_path / "a")
    RunRecord(str(tmp_path / "a"), tasks=(Task("", ("1",)),)).save(tmp_path / "b")
    (tmp_path / "b" / "adapter_config.json").write_text("{}")
    start = start_from(str(tmp_path / "b"))
    assert (start.origin, start.adapter) == ("nano", tmp_path / "b" / "adapter_config.json")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("smollm2-135m", "--model smollm2-135m"),
        ("nano", "--from nano-digits, or --model nano"),
        ("no/such/run", "no trained run"),
    ],
)
def test_what_is_no_trained_run_is_told_with_the_fix(name, fix):
    with pytest.raises(ModelError, match=fix) as told:
        start_from(name)
    assert "\n" not in str(told.value)


def renamed(digits, path):
    """Two digits of the data under names, as another task would have them."""
    names = {"0": "ring", "1": "stroke"}
    some = [one for one in load_dataset(digits) if one.answer in names]
    write_records([replace(one, answer=names[one.answer]) for one in some], path)


@pytest.mark.slow
def test_training_from_a_run_takes_other_answers(at_once, digits, nano_run, tmp_path):
    renamed(digits, tmp_path / "two.json")
    told = []

    def train(start, out, *more, by="--from"):
        options = ["--data", tmp_path / "two.json", by, start, "--out", out, *SHORT]
        done = at_once("train", *options, *more)
        assert done.returncode == 0, done.stderr
        told.append(done.stderr.decode())
        return RunRecord.load(out), json.loads((out / "settings.json").read_text())

    whole, chosen = train(nano_run, tmp_path / "whole")
    assert whole.labels == ["ring", "stroke"]
    assert whole.base == str(nano_run)
    assert chosen["hidden_learning_rate"] == {"value": 0.02, "origin": "model"}

    train("nano-digits", tmp_path / "first", "--method", "lora")
    assert "loses a part of what the run learned of its own texts" in told[-1]
    as_the_run = "dataset build --source SOURCE --out DIR --invert auto --ink --centre\n"
    assert as_the_run in told[-1]
    assert "nano-digits says 'unknown' to what it does not know, and this run cannot" in told[-1]
    assert "says 'unknown'" not in told[0]
    adapter, chosen = train(tmp_path / "first", tmp_path / "second")
    assert chosen["method"]["value"] == "lora"
    assert (tmp_path / "second" / "adapter_config.json").is_file()
    assert adapter.base == "nano-digits"
    _, same = train(tmp_path / "first", tmp_path / "third", by="--model")
    assert same == chosen


def test_a_base_and_a_run_are_not_given_together(glyphsight, digits, tmp_path):
    options = ["--model", "nano", "--from", "nano-digits", "--out", str(tmp_path / "run")]
    done = glyphsight("train", "--data", str(digits), *options)
    assert done.returncode == 2
    assert b"--model or --from" in done.stderr


@pytest.mark.slow
def test_a_run_that_has_learnt_nothing_says_so_and_what_to_do(at_once, tmp_path):
    data = tmp_path / "data"
    build_dataset("bundled", data, BuildSettings(limit=60), quiet=True)
    done = at_once("train", "--data", data, "--model", "nano", "--out", tmp_path / "run", *SHORT)
    assert done.returncode == 0, done.stderr
    told = done.stderr.decode()
    assert "right is not clearly better than always answering '" in told
    assert "start --from a trained run" in told
    assert "dark on white, such as scans, dataset build --invert auto --centre helps" in told


@pytest.fixture
def without_torch(tmp_path):
    """A path of Python on which the import of torch ends the program."""
    (tmp_path / "path" / "torch").mkdir(parents=True)
    (tmp_path / "path" / "torch" / "__init__.py").write_text("raise SystemExit('imports torch')")
    return os.pathsep.join([str(tmp_path / "path"), str(Path(package.__file__).parents[1])])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--data", "none"], "none: no such dataset; glyphsight dataset build makes one"),
        (["--data", "no-train"], "has no split 'train'"),
        (["--data", "data", "--set", "batch_size=0"], "batch_size is 0; give a whole number"),
        (["--data", "data", "--set", "speed=1"], "speed"),
        (["--data", "data", "--out", "begun"], "begun: holds a run already; add --resume"),
        (["--data", "data", "--resume"], "settings.json: no such file"),
        (["--data", "data", "--out", "begun", "--resume", "--seed", "5"], "started with seed 0"),
        (["--data", "data", "--from", "data"], "is no trained run"),
    ],
)
def test_a_cheap_error_does_not_wait_for_torch(
    glyphsight, golden, tmp_path, without_torch, options, reason
):
    for name in ("data/train.json", "no-train/test.json"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(golden / "five.json", tmp_path / name)
    resolve_settings("nano", {}).save(tmp_path / "begun" / "settings.json")
    model = [] if "--from" in options else ["--model", "nano"]
    done = glyphsight("train", *model, "--out", "run", *options, PYTHONPATH=without_torch)
    assert done.returncode in (1, 2)
    assert reason in " ".join(done.stderr.decode().split())
    assert b"imports torch" not in done.stderr
