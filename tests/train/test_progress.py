from types import SimpleNamespace

import pytest

from glyphsight.models.runs import read_history
from glyphsight.train import progress
from glyphsight.train.progress import Progress
from glyphsight.train.settings import TrainSettings

ARGS = SimpleNamespace(device="cpu")


def made(history, **changes):
    given = {"minutes": 1.0, "step": 0, "validate": None} | changes
    settings = TrainSettings(minutes=given.pop("minutes"), evaluations=4, checkpoints=5)
    return Progress(history, settings, records_seen=lambda step: step, quiet=True, **given)


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


def due(told, now, seconds_a_step, count, begun=0):
    """The steps after which it asks for a checkpoint, and whether the clock ended the run."""
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


@pytest.mark.parametrize(
    ("minutes", "seconds_a_step", "asked", "judged"),
    [
        pytest.param(
            *(25.0, 100.0, ([3, 6, 9, 12, 15], True), [4, 8, 12, 15]),
            id="by the clock where steps are slow",
        ),
        pytest.param(*(5.0, 20.0, ([15], True), [15]), id="minutes are for learning"),
        pytest.param(
            *(0.0, 4.0, ([20, 40, 60, 80, 100], False), [25, 50, 75, 100]),
            id="by steps where there are no minutes",
        ),
    ],
)
def test_checkpoints_and_accuracies_are_due(tmp_path, now, minutes, seconds_a_step, asked, judged):
    history = tmp_path / "h.jsonl"
    told = made(history, minutes=minutes, validate=lambda seconds: {"validation_accuracy": 0.5})
    told.on_train_begin(ARGS, state(0), None)
    assert due(told, now, seconds_a_step, 100) == asked
    assert accuracies(history) == judged


def test_a_resumed_run_is_due_where_it_would_have_been(tmp_path, now):
    history = tmp_path / "h.jsonl"
    history.write_text('{"step": 6, "records": 6, "seconds": 600.0, "loss": 1.0}\n')
    told = made(
        history, minutes=25.0, step=6, validate=lambda seconds: {"validation_accuracy": 0.5}
    )
    told.on_train_begin(ARGS, state(6), None)
    assert due(told, now, 100.0, 100, begun=6) == ([9, 12, 15], True)
    assert accuracies(history) == [8, 12, 15]


def test_without_minutes_there_is_no_pace(tmp_path, now):
    told = made(tmp_path / "h.jsonl", minutes=0.0)
    told.on_train_begin(ARGS, state(0), None)
    told.on_step_begin(ARGS, state(1), None)
    assert told.pace() == told.clock() == 0
    assert (tmp_path / "h.jsonl").read_text() == ""


@pytest.mark.parametrize("slow", [1.0, 100.0, 400.0])
def test_validation_takes_a_tenth_of_the_time_and_none_of_the_minutes(tmp_path, now, slow):
    spent = []

    def validate(seconds):
        spent.append(min(slow, max(seconds, 1.0)))
        now["now"] += spent[-1]
        return {"validation_accuracy": 0.5}

    told = made(tmp_path / "h.jsonl", minutes=60.0, validate=validate)
    told.on_train_begin(ARGS, state(0), None)
    assert due(told, now, 100.0, 36)[1]
    assert now["now"] == pytest.approx(36 * 100.0 + sum(spent))
    assert sum(spent) <= 0.1 * 36 * 100.0 + 1
    assert told.clock() == pytest.approx(1)
    again = made(tmp_path / "h.jsonl", minutes=60.0, validate=validate, step=36)
    assert again.clock() == pytest.approx(1, abs=0.01)
