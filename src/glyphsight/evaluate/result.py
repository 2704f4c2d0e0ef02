"""What an evaluation gives: every record's outcome and the figures made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glyphsight.errors import DatasetError
from glyphsight.evaluate.statistics import ClassScore, wilson_interval
from glyphsight.files import replacing

METRICS_FILE = "metrics.json"
SAMPLES_FILE = "samples.jsonl"
REPORT_FILE = "report.html"
STATE_FILE = ".samples-state.json"
"""Beside the samples while they are not all there, or no figures are made of them yet."""


@dataclass(frozen=True)
class Share:
    """A share of right answers.

    Attributes:
        accuracy: 0-1.
        n: Records judged.
        interval: 95 % Wilson interval.
    """

    accuracy: float
    n: int
    interval: tuple[float, float]

    @staticmethod
    def of(right: int, n: int) -> Share:
        """The share ``right`` of ``n``."""
        return Share(right / n, n, wilson_interval(right, n))


@dataclass(frozen=True)
class Sample:
    """One record's outcome.

    Attributes:
        ascii_image: What the model read.
        truth: The right answer.
        answer: The label with the highest log-likelihood; "" where it was too long to read.
        probability: Its probability among the labels, 0-1; 0 where it was too long to read.
        probabilities: Of every label; none where it was too long to read.
        generated: What the model wrote freely, "" where it was too long to read; None where it was
            not asked to.
    """

    ascii_image: str
    truth: str
    answer: str
    probability: float
    probabilities: dict[str, float]
    generated: str | None

    @property
    def too_long(self) -> bool:
        """Whether it exceeded what the model takes, and so counts as wrong."""
        return not self.probabilities

    def as_line(self) -> str:
        """A line of ``samples.jsonl``."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class SampleFile:
    """Outcomes in a file, a JSON object a line, read as they are iterated.

    Attributes:
        path: The file.
        count: How many it holds.
    """

    path: Path
    count: int

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
                f"{self.path}: line {done + 1}: cannot be read ({error}); evaluate anew"
            ) from error


@dataclass(frozen=True)
class Evaluation:
    """All figures of one evaluation.

    Attributes:
        model: What was evaluated.
        base: The model it was trained from; None for a plain base model.
        data: Dataset or source.
        split: Split of it; None where the data is a single file.
        warnings: What a reader of the figures must know, such as that the records are the ones the
            model was trained on.
        seed: Of the choice under a limit.
        score: Accuracy by label log-likelihood.
        generation: Accuracy of free generation, exact match; None when not asked for.
        unreadable: Freely generated answers that are none of the labels.
        majority: Accuracy of always giving the commonest label.
        majority_label: That label.
        zero_shot: The base model on a part of the same records, before training; None if skipped.
        classes: Precision and recall a label.
        labels: Rows and columns of ``confusion``.
        confusion: Counts, true label by answer.
        scoring_seconds: Of reading the records and scoring them by log-likelihood, from the first
            of them on: the start of workers and the loading of the model come before.
        samples: Every record's outcome: iterate them and take their ``len()``.
        too_long: Records that exceed the model's window, counted as wrong; they are in no column of
            ``confusion``.
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
    samples: list[Sample] | SampleFile
    too_long: int = 0

    @property
    def pictures_per_second(self) -> float:
        """Speed of scoring by log-likelihood."""
        return self.score.n / self.scoring_seconds

    def as_json(self) -> dict[str, Any]:
        """Everything but the samples, ``accuracy``, ``n`` and ``interval`` at the top."""
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
        """Write ``samples.jsonl``, where they are not in it yet."""
        file = directory / SAMPLES_FILE
        if not isinstance(self.samples, SampleFile) or self.samples.path != file:
            with replacing(file) as stream:
                stream.writelines(sample.as_line() for sample in self.samples)


def finish(directory: Path, metrics: dict[str, Any]) -> None:
    """Write ``metrics.json``, and let go of what an unfinished evaluation is gone on with from."""
    with replacing(directory / METRICS_FILE) as stream:
        json.dump(metrics, stream, ensure_ascii=False, indent=2)
        stream.write("\n")
    (directory / STATE_FILE).unlink(missing_ok=True)
