"""Accuracy on validation records, within a time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from glyphsight.console import progress_bar
from glyphsight.dataset import Record
from glyphsight.inference import Model, Request
from glyphsight.models import LoadedModel, RunRecord

_CHUNK = 50  # records between two looks at the clock
_WRITTEN = 50  # records with open answers at most, which the model writes token by token


@dataclass(frozen=True)
class Validation:
    """Validation records of a run and the model that answers them.

    Attributes:
        loaded: The model.
        run: Record of the run, which has wording and tasks.
        records: Validation records of all datasets.
        dtype: Type of autocast, None for float32.
        quiet: Whether to show no progress bar.
    """

    loaded: LoadedModel
    run: RunRecord
    records: Sequence[Record]
    dtype: Any
    quiet: bool

    def __call__(self, seconds: float) -> dict[str, Any]:
        """Judge validation records in random order until the time is used up.

        Args:
            seconds: Time allowed; the first records are judged whatever they take.

        Returns:
            ``validation_accuracy`` (0-1) and ``validation_records``, the number judged; of several
            questions also ``accuracies`` by question.
        """
        started = time.monotonic()
        chosen = self._chosen()
        judged: Counter[str] = Counter()
        right: Counter[str] = Counter()
        model = self.loaded.model
        was_training = model.training
        model.eval()
        with (
            torch.autocast(model.device.type, dtype=self.dtype, enabled=self.dtype is not None),
            progress_bar(
                total=len(chosen),
                desc="validate",
                unit="record",
                leave=False,
                position=1,
                delay=1,
                disable=self.quiet,
            ) as bar,
        ):
            for start in range(0, len(chosen), _CHUNK):
                some = chosen[start : start + _CHUNK]
                for record, hit in zip(some, self._hits(some), strict=True):
                    judged[record.question] += 1
                    right[record.question] += hit
                bar.update(len(some))
                if time.monotonic() - started > seconds:
                    break
        model.train(was_training)
        found: dict[str, Any] = {
            "validation_accuracy": right.total() / judged.total(),
            "validation_records": judged.total(),
        }
        if len(judged) > 1:
            found["accuracies"] = {one: right[one] / judged[one] for one in sorted(judged)}
        return found

    def _chosen(self) -> list[Record]:
        """Return the records in random order, of those with open answers a sample."""
        order = np.random.default_rng(0).permutation(len(self.records))
        records = [self.records[index] for index in order]
        written = [one for one in records if not self.run.task(one.question).labels]
        left_out = set(map(id, written[_WRITTEN:]))
        return [one for one in records if id(one) not in left_out]

    def _hits(self, records: list[Record]) -> list[bool]:
        """Say of each record whether the model answers it right: by likelihood or in writing."""
        prompt, model = self.run.prompt, Model(self.loaded)
        longest = prompt.reply(max((record.answer for record in records), key=len))
        asked: dict[bool, list[tuple[Record, Request]]] = {True: [], False: []}
        for record in records:
            labels = self.run.task(record.question).labels
            answers = tuple(map(prompt.reply, labels)) or (longest,)
            text = prompt.ask(record.picture, record.question)
            asked[bool(labels)].append((record, Request(text, answers)))
        right: dict[int, bool] = {}
        columns = model.best([request for _, request in asked[True]])
        for (record, request), column in zip(asked[True], columns, strict=True):
            right[id(record)] = request.answers[column] == prompt.reply(record.answer)
        replies = model.generate([request for _, request in asked[False]])
        for (record, _), reply in zip(asked[False], replies, strict=True):
            right[id(record)] = prompt.read_reply(reply) == record.answer
        return [right[id(record)] for record in records]
