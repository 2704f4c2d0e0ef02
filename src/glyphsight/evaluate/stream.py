"""Answers to any number of records: in chunks, in bounded memory, here or on many machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight import parallel
from glyphsight.console import progress_bar, say
from glyphsight.dataset import Prompt, Record
from glyphsight.evaluate.result import Sample, SampleFile
from glyphsight.evaluate.sample_log import SampleLog
from glyphsight.evaluate.selection import Judged, Picker
from glyphsight.inference.model import Model
from glyphsight.inference.score import generate_replies, probabilities, score_readable
from glyphsight.models import LoadedModel
from glyphsight.parallel import Workers

CHUNK = 512
"""Records scored together; what is written at once, and lost at most when a run is killed."""


@dataclass(frozen=True)
class Asked:
    """What is asked of every record.

    Attributes:
        labels: The answers to choose from.
        prompt: The words around picture and answer.
        batch_size: Pictures a forward pass.
    """

    labels: list[str]
    prompt: Prompt
    batch_size: int


@dataclass(frozen=True)
class Chunk:
    """Records that are scored together.

    Attributes:
        places: Their places in the data, int64[n].
        free: Rows of the chunk the model also writes freely on.
    """

    places: NDArray[np.int64]
    free: list[int]


@dataclass(frozen=True)
class Answered:
    """What became of a chunk.

    Attributes:
        samples: An outcome a record.
        scoring: Seconds of reading and scoring.
        writing: Seconds of free writing.
    """

    samples: list[Sample]
    scoring: float
    writing: float


def answer(
    loaded: LoadedModel,
    records: list[Record],
    free: list[int],
    asked: Asked,
    progress: Callable[[int], object],
) -> tuple[list[Sample], float]:
    """The outcome of every record, and the seconds that free writing took of it all.

    A record that exceeds the model's window has an outcome too: no answer.

    Args:
        loaded: The model.
        records: At least one.
        free: Rows the model also writes freely on.
        asked: What is asked.
        progress: Called with the number of records scored since the last call.
    """
    prompts = [asked.prompt.ask(record.picture, record.question) for record in records]
    labels, prompt, size = asked.labels, asked.prompt, asked.batch_size
    rows, scores, too_long = score_readable(
        loaded, prompts, labels, prompt, batch_size=size, progress=progress
    )
    progress(len(too_long))
    start = time.monotonic()
    writing = [row for row in free if row not in too_long]
    some = [prompts[row] for row in writing]
    replies = generate_replies(loaded, some, labels, prompt, batch_size=size) if some else []
    seconds = time.monotonic() - start
    written = dict.fromkeys(free, "") | dict(zip(writing, replies, strict=True))
    chances = dict(zip(rows, probabilities(scores).tolist(), strict=True))
    samples = []
    for row, record in enumerate(records):
        of_each = dict(zip(labels, chances[row], strict=True)) if row in chances else {}
        best = max(of_each, key=of_each.__getitem__, default="")
        samples.append(
            Sample(
                record.picture,
                record.answer,
                best,
                of_each.get(best, 0.0),
                of_each,
                written.get(row),
            )
        )
    return samples, seconds


class Answering:
    """Answers chunks; a worker keeps it, with the model and the place it has read to."""

    def __init__(
        self,
        model: Model,
        picker: Picker,
        asked: Asked,
        held: list[Record] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        self._model, self._picker, self._asked = model, picker, asked
        self._held, self._progress = held, progress

    def __call__(self, chunk: Chunk) -> Answered:
        """The outcomes of a chunk."""
        loaded = self._model.get()
        start = time.monotonic()
        if self._held is None:
            records = self._picker.take(chunk.places)
        else:
            records = [self._held[place] for place in chunk.places.tolist()]
        progress = self._progress or (lambda n: None)
        samples, writing = answer(loaded, records, chunk.free, self._asked, progress)
        return Answered(samples, time.monotonic() - start - writing, writing)


def _chunks(judged: Judged, free: NDArray[np.int64], done: int) -> Iterator[Chunk]:
    for start in range(done, len(judged), CHUNK):
        stop = min(start + CHUNK, len(judged))
        inside = free[np.searchsorted(free, start) : np.searchsorted(free, stop)]
        yield Chunk(judged.places[start:stop], (inside - start).tolist())


def stream(
    model: Model,
    judged: Judged,
    asked: Asked,
    free: NDArray[np.int64],
    note: Callable[[Sample], object],
    *,
    directory: Path | None,
    settings: dict[str, Any],
    where: Workers,
    quiet: bool,
) -> tuple[list[Sample] | SampleFile, float]:
    """Answer every record, in order.

    Args:
        model: Who answers.
        judged: The records.
        asked: What is asked of each.
        free: Rows of ``judged`` the model also writes freely on, ascending.
        note: Takes every outcome once, in order, those of an earlier call too.
        directory: Where ``samples.jsonl`` is written; None keeps the outcomes in memory.
        settings: What the outcomes depend on; only outcomes of the same settings are gone on from.
        where: Where the work is done.
        quiet: Show no progress bar.

    Returns:
        The outcomes, and the seconds that reading and scoring took, from the first record on.

    Raises:
        GlyphsightError: The records cannot be read, asked or written.
    """
    log = None if directory is None else SampleLog(directory, settings)
    kept: list[Sample] = []
    done = 0 if log is None else log.count
    if log is not None and done:
        if not quiet:
            say(f"glyphsight: {done} of {len(judged)} answers are there; going on from them")
        for sample in log.samples:
            note(sample)
    seconds = 0.0
    with (
        closing(log or _Nothing()),
        progress_bar(
            total=len(judged), initial=done, desc="score", unit="pic", disable=quiet
        ) as bar,
    ):
        answering = (
            Answering(model, judged.picker(), asked, judged.held, bar.update)
            if where.here
            else Answering(model, judged.picker(), asked)
        )
        before = None
        for answered in parallel.map(answering, _chunks(judged, free, done), where):
            now = time.monotonic()
            busy = answered.scoring + answered.writing
            passed = busy if before is None else now - before  # workers start before the first
            took = passed * answered.scoring / busy
            before = now
            if log is None:
                kept += answered.samples
                seconds += took
            else:
                log.append(answered.samples, took)
            for sample in answered.samples:
                note(sample)
            if not where.here:
                bar.update(len(answered.samples))
    return (kept, seconds) if log is None else (log.samples, log.seconds)


class _Nothing:
    """Stands where no file is written."""

    def close(self) -> None:
        """Nothing to close."""
