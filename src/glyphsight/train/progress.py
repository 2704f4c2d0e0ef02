"""What a run does while it learns: a bar with loss and accuracy, a history, when it is saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback

from glyphsight.console import progress_bar
from glyphsight.files import replacing
from glyphsight.train.history import read_history

_LEAST_MINUTES = 5


class Progress(TrainerCallback):
    """Shows loss and accuracy as they change, keeps the clock, writes ``history.jsonl``.

    Accuracy and checkpoints are due after equal parts of the run, and at its end.

    Each line has ``step``, ``records`` (seen so far), ``seconds`` (of training, over all resumes)
    and ``loss``, ``validation_accuracy``, with ``of_kind`` where several kinds are taught, or
    ``begun``: the share of the minutes allowed that the first step took.
    """

    def __init__(
        self,
        history: Path,
        *,
        records_seen: Callable[[int], int],
        accuracy: Callable[[], dict[str, Any]] | None,
        evaluations: int,
        checkpoints: int,
        minutes: float,
        step: int,
        quiet: bool,
    ) -> None:
        self._history = history
        self._records_seen = records_seen
        self._accuracy = accuracy
        self._evaluations = evaluations
        self._checkpoints = checkpoints
        self._passed = (0, 0)
        self._minutes = minutes
        self._quiet = quiet
        self._bar: Any = None
        self._shown: dict[str, str] = {}
        self._lines = [line for line in read_history(history) if line["step"] <= step]
        self._spent = float(self._lines[-1]["seconds"]) if self._lines else 0.0
        self._start: float | None = None
        self._agreed = 0.0
        self._begun: float | None = next(
            (line["begun"] for line in self._lines if "begun" in line), None
        )
        if step and self._begun is None:
            self._begun = 0.0  # a run of before

    def seconds(self) -> float:
        """Seconds of training so far, those before a resume counted in."""
        running = time.monotonic() - self._start if self._start is not None else 0.0
        return round(self._spent + running, 1)

    def clock(self) -> float:
        """Share of the minutes allowed that is used up; 0 where there is no limit.

        Several processes go by the first one's clock, as it was before the step: else each would
        have a learning rate of its own, and stop at a step of its own.
        """
        if self._minutes and dist.is_available() and dist.is_initialized():
            return self._agreed
        return self._own_clock()

    def pace(self) -> float:
        """Share of the minutes left after the first step that is used up, as :meth:`clock` has it.

        A first step takes far longer than any other, on a GPU more than a minute: by the clock
        alone the learning rate had risen before a step was done.
        """
        begun = self._begun
        if begun is None or not self._minutes:
            return 0.0
        return (self.clock() - begun) / (1 - begun) if begun < 1 else 1.0

    def _parts(self, state: Any, clock: float) -> tuple[int, int]:
        """Parts of the run that are done, by steps or, when further, by the clock.

        As many parts as there are evaluations, and as checkpoints; parts of five minutes at least
        by the clock, which they take time of.
        """

        def done(parts: int) -> int:
            timed = max(1, min(parts, int(self._minutes / _LEAST_MINUTES)))
            by_steps: int = state.global_step * parts // state.max_steps
            return max(by_steps, int(clock * timed) * parts // timed)

        return done(self._evaluations), done(self._checkpoints)

    def _own_clock(self) -> float:
        return self.seconds() / (60 * self._minutes) if self._minutes else 0.0

    def _agree(self, device: Any) -> None:
        """Take over the first process's clock."""
        if self._minutes and dist.is_available() and dist.is_initialized():
            told = torch.tensor([self._own_clock()], dtype=torch.float64, device=device)
            dist.broadcast(told, src=0)
            self._agreed = float(told)

    def _write(self, step: int, **values: Any) -> None:
        line = {"step": step, "records": self._records_seen(step), "seconds": self.seconds()}
        with self._history.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line | values) + "\n")

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar; after a resume keep the history up to the checkpoint."""
        self._start = time.monotonic()
        self._agree(args.device)
        self._passed = self._parts(state, self.clock())
        if not state.is_world_process_zero:
            self._quiet, self._accuracy = True, None
            return
        with replacing(self._history) as stream:
            stream.writelines(json.dumps(line) + "\n" for line in self._lines)
        self._bar = progress_bar(
            total=state.max_steps,
            initial=state.global_step,
            desc="train",
            unit="step",
            disable=self._quiet,
        )

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Let all processes go by one clock."""
        self._agree(args.device)
        if self._minutes and self._begun is None and state.global_step:
            self._begun = self.clock()
            if self._bar is not None:
                self._write(state.global_step, begun=self._begun)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Advance the bar; take accuracy and checkpoints when due; stop when time is used up."""
        clock, step = self.clock(), state.global_step
        if clock >= 1:
            control.should_training_stop = True
        before, self._passed = self._passed, self._parts(state, clock)
        due, written = (now > then for now, then in zip(self._passed, before, strict=True))
        control.should_save |= written
        if self._bar is None:
            return control
        if clock:  # which ends the run where the steps do not
            self._bar.total = min(state.max_steps, max(step, round(step / clock)))
        self._bar.update(1)
        last = step == state.max_steps or control.should_training_stop
        # The last regular point is left to the very end where the two nearly coincide.
        due = due and max(step / state.max_steps, clock) + 0.5 / self._evaluations < 1
        if self._accuracy is not None and (last or due):
            values = self._accuracy()
            self._write(step, **values)
            self._shown["validation"] = f"{100 * values['validation_accuracy']:.2f}%"
            self._bar.set_postfix(self._shown, refresh=False)
        return control

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Show and keep the loss."""
        if self._bar is not None and logs and "loss" in logs:
            self._write(state.global_step, loss=logs["loss"])
            self._shown["loss"] = f"{logs['loss']:.3f}"
            self._bar.set_postfix(self._shown, refresh=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
