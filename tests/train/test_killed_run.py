"""A run that is killed, runs out of disk or loses its numbers goes on as if it never had."""

import os
import random
import resource
import signal
import time
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file

from forks import forking
from glyphsight.errors import ModelError
from glyphsight.models import load_model
from glyphsight.models.runs import read_history
from glyphsight.train import run as train_run
from glyphsight.train.progress import Progress
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings
from glyphsight.train.trainer import AnswerTrainer

pytestmark = pytest.mark.slow
SMALL = {"batch_size": 4, "max_steps": 4, "checkpoints": 4, "evaluations": 1}
SMALL |= {"validation_records": 5}


def settings():
    return resolve_settings("nano", SMALL)


def weights(run):
    return load_file(run / "model.safetensors")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture(scope="module")
def unbroken(digits, tmp_path_factory):
    """The weights of a run that nothing disturbs."""
    path = tmp_path_factory.mktemp("unbroken") / "run"
    train(digits, "nano", path, settings(), quiet=True)
    return weights(path)


KILLED = """
from pathlib import Path
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

def work(data, run, resume):
    given = {"max_steps": 12, "checkpoints": 12, "evaluations": 2, "batch_size": 4}
    settings = resolve_settings("nano", given | {"validation_records": 5})
    train(Path(data), "nano", Path(run), settings, resume=bool(resume), quiet=True)
"""
KILLS = 4


def kill(fork, run, dice):
    """Kill it within a step or two of its first new checkpoint; whether it was still training."""

    def checkpoints():
        return {path.name for path in (run / "checkpoints").glob("checkpoint-*")}

    before = checkpoints()
    with suppress(ProcessLookupError):  # it has ended
        while not checkpoints() - before:
            os.kill(fork.pid, 0)
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.15))
    fork.kill()
    status = fork.wait()
    assert status in (0, -signal.SIGKILL)
    return status != 0


def test_a_run_killed_at_any_moment_ends_in_the_same_weights(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("GLYPHSIGHT_DEVICE", "cpu")
    dice, kills, run = random.Random(), 0, tmp_path / "broken"
    with forking(KILLED) as start:
        assert start(digits, tmp_path / "whole", "").wait() == 0
        while kills < KILLS and kill(start(digits, run, "--resume" * (kills > 0)), run, dice):
            kills += 1
        assert start(digits, run, "--resume").wait() == 0
    assert kills >= 3
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))
    whole, broken = (
        [{k: v for k, v in line.items() if k != "seconds"} for line in read_history(file)]
        for file in (tmp_path / name / "history.jsonl" for name in ("whole", "broken"))
    )
    assert [line for line in broken if "loss" in line] == [x for x in whole if "loss" in x]


@pytest.fixture
def no_larger_file():
    """Let no file grow past some bytes, as a full disk would not; taken back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("part", "room"),
    [("store_flos", 1 << 20), ("_save_optimizer_and_scheduler", 1 << 20), ("_save_rng_state", 99)],
)
def test_a_full_disk_stops_the_run_and_resume_goes_on(
    digits, tmp_path, unbroken, monkeypatch, no_larger_file, part, room
):
    write = getattr(AnswerTrainer, part)

    def disk_is_full_from_step_3(self, *given):
        no_larger_file(room if self.state.global_step == 3 else resource.RLIM_INFINITY)
        return write(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(AnswerTrainer, part, disk_is_full_from_step_3)
        with pytest.raises(ModelError) as caught:
            train(digits, "nano", tmp_path / "run", settings(), quiet=True)
    no_larger_file(resource.RLIM_INFINITY)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{tmp_path / 'run'}: stopped at step 3: cannot be written (")
    assert "the checkpoint of step 2 is kept. Make room" in said
    assert "--resume" in said
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert kept == {"checkpoint-1", "checkpoint-2"}
    train(digits, "nano", tmp_path / "run", settings(), resume=True, quiet=True)
    assert same(weights(tmp_path / "run"), unbroken)


def test_a_disk_that_fills_up_at_the_very_end_loses_nothing(
    digits, tmp_path, unbroken, monkeypatch, no_larger_file
):
    publish = train_run._publish

    def disk_is_full(*given):
        no_larger_file(1 << 20)
        publish(*given)

    with monkeypatch.context() as patched:
        patched.setattr(train_run, "_publish", disk_is_full)
        with pytest.raises(ModelError, match=r"step 4: cannot be written .*step 4 is kept"):
            train(digits, "nano", tmp_path / "run", settings(), quiet=True)
    no_larger_file(resource.RLIM_INFINITY)
    with pytest.raises(ModelError, match=r"cannot be loaded|not finished"):
        load_model(tmp_path / "run")
    train(digits, "nano", tmp_path / "run", settings(), resume=True, quiet=True)
    assert same(weights(tmp_path / "run"), unbroken)


@pytest.mark.parametrize(
    ("moment", "reason"), [("on_step_begin", "the loss is"), ("on_step_end", "a weight is")]
)
def test_numbers_that_are_lost_stop_the_run_and_no_checkpoint_holds_them(
    digits, tmp_path, unbroken, monkeypatch, moment, reason
):
    usual = getattr(Progress, moment)
    step = 2 if moment == "on_step_begin" else 3  # both before the third checkpoint

    def poisoned(self, args, state, control, **given):
        if state.global_step == step:
            given["model"].lm_head.weight.data[5, 5] = float("nan")
        return usual(self, args, state, control, **given)

    with monkeypatch.context() as patched:
        patched.setattr(Progress, moment, poisoned)
        with pytest.raises(ModelError) as caught:
            train(digits, "nano", tmp_path / "run", settings(), quiet=True)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'run'}: stopped at step {step}: {reason} no longer a fini")
    assert "the checkpoint of step 2 is kept for --resume" in said
    assert "lower --learning-rate" in said
    train(digits, "nano", tmp_path / "run", settings(), resume=True, quiet=True)
    assert same(weights(tmp_path / "run"), unbroken)
