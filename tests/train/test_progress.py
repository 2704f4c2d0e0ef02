from types import SimpleNamespace

import pytest

from glyphsight.train import progress
from glyphsight.train.history import read_history
from glyphsight.train.progress import Progress

ARGS = SimpleNamespace(device="cpu")


def made(history, **changes):
    given = {"minutes": 1.0, "step": 0, "quiet": True, "accuracy": None} | changes
    given = {"evaluations": 4, "checkpoints": 5} | given
    return Progress(history, records_seen=lambda step: step, **given)


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


def due(told, now, seconds_a_step, count, begun=0):
    """The steps after which it asks for a checkpoint, and those at which it took the accuracy."""
    saved, stopped = [], False
    for step in range(begun + 1, count + 1):
        now["now"] += seconds_a_step
        control = SimpleNamespace(should_save=False, should_training_stop=False)
        told.on_step_end(ARGS, state(step), control)
        if control.should_save:
            saved.append(step)
        if control.should_training_stop:
            stopped = True
            break
    return saved, stopped


def accuracies(history):
    return [line["step"] for line in read_history(history) if "validation_accuracy" in line]


def test_the_clock_brings_checkpoints_and_accuracies_where_steps_are_slow(tmp_path, now):
    history = tmp_path / "h.jsonl"
    told = made(history, minutes=25.0, accuracy=lambda: {"validation_accuracy": 0.5})
    told.on_train_begin(ARGS, state(0), None)
    assert due(told, now, 100.0, 100) == ([3, 6, 9, 12, 15], True)
    assert accuracies(history) == [4, 8, 12, 15]


def test_a_run_of_minutes_has_its_time_for_learning(tmp_path, now):
    history = tmp_path / "h.jsonl"
    told = made(history, minutes=5.0, accuracy=lambda: {"validation_accuracy": 0.5})
    told.on_train_begin(ARGS, state(0), None)
    assert due(told, now, 20.0, 100) == ([15], True)
    assert accuracies(history) == [15]


def test_steps_bring_them_where_there_are_no_minutes(tmp_path, now):
    history = tmp_path / "h.jsonl"
    told = made(history, minutes=0.0, accuracy=lambda: {"validation_accuracy": 0.5})
    told.on_train_begin(ARGS, state(0), None)
    assert due(told, now, 4.0, 100) == ([20, 40, 60, 80, 100], False)
    assert accuracies(history) == [25, 50, 75, 100]


def test_a_resumed_run_is_due_where_it_would_have_been(tmp_path, now):
    history = tmp_path / "h.jsonl"
    history.write_text('{"step": 6, "records": 6, "seconds": 600.0, "loss": 1.0}\n')
    told = made(history, minutes=25.0, step=6, accuracy=lambda: {"validation_accuracy": 0.5})
    told.on_train_begin(ARGS, state(6), None)
    assert due(told, now, 100.0, 100, begun=6) == ([9, 12, 15], True)
    assert accuracies(history) == [8, 12, 15]


def test_without_minutes_there_is_no_pace(tmp_path, now):
    told = made(tmp_path / "h.jsonl", minutes=0.0)
    told.on_train_begin(ARGS, state(0), None)
    told.on_step_begin(ARGS, state(1), None)
    assert told.pace() == told.clock() == 0
    assert (tmp_path / "h.jsonl").read_text() == ""
