"""Results of an evaluation: the outcome of every item and the figures made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from glyphsight.errors import DatasetError
from glyphsight.evaluate.statistics import ClassScore
from glyphsight.files import JsonLog, json_line, replacing, write_json
from glyphsight.sampling import wilson_interval

METRICS_FILE = "metrics.json"  # written last: with it an evaluation is finished
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
    """Outcome of one item."""

    ascii_image: str  # text of the picture
    truth: str  # right answer; of several the one that was given, or the first
    answer: str  # the likeliest choice; without choices what was written; "" where too long to read
    probability: float  # of the answer among the choices, 0-1; 0 without, or where too long to read
    probabilities: dict[str, float]  # of each choice; empty likewise
    generated: str | None  # what it wrote freely, "" where too long; None where it was not asked to
    group: str = ""  # question or concept of the item; "" where there is none
    read: str | None = None  # answer found in ``generated``, "" for none; None where it is that
    too_long: bool = False  # True where the item exceeds the model's window and counts as wrong

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


Samples = list[Sample] | SampleFile  # outcomes that can be counted and read several times, in order


def pick(samples: Samples, rows: Sequence[int]) -> list[Sample]:
    """Return the outcomes at ``rows``, in the order of ``rows``."""
    wanted = set(rows)
    found = {row: sample for row, sample in enumerate(samples) if row in wanted}
    return [found[row] for row in rows]


@dataclass(frozen=True)
class Evaluation:
    """All figures of one evaluation."""

    model: str
    base: str | None  # name of the model it was trained from; None for a plain base model
    data: str  # data as the user named it
    split: str | None  # split of the data; None where it has none
    warnings: list[str]  # what a reader must know, such as that it was trained on these records
    seed: int  # random seed for the choice under a limit
    score: Share  # accuracy by log-likelihood, and by writing of items without choices
    generation: Share | None  # accuracy of free writing; None where it was not asked to write
    unreadable: int  # number of written replies without an answer that may be given
    majority: Share  # accuracy of always giving the commonest answer
    majority_label: str
    zero_shot: Share | None  # of the base before training, on some items; None if not asked
    classes: list[ClassScore]  # precision and recall of each label
    labels: list[str]  # rows and columns of ``confusion``
    confusion: list[list[int]]  # counts of right answer (row) and given one, of items with choices
    # Seconds of reading and scoring all items, without the start of workers. After a resumption,
    # those of the items scored since, scaled to all.
    scoring_seconds: float
    samples: Samples  # outcome of every item
    too_long: int = 0  # items beyond the window: they count as wrong, and not in ``confusion``
    chance: float | None = None  # mean over items of right answers by choices; None without any
    groups: dict[str, Share] = field(default_factory=dict)  # by question or concept, if several
    macro: float | None = None  # mean accuracy over ``groups``; None without them
    # Mean share of an answer's characters in what was written, of items without choices; None where
    # the task does not rate it
    character_match: float | None = None
    by: str = "log-likelihood"  # or ``writing``, or ``both`` where some items have choices
    further: dict[str, Share] = field(default_factory=dict)  # figures of the task, by name

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
