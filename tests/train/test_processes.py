"""Several processes train as one does: the same losses, the same weights, files written once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glyphsight.codec import Profile
from glyphsight.dataset import BuildSettings, build_dataset, load_dataset, write_records
from glyphsight.models import RunRecord
from glyphsight.models.runs import read_history
from glyphsight.train.data import NOTHING, BucketSampler, Example, collate, with_blank
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

# 21 records: the second of the two processes gets one of the last five alone, then none.
SETTINGS = {"epochs": 2.0, "evaluations": 1, "checkpoints": 1, "precision": "fp32"}
# What the program does, and then again with --resume: a start of two processes takes long.
TWICE = """
import sys
from glyphsight.cli.app import main
for words in [], ["--resume"]:
    sys.argv += words
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, stop.code
"""
# accelerate launch starts the same on GPUs; on a CPU it starts several processes through MPI alone.
LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.fixture(scope="module")
def few(digits, tmp_path_factory):
    """A few of the digits, with and without their last row, so that lengths differ."""
    path = tmp_path_factory.mktemp("few") / "train.json"
    write_records(load_dataset(digits)[:21], path)
    return path


@pytest.fixture(scope="module")
def alone(few, tmp_path_factory):
    """What one process learns with batches of 8."""
    path = tmp_path_factory.mktemp("alone") / "run"
    train(few, "nano", path, resolve_settings("nano", SETTINGS | {"batch_size": 8}), quiet=True)
    return path


def launch(few, run, *options, program=("-m", "glyphsight"), **settings):
    """Train with batches of 4 in two processes; what it says."""
    given = [f"--set={name}={value}" for name, value in (SETTINGS | settings).items()]
    command = [sys.executable, *LAUNCHER, *program, "train"]
    command += ["--data", few, "--model", "nano", "--out", run, "--batch-size", "4"]
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [*map(str, command), *given, *options],
        env=os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1", "GLYPHSIGHT_DEVICE": "cpu"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done


def losses(run):
    history = read_history(run / "history.jsonl")
    return {line["step"]: line["loss"] for line in history if "loss" in line}


@pytest.mark.slow
def test_two_processes_learn_what_one_does_with_twice_the_batch(few, alone, tmp_path):
    (tmp_path / "twice.py").write_text(TWICE)
    done = launch(few, tmp_path / "run", program=[tmp_path / "twice.py"])
    expected = losses(alone)
    assert list(expected) == list(range(1, 7))
    assert losses(tmp_path / "run") == pytest.approx(expected, rel=1e-4)
    history = [
        {name: line[name] for name in ("step", "records")}
        for line in read_history(tmp_path / "run" / "history.jsonl")
    ]
    assert history[-1]["records"] == 42
    assert len(history) == len(expected)
    ours, theirs = (load_file(run / "model.safetensors") for run in (alone, tmp_path / "run"))
    for name, weight in ours.items():
        torch.testing.assert_close(theirs[name], weight, rtol=1e-3, atol=1e-4)
    assert len(re.findall("6 steps on 21 records", done.stdout)) == 2  # each time by one of the two
    assert "train:" not in done.stderr  # in a file a line after half a minute, no bar
    assert done.stderr.count("nothing to resume") == 1


@pytest.mark.slow
def test_two_processes_learn_two_datasets_and_text_as_one_does(digits, tmp_path):
    """Not every process has text in its batch: none may wait for another there."""
    text = tmp_path / "text.txt"
    text.write_text("".join(f"Sentence {n} says something else. " for n in range(40)), "utf-8")
    more = tmp_path / "more"
    profile = Profile(invert="auto", centre=True)
    build_dataset("bundled", more, BuildSettings(limit=20, profile=profile, seed=1), quiet=True)
    chosen = {"method": "lora", "lora_rank": 2, "text_share": 0.2, "text_file": str(text)}
    chosen |= {"max_steps": 6, "validation_records": 20}
    settings = resolve_settings("nano", SETTINGS | chosen | {"batch_size": 8})
    expected = train([digits, more], "nano", tmp_path / "alone", settings, quiet=True)
    launch(digits, tmp_path / "run", "--data", more, **chosen)
    assert len(losses(tmp_path / "alone")) == 6
    assert losses(tmp_path / "run") == pytest.approx(losses(tmp_path / "alone"), rel=1e-3)
    found = RunRecord.load(tmp_path / "run").training
    assert found["records"] == expected.records
    assert found["text_pieces"] == expected.text_pieces > 0
    assert found["validation_accuracy"] == pytest.approx(expected.validation_accuracy, abs=0.11)
    adapter = "adapter_model.safetensors"
    ours, theirs = (load_file(tmp_path / name / adapter) for name in ("alone", "run"))
    for name, weight in ours.items():
        torch.testing.assert_close(theirs[name], weight, rtol=1e-3, atol=1e-4)


def dealt(sampler, batch_size, processes):
    """What accelerate gives each process at each step."""
    order = list(sampler)
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [batches[i : i + processes] for i in range(0, len(batches), processes)]


@pytest.mark.parametrize("records", [1, 5, 8, 21, 24, 403])
def test_processes_together_take_the_batch_of_one(records):
    lengths = torch.randint(5, 60, (records,), generator=torch.manual_seed(0)).tolist()
    alone, together = BucketSampler(lengths, 8, 3), BucketSampler(lengths, 4, 3, processes=2)
    steps = dealt(together, 4, 2)
    assert [len(some) for step in steps for some in step] == [4] * (2 * len(steps))
    taken = [[index for some in step for index in some if index != NOTHING] for step in steps]
    assert taken == [batch for [batch] in dealt(alone, 8, 1)]
    assert len(together) == 4 * 2 * len(steps)


def test_a_blank_has_no_answer_to_learn():
    examples = with_blank([Example([5, 6, 7, 8], 2)])
    batch = collate([examples[NOTHING], examples[NOTHING]], pad=0)
    assert batch["labels"].tolist() == [[-100, -100]] * 2
    mixed = collate([examples[0], examples[NOTHING]], pad=0)
    assert mixed["labels"].tolist() == [[-100, 7, 8], [-100, -100, -100]]
