from types import SimpleNamespace

import pytest

from glyphsight.train import progress
from glyphsight.train.progress import Progress

ARGS = SimpleNamespace(device="cpu")


def made(history, **changes):
    given = {"minutes": 1.0, "step": 0, "quiet": True} | changes
    return Progress(history, records_seen=lambda step: step, accuracy=None, every=9, **given)


@pytest.fixture
def now(monkeypatch):
    """The time of the clock that runs of a minute go by, in seconds."""
    time = {"now": 0.0}
    monkeypatch.setattr(progress.time, "monotonic", lambda: time["now"])
    return time


def state(step):
    return SimpleNamespace(is_world_process_zero=True, max_steps=100, global_step=step)


def test_a_slow_first_step_does_not_use_up_the_warm_up(tmp_path, now):
    told = made(tmp_path / "h.jsonl")
    told.on_train_begin(ARGS, state(0), None)
    told.on_step_begin(ARGS, state(0), None)
    now["now"] = 30.0  # half of the time allowed
    assert told.clock() == 0.5
    assert told.pace() == 0
    told.on_step_begin(ARGS, state(1), None)
    assert told.pace() == 0
    now["now"] = 45.0
    assert told.clock() == 0.75
    assert told.pace() == pytest.approx(0.5)
    now["now"] = 60.0
    assert told.pace() == pytest.approx(1)


def test_a_resumed_run_keeps_the_pace_it_had(tmp_path, now):
    history = tmp_path / "h.jsonl"
    history.write_text(
        '{"step": 1, "records": 1, "seconds": 30.0, "begun": 0.5}\n'
        '{"step": 5, "records": 5, "seconds": 45.0, "loss": 1.0}\n'
    )
    told = made(history, step=5)
    told.on_train_begin(ARGS, state(5), None)
    told.on_step_begin(ARGS, state(5), None)
    assert told.pace() == pytest.approx(0.5)


def test_a_run_of_before_goes_on_by_the_clock_alone(tmp_path, now):
    history = tmp_path / "h.jsonl"
    history.write_text('{"step": 5, "records": 5, "seconds": 45.0, "loss": 1.0}\n')
    assert made(history, step=5).pace() == pytest.approx(0.75)


def test_without_minutes_there_is_no_pace(tmp_path, now):
    told = made(tmp_path / "h.jsonl", minutes=0.0)
    told.on_train_begin(ARGS, state(0), None)
    told.on_step_begin(ARGS, state(1), None)
    assert told.pace() == told.clock() == 0
    assert (tmp_path / "h.jsonl").read_text() == ""
