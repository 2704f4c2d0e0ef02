"""Progress of a run: bar, clock, history and validation; when it is validated and saved."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from transformers import TrainerCallback

from glyphsight.console import progress_bar
from glyphsight.dataset import Record
from glyphsight.files import normal, replacing
from glyphsight.inference import Model, Request
from glyphsight.inference.threshold import choose_threshold, margins
from glyphsight.models import LoadedModel, RunRecord
from glyphsight.models.runs import UNKNOWN, read_history
from glyphsight.sampling import wilson_interval
from glyphsight.train.settings import TrainSettings
from glyphsight.train.state import checkpoint_of, is_first_process
from glyphsight.train.trainer import release_free_memory

_FIRST, _CHUNK = 8, 64  # records before the first look at the clock, and at most between two
_WRITTEN = 50  # records with open answers at most, which the model writes token by token


def validate(
    loaded: LoadedModel,
    run: RunRecord,
    records: Sequence[Record],
    dtype: Any,
    quiet: bool,
    seconds: float,
) -> dict[str, Any]:
    """Judge records in random order until the time allowed is used up; the first few whatever.

    Returns:
        ``validation_accuracy`` (0-1), ``validation_records``, the number judged, and
        ``validation_written``, the number of these whose answer the model wrote since it is open;
        of several questions also ``accuracies`` by question; where ``unknown`` is a label also
        ``unknown_above``, the threshold chosen on these records, with which they are judged.
    """
    started = time.monotonic()
    order = [records[index] for index in np.random.default_rng(0).permutation(len(records))]
    is_open = np.array([not run.task(one.question).labels for one in order])
    order = [order[i] for i in np.flatnonzero(~is_open | (is_open.cumsum() <= _WRITTEN))]
    judged: list[_Judged] = []
    model, size = loaded.model, _FIRST
    asked = Model(replace(loaded, run=run))  # the thresholds of the run it starts from do not count
    was_training = model.training
    model.eval()
    with (
        torch.compiler.set_stance("force_eager"),  # layers are compiled for training alone
        torch.autocast(model.device.type, dtype=dtype, enabled=dtype is not None),
        progress_bar(
            len(order), "record", "validate", leave=False, position=1, delay=1, disable=quiet
        ) as bar,
    ):
        while len(judged) < len(order) and (not judged or time.monotonic() - started < seconds):
            judged += _judge(asked, run, order[len(judged) : len(judged) + size])
            bar.update(len(judged) - bar.n)
            size = min(2 * size, _CHUNK)
    model.train(was_training)
    sure = np.array([one.unknown for one in judged if one.right])
    chosen = replace(run, unknown_above=choose_threshold(sure[np.isfinite(sure)]))
    hits = [(one.question, one.hit(chosen.caution)) for one in judged]
    shares = {
        question: fmean(hit for own, hit in hits if own == question)
        for question in sorted({question for question, _ in hits} & {t.question for t in run.tasks})
    }
    found: dict[str, Any] = {
        "validation_accuracy": fmean(hit for _, hit in hits),
        "validation_records": len(hits),
        "validation_written": sum(not run.task(question).labels for question, _ in hits),
    }
    if any(UNKNOWN in task.labels for task in run.tasks):
        found["unknown_above"] = chosen.unknown_above
    return found | ({"accuracies": shares} if len(shares) > 1 else {})


class _Judged(NamedTuple):
    """Question of a record, and whether the answer other than ``unknown`` is right.

    ``unknown`` is the log-odds of that label, minus infinity where the question has none, and
    ``strange`` says that it is the right one.
    """

    question: str
    right: bool
    unknown: float = -math.inf
    strange: bool = False

    def hit(self, caution: float) -> bool:
        """Tell whether the answer is right where the caution is taken off ``unknown``."""
        return self.strange if self.unknown > caution else self.right


def _judge(model: Model, run: RunRecord, records: list[Record]) -> list[_Judged]:
    """Judge records by likelihood, or in writing where answers are open."""
    prompt = run.prompt
    longest = max((record.answer for record in records), key=len)
    labels = {one.question: run.task(one.question).labels for one in records}
    closed, written = (
        [one for one in records if bool(labels[one.question]) == by] for by in (True, False)
    )
    asked = {
        id(one): Request.about(prompt, one.picture, labels[one.question] or [longest], one.question)
        for one in records
    }
    scores = model.score([asked[id(one)] for one in closed])
    replies = model.generate([asked[id(one)] for one in written])
    found = []
    for one, own in zip(closed, scores, strict=True):
        choices, unknown = labels[one.question], -math.inf
        if UNKNOWN in choices and len(choices) > 1:
            unknown = float(margins(own[None], choices)[0])
            own[choices.index(UNKNOWN)] = -math.inf
        right = choices[int(own.argmax())] == one.answer
        found.append(_Judged(one.question, right, unknown, one.answer == UNKNOWN))
    return found + [
        _Judged(one.question, prompt.read_reply(reply) == normal(one.answer))
        for one, reply in zip(written, replies, strict=True)
    ]


def best_of(history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the best validation in a history, the later of equals; empty where there is none.

    Each counts by the lower end of its 95 % Wilson interval: validations differ in their size, and
    a share of few records may be luck.
    """
    return max(
        (line for line in history if "validation_accuracy" in line),
        key=lambda one: (
            wilson_interval(
                round(one["validation_accuracy"] * one["validation_records"]),
                one["validation_records"],
            )[0],
            one["step"],
        ),
        default={},
    )


