"""What a run says while it learns: a bar with loss and validation accuracy, and a history file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

from glyphsight.train.history import read_history


class Progress(TrainerCallback):
    """Shows loss and accuracy as they change; writes ``history.jsonl`` line by line.

    Each line has ``step``, ``records`` (seen so far), ``seconds`` (of training, over all resumes)
    and ``loss`` or ``validation_accuracy``.
    """

    def __init__(
        self,
        history: Path,
        batch_size: int,
        accuracy: Callable[[], float] | None,
        every: int,
        quiet: bool,
    ) -> None:
        self._history = history
        self._batch_size = batch_size
        self._accuracy = accuracy
        self._every = every
        self._quiet = quiet
        self._bar: Any = None
        self._shown: dict[str, str] = {}
        self._before = 0.0
        self._start = 0.0

    def _write(self, step: int, **values: float) -> None:
        line = {
            "step": step,
            "records": step * self._batch_size,
            "seconds": round(self._before + time.monotonic() - self._start, 1),
            **values,
        }
        with self._history.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar; after a resume keep the history up to the checkpoint."""
        kept = [line for line in read_history(self._history) if line["step"] <= state.global_step]
        self._history.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
        self._before = float(kept[-1]["seconds"]) if kept else 0.0
        self._start = time.monotonic()
        self._bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc="train",
            unit="step",
            disable=self._quiet,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance the bar; take the validation accuracy when it is due."""
        self._bar.update(1)
        last = state.global_step == state.max_steps or control.should_training_stop
        if self._accuracy is not None and (last or state.global_step % self._every == 0):
            value = self._accuracy()
            self._write(state.global_step, validation_accuracy=value)
            self._shown["validation"] = f"{100 * value:.2f}%"
            self._bar.set_postfix(self._shown)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Show and keep the loss."""
        if logs and "loss" in logs:
            self._write(state.global_step, loss=logs["loss"])
            self._shown["loss"] = f"{logs['loss']:.3f}"
            self._bar.set_postfix(self._shown)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        self._bar.close()
