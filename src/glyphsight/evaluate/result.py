"""Results of an evaluation: the outcome of every item and the figures made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.evaluate.statistics import ClassScore
from glyphsight.files import JsonLog, claim, json_line, replacing, unwritable, write_json
from glyphsight.sampling import wilson_interval

METRICS_FILE = "metrics.json"
"""Written last: with it an evaluation is finished."""
SAMPLES_FILE = "samples.jsonl"
REPORT_FILE = "report.html"
STATE_FILE = f".{SAMPLES_FILE}.settings"
"""Note of :class:`~glyphsight.files.JsonLog` beside the samples of an unfinished evaluation."""


@dataclass(frozen=True)
class Share:
    """A share of right answers."""

    accuracy: float  # right answers of all, 0-1
    n: int  # number of items judged
    interval: tuple[float, float]  # 95 % Wilson interval of the accuracy

    @staticmethod
    def of(right: int, n: int) -> Share:
        """Return the share ``right`` of ``n``."""
        return Share(right / n, n, wilson_interval(right, n))


@dataclass(frozen=True)
class Sample:
    """Outcome of one item.

    Attributes:
        ascii_image: Text of the picture.
        truth: Right answer; of several the one that was given, or the first.
        answer: Choice with the highest log-likelihood; without choices the answer that was written.
            "" where the item was too long to read.
        probability: Probability of the answer among the choices, 0-1; 0 without choices and where
            the item was too long to read.
        probabilities: Probability of each choice; empty without choices and where the item was too
            long to read.
        generated: Text that the model wrote freely, "" where the item was too long to read; None
            where the model was not asked to write.
        group: Question or concept of the item; "" where there is none.
        read: Answer found in ``generated``, "" for none; None where ``generated`` is the answer.
        too_long: True where the item exceeds the model's window and counts as wrong.
    """

    ascii_image: str
    truth: str
    answer: str
    probability: float
    probabilities: dict[str, float]
    generated: str | None
    group: str = ""
    read: str | None = None
    too_long: bool = False

    @property
    def right(self) -> bool:
        """Tell whether the answer is right."""
        return self.answer == self.truth

    @property
    def written(self) -> str | None:
        """Answer in what the model wrote; None where the model was not asked to write."""
        return self.generated if self.read is None else self.read

    def as_json(self) -> dict[str, Any]:
        """Return a line of ``samples.jsonl``, without unset fields after ``generated``."""
        value = asdict(self)
        unset = {"group": "", "read": None, "too_long": False}
        return {key: one for key, one in value.items() if key not in unset or one != unset[key]}


@dataclass(frozen=True)
class SampleFile:
    """Outcomes in a file, one JSON object per line, read as they are iterated."""

    path: Path
    count: int  # number of outcomes in it

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Sample]:
        done = 0
        try:
            with self.path.open(encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    yield Sample(**json.loads(line))
                    done += 1
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(
                f"{self.path}: line {done + 1}: cannot be read ({error}); evaluate again"
            ) from error


Samples = list[Sample] | SampleFile
"""Outcomes that can be counted and read several times, in order."""


def pick(samples: Samples, rows: Sequence[int]) -> list[Sample]:
    """Return the outcomes at ``rows``, in the order of ``rows``."""
    wanted = set(rows)
    found = {row: sample for row, sample in enumerate(samples) if row in wanted}
    return [found[row] for row in rows]


@dataclass(frozen=True)
class Evaluation:
    """All figures of one evaluation.

    Attributes:
        model: Name of the model.
        base: Name of the model it was trained from; None for a plain base model.
        data: Data as the user named it.
        split: Split of the data; None where it has none.
        warnings: Facts that a reader of the figures must know, such as that the model was trained
            on these records.
        seed: Random seed for the choice under a limit.
        score: Accuracy by log-likelihood, and by writing of items without choices.
        generation: Accuracy of free writing; None where the model was not asked to write.
        unreadable: Number of written replies without an answer that may be given.
        majority: Accuracy of always giving the commonest answer.
        majority_label: The commonest answer.
        zero_shot: Accuracy of the base model before training, on a part of the same items; None
            where it was not asked.
        classes: Precision and recall of each label.
        labels: Rows and columns of ``confusion``.
        confusion: Counts of right answer (row) and given answer (column), of items with choices.
        scoring_seconds: Seconds of reading and scoring all items, without the start of workers.
            After a resumption, those of the items scored since, scaled to all.
        samples: Outcome of every item.
        too_long: Number of items that exceed the model's window. They count as wrong and are in no
            column of ``confusion``.
        chance: Accuracy of guessing: the mean over items of right answers by choices; None where
            no item has choices.
        groups: Accuracy of each question or concept, where there are several.
        macro: Mean accuracy over ``groups``; None without them.
        character_match: Mean share of an answer's characters in what was written, of items without
            choices; None where the task does not rate it.
        by: ``log-likelihood``, ``writing``, or ``both`` where some items have choices.
        further: Figures that belong to the task, by name.
    """

    model: str
    base: str | None
    data: str
    split: str | None
    warnings: list[str]
    seed: int
    score: Share
    generation: Share | None
    unreadable: int
    majority: Share
    majority_label: str
    zero_shot: Share | None
    classes: list[ClassScore]
    labels: list[str]
    confusion: list[list[int]]
    scoring_seconds: float
    samples: Samples
    too_long: int = 0
    chance: float | None = None
    groups: dict[str, Share] = field(default_factory=dict)
    macro: float | None = None
    character_match: float | None = None
    by: str = "log-likelihood"
    further: dict[str, Share] = field(default_factory=dict)

    @property
    def pictures_per_second(self) -> float:
        """Speed of scoring."""
        return self.score.n / self.scoring_seconds if self.scoring_seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return all but the samples, with ``accuracy``, ``n`` and ``interval`` at the top."""
        whole = asdict(replace(self, samples=[]))
        whole.pop("samples")
        score: dict[str, Any] = whole.pop("score")
        whole["pictures_per_second"] = self.pictures_per_second
        return score | whole

    def save(self, directory: Path) -> None:
        """Write ``metrics.json`` and, where they are not there yet, ``samples.jsonl``."""
        self.write_samples(directory)
        finish(directory, self.as_json())

    def write_samples(self, directory: Path) -> None:
        """Write ``samples.jsonl``, unless the samples are read from it."""
        file = directory / SAMPLES_FILE
        if not isinstance(self.samples, SampleFile) or self.samples.path != file:
            with replacing(file) as stream:
                stream.writelines(f"{json_line(one.as_json())}\n" for one in self.samples)


def finish(directory: Path, metrics: dict[str, Any]) -> None:
    """Write ``metrics.json`` and remove the note that an unfinished evaluation resumes from."""
    write_json(directory / METRICS_FILE, metrics)
    (directory / STATE_FILE).unlink(missing_ok=True)


def told_data(directory: Path) -> tuple[str, str | None] | None:
    """Return the data and the split of an evaluation, finished or not; None where there is none."""
    try:
        told = json.loads((directory / METRICS_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        told = JsonLog.noted(directory / SAMPLES_FILE)
    return (told["data"], told.get("split")) if isinstance(told, dict) and "data" in told else None


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Keep other evaluations out of a directory for the block; the directory is made if missing.

    Raises:
        GlyphsightError: Nothing can be written there, or another evaluation is writing.
    """
    path = directory / SAMPLES_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    except OSError as error:
        raise unwritable(path, error) from error
    with stream:
        if not claim(stream):
            raise GlyphsightError(
                f"{directory}: another evaluation is writing here; wait for it, or give another "
                "--out"
            )
        yield