_LOSSES = 40
_LEAST_MINUTES = 5
_VALIDATION = 0.1
"""Share of the time of training that validation may take, half of it before the end."""
_SECONDS = 10.0  # seconds that validation may take in any run


class Progress(TrainerCallback):
    """Shows loss and accuracy, keeps the clock, writes ``history.jsonl``.

    Validations and checkpoints are due after equal parts of the run, and at its end; by the clock
    a part has five minutes at least. The best validation has a checkpoint, which is kept.

    Each line of the history has ``step``, ``records`` (seen so far), ``seconds`` (of training, over
    all resumes) and one of: ``loss``; what ``validate`` returns and ``validation_seconds`` (so
    far); ``begun``, the share of the minutes allowed that the first step took.

    Args:
        history: File of the history, in the directory of the run.
        settings: Settings of the run.
        records_seen: Function from a step to the number of records seen by then.
        validate: Function from the seconds allowed to the figures of a validation, or None.
        step: Step of the checkpoint that the run is resumed from, 0 for a new run.
        quiet: True for no progress bar.
    """

    def __init__(
        self,
        history: Path,
        settings: TrainSettings,
        *,
        records_seen: Callable[[int], int],
        validate: Callable[[float], dict[str, Any]] | None,
        step: int = 0,
        quiet: bool = False,
    ) -> None:
        self._history = history
        self._settings = settings
        self._minutes = settings.minutes
        self._records_seen = records_seen
        self._validate = validate
        self._quiet = quiet
        self._passed = (0, 0, 0)
        self._bar: Any = None
        self._shown: dict[str, str] = {}
        self._lines = [line for line in read_history(history) if line["step"] <= step]
        self._spent = float(self._lines[-1]["seconds"]) if self._lines else 0.0
        judged = [line for line in self._lines if "validation_seconds" in line]
        self._validated = judged[-1]["validation_seconds"] if judged else 0.0
        self._judged_at = judged[-1]["step"] if judged else 0
        self._start: float | None = None
        self._agreed: float | None = None
        self._begun: float | None = next((x["begun"] for x in self._lines if "begun" in x), None)

    def seconds(self) -> float:
        """Return the seconds so far, validation and training before a resume included."""
        running = time.monotonic() - self._start if self._start is not None else 0.0
        return round(self._spent + running, 3)  # rounder, a resumed run may take a step more

    def clock(self) -> float:
        """Return the share of the minutes that learning used up; 0 where there is no limit."""
        if self._agreed is not None:
            return self._agreed
        if not self._minutes:
            return 0.0
        return min(1.0, (self.seconds() - self._validated) / (60 * self._minutes))

    def pace(self) -> float:
        """Return the share of the minutes left after the first step that is used up.

        A first step may take minutes: by the clock the learning rate had risen before it was done.
        """
        begun = self._begun
        if begun is None or not self._minutes:
            return 0.0
        return (self.clock() - begun) / (1 - begun) if begun < 1 else 1.0

    def _parts(self, state: Any, clock: float) -> tuple[int, int, int]:
        """Return the parts done, by steps or clock, for evaluations, checkpoints and losses."""

        def done(parts: int, most: float) -> int:
            timed = max(1, min(parts, int(most)))  # by the clock
            by_steps: int = state.global_step * parts // state.max_steps
            return max(by_steps, int(clock * timed) * parts // timed)

        most, settings = self._minutes / _LEAST_MINUTES, self._settings
        return (
            done(settings.evaluations, most),
            done(settings.checkpoints, most),
            done(_LOSSES, _LOSSES),
        )

    def _agree(self, device: Any) -> None:
        """Let all processes take the first one's clock: one learning rate, one last step."""
        if self._minutes and _are_several():
            self._agreed = None
            self._agreed = _of_the_first(self.clock(), device)

    def _write(self, step: int, **values: Any) -> None:
        line = {"step": step, "records": self._records_seen(step), "seconds": self.seconds()}
        self._lines.append(line | values)
        with self._history.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(self._lines[-1]) + "\n")

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar; keep the history up to the checkpoint."""
        self._start = time.monotonic()
        self._agree(args.device)
        self._passed = self._parts(state, self.clock())
        self._keep_best(state)
        if not state.is_world_process_zero:
            self._quiet, self._validate = True, None
            return
        with replacing(self._history) as stream:
            stream.writelines(json.dumps(line) + "\n" for line in self._lines)
        self._bar = progress_bar(
            state.max_steps, "step", "train", initial=state.global_step, disable=self._quiet
        )

    def without_steps(self, fit: Callable[[], None]) -> int:
        """Fit a model in one go; let the first process judge it and keep the figures. Return 0."""
        self._start = time.monotonic()
        fit()
        if is_first_process():
            self._lines, self._spent, self._validated = [], 0.0, 0.0  # of a run that was killed
            self._history.unlink(missing_ok=True)
            self._bar = progress_bar(1, "step", "train", disable=True)
            self._judge(0, last=True)
        return 0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Let all processes take one clock."""
        self._agree(args.device)
        if self._minutes and self._begun is None and state.global_step:
            self._begun = self.clock()
            if self._bar is not None:
                self._write(state.global_step, begun=self._begun)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Advance the bar; validate and save when due; stop when the time is used up."""
        clock, step = self.clock(), state.global_step
        if clock >= 1:
            control.should_training_stop = True
        before, self._passed = self._passed, self._parts(state, clock)
        due, saved, said = (now > then for now, then in zip(self._passed, before, strict=True))
        control.should_save |= saved
        control.should_log |= said
        if self._bar is not None:
            if clock:  # which ends the run where the steps do not
                self._bar.total = min(state.max_steps, max(step, round(step / clock)))
            self._bar.update(1)
        last = step == state.max_steps or control.should_training_stop
        # The last regular point is left to the very end where the two nearly coincide.
        due = due and max(step / state.max_steps, clock) + 0.5 / self._settings.evaluations < 1
        if last or due:
            better = self._judge(step, last)
            control.should_save |= bool(_of_the_first(better, args.device))
            self._keep_best(state)
        return control

    def _judge(self, step: int, last: bool) -> bool:
        """Validate where time allows it; say whether this is the best validation so far."""
        share = _VALIDATION * (self.seconds() - self._validated)
        seconds = max(_SECONDS, share if last else share / 2) - self._validated
        seconds = max(seconds, 1.0) if last else seconds
        if self._validate is None or seconds <= 0 or (step - self._judged_at < 2 and not last):
            return False
        started = time.monotonic()
        values = self._validate(seconds)
        self._validated += time.monotonic() - started
        self._judged_at = step
        self._write(step, **values, validation_seconds=round(self._validated, 3))
        self._shown["validation"] = f"{100 * values['validation_accuracy']:.2f}%"
        self._bar.set_postfix(self._shown, refresh=False)
        return bool(best_of(self._lines)["step"] == step)

    def _keep_best(self, state: Any) -> None:
        """Let the Trainer keep the checkpoint of the best validation."""
        if best := best_of(self._lines):
            state.best_global_step = best["step"]
            state.best_model_checkpoint = str(checkpoint_of(self._history.parent, best["step"]))

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Show and keep the loss."""
        if self._bar is not None and logs and "loss" in logs:
            release_free_memory()
            self._write(state.global_step, loss=logs["loss"])
            self._shown["loss"] = f"{logs['loss']:.3f}"
            self._bar.set_postfix(self._shown, refresh=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


def _are_several() -> bool:
    return bool(dist.is_available() and dist.is_initialized())


def _of_the_first(value: float, device: Any) -> float:
    """Return the first process's value in every process."""
    told = torch.tensor([value], dtype=torch.float64, device=device)
    if _are_several():
        dist.broadcast(told, src=0)
    return float(told)
