from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glyphsight.models.runs import read_history
from glyphsight.train import progress
from glyphsight.train.progress import Progress, best_of
from glyphsight.train.settings import TrainSettings

ARGS = SimpleNamespace(device="cpu")


def made(history, **changes):
    given = {"minutes": 1.0, "step": 0, "validate": None, "evaluations": 4} | changes
    some = {name: given.pop(name) for name in ("minutes", "evaluations")}
    settings = TrainSettings(**some, checkpoints=5)
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


def figures(share, of=500):
    return {"validation_accuracy": share, "validation_records": of}


def due(told, now, seconds_a_step, count, begun=0):
    """The steps after which it asks for a checkpoint, and whether the clock ended the run."""
    saved, stopped = [], False
    for step in range(begun + 1, count + 1):
        now["now"] += seconds_a_step
        control = SimpleNamespace(should_save=False, should_log=False, should_training_stop=False)
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
            *(25.0, 100.0, ([3, 4, 6, 9, 12, 15], True), [4, 8, 12, 15]),
            id="by the clock where steps are slow",
        ),
        pytest.param(*(5.0, 20.0, ([15], True), [15]), id="minutes are for learning"),
        pytest.param(
            *(0.0, 4.0, ([20, 25, 40, 60, 80, 100], False), [25, 50, 75, 100]),
            id="by steps where there are no minutes",
        ),
    ],
)
def test_checkpoints_and_accuracies_are_due(tmp_path, now, minutes, seconds_a_step, asked, judged):
    history = tmp_path / "h.jsonl"
    worse = (figures(share) for share in (0.5, 0.4, 0.3, 0.2))
    told = made(history, minutes=minutes, validate=lambda seconds: next(worse))
    told.on_train_begin(ARGS, state(0), None)
    assert due(told, now, seconds_a_step, 100) == asked
    assert accuracies(history) == judged


def test_a_resumed_run_is_due_where_it_would_have_been(tmp_path, now):
    history = tmp_path / "h.jsonl"
    history.write_text('{"step": 6, "records": 6, "seconds": 600.0, "loss": 1.0}\n')
    worse = (figures(share) for share in (0.5, 0.4, 0.3))
    told = made(history, minutes=25.0, step=6, validate=lambda seconds: next(worse))
    told.on_train_begin(ARGS, state(6), None)
    assert due(told, now, 100.0, 100, begun=6) == ([8, 9, 12, 15], True)
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
        return figures(0.5)

    told = made(tmp_path / "h.jsonl", minutes=60.0, validate=validate)
    told.on_train_begin(ARGS, state(0), None)
    assert due(told, now, 100.0, 36)[1]
    assert now["now"] == pytest.approx(36 * 100.0 + sum(spent))
    assert sum(spent) <= 0.1 * 36 * 100.0 + 1
    assert told.clock() == pytest.approx(1)
    again = made(tmp_path / "h.jsonl", minutes=60.0, validate=validate, step=36)
    assert again.clock() == pytest.approx(1, abs=0.01)


@example(minutes=0.0, seconds_a_step=1.0, a_validation=0.3125, evaluations=35)
@example(minutes=2.2e-311, seconds_a_step=1.0, a_validation=1.0, evaluations=1)
@given(
    minutes=st.floats(0, 300),
    seconds_a_step=st.floats(0.1, 2000),
    a_validation=st.floats(0.1, 2000),
    evaluations=st.integers(1, 300),
)
def test_never_is_there_one_step_alone_between_two_validations(
    tmp_path_factory, minutes, seconds_a_step, a_validation, evaluations
):
    time = {"now": 0.0}

    def validate(seconds):
        time["now"] += a_validation
        return figures(0.5)

    history = tmp_path_factory.mktemp("run") / "h.jsonl"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(progress.time, "monotonic", lambda: time["now"])
        told = made(history, minutes=minutes, evaluations=evaluations, validate=validate)
        told.on_train_begin(ARGS, state(0), None)
        due(told, time, seconds_a_step, 100)
    steps = accuracies(history)
    assert all(after - before > 1 for before, after in pairwise(steps[:-1]))
    # Whatever a validation takes, the next waits until it is a tenth of the training.
    assert a_validation * (len(steps) - 2) <= max(10, 0.1 * 100 * seconds_a_step) + 0.1


def test_the_best_validation_is_the_last_of_equals_and_not_the_luck_of_a_few():
    lines = [{"step": 1, "loss": 1.0}]
    assert best_of(lines) == {}
    lines += [figures(0.99, 300) | {"step": 2}, figures(0.9633, 300) | {"step": 9}]
    assert best_of(lines)["step"] == 2
    assert best_of([*lines, figures(0.99, 300) | {"step": 12}])["step"] == 12
    assert best_of([*lines, figures(1.0, 8) | {"step": 12}])["step"] == 2


def test_validations_of_two_sizes_are_compared_by_what_their_intervals_promise():
    def best(first, second):
        return best_of([first | {"step": 1}, second | {"step": 2}])["step"]

    assert best(figures(0.5, 500), figures(0.512, 248)) == 1  # 0.456 and 0.450 at least
    assert best(figures(0.512, 248), figures(0.5, 500)) == 2
    assert best(figures(0.5, 500), figures(0.6, 248)) == 2
    assert best(figures(0.9, 500), figures(0.9, 500)) == 2


@pytest.mark.parametrize(("minutes", "seconds_a_step"), [(0.0, 1.0), (60.0, 40.0), (1.0, 0.1)])
def test_the_loss_is_told_forty_times_by_steps_or_by_the_clock(
    tmp_path, now, minutes, seconds_a_step
):
    told = made(tmp_path / "h.jsonl", minutes=minutes)
    of = SimpleNamespace(is_world_process_zero=True, max_steps=10**9, global_step=0)
    if not minutes:
        of.max_steps = 1000
    told.on_train_begin(ARGS, of, None)
    logged, stopped = 0, False
    while not stopped and of.global_step < of.max_steps:
        of.global_step += 1
        now["now"] += seconds_a_step
        control = SimpleNamespace(should_save=False, should_log=False, should_training_stop=False)
        told.on_step_end(ARGS, of, control)
        logged, stopped = logged + control.should_log, control.should_training_stop
    assert logged == 40


def test_a_record_is_judged_by_its_own_label_and_by_the_caution_with_unknown():
    seven = progress._Judged("", right=True, unknown=2.0)
    assert (seven.hit(1.0), seven.hit(3.0)) == (False, True)
    cat = progress._Judged("", right=False, unknown=2.0, strange=True)
    assert (cat.hit(1.0), cat.hit(3.0)) == (True, False)
    assert progress._Judged("", right=True).hit(0.0)
