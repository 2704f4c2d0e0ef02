"""What is known of one model after one evaluation, and of which records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from glyphsight.codec import Profile
from glyphsight.evaluate.attribution import Attribution
from glyphsight.evaluate.baselines import Baseline
from glyphsight.evaluate.result import Evaluation, Sample
from glyphsight.evaluate.robustness import Condition
from glyphsight.evaluate.statistics import Calibration, Paired, ReplyCounts

SHOWN = 12
"""Most pictures that any part of a report shows."""


@dataclass(frozen=True)
class Selection:
    """Which records an evaluation judged; equal for two evaluations of the same, in one order.

    Attributes:
        data: Dataset or source.
        split: Its split; None for a file.
        limit: At most so many were asked for; None for all.
        seed: Of the choice under a limit.
        n: How many were judged.
        labels_sha256: Of their right answers, in order.
        items_sha256: Of the list of pictures that the split was made of (``*.sources.txt`` beside
            its files), in order and before the limit; None where there is none.
    """

    data: str
    split: str | None
    limit: int | None
    seed: int
    n: int
    labels_sha256: str
    items_sha256: str | None = None


@dataclass(frozen=True)
class Study:
    """What is known of one model, after one evaluation.

    Attributes:
        evaluation: Its answers and their figures.
        selection: Which records it judged.
        calibration: How far its probabilities are what they say, of the records it could read.
        replies: What its free writing gave; None where it was not asked to.
        tokens: Mean tokens of a picture, alone, by tokenizer: SmolLM2's and the model's own.
        profile: How the model's pictures become text.
        shown: The first sample of each label that it could read, at most a dozen.
        mistakes: The wrong answers it was surest of, at most a dozen.
        baselines: Floors and ceilings on the same text; empty where none were asked.
        against: The model's difference to a baseline on the same records, by its name.
        robustness: What is left when pictures and texts are broken.
        attributions: Which cells spoke for an answer.
        notes: What was left out and why, and what a reader of the baselines must know.
        seconds: What each part took.
    """

    evaluation: Evaluation
    selection: Selection
    calibration: Calibration
    replies: ReplyCounts | None
    tokens: dict[str, float]
    profile: Profile
    shown: list[Sample]
    mistakes: list[Sample]
    baselines: list[Baseline] = field(default_factory=list)
    against: dict[str, Paired] = field(default_factory=dict)
    robustness: list[Condition] = field(default_factory=list)
    attributions: list[tuple[Sample, Attribution]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def ceiling(self) -> Baseline | None:
        """The best baseline; None without baselines."""
        return max(self.baselines, key=lambda one: one.share.accuracy, default=None)

    def of_ceiling(self, ceiling: Baseline) -> float | None:
        """The model's accuracy as a share of a baseline's on the same records; may exceed 1."""
        best, own = ceiling.share.accuracy, self.evaluation.score.accuracy
        if ceiling.name in self.against:
            own = best + self.against[ceiling.name].difference
        return own / best if best else None

    def as_json(self) -> dict[str, Any]:
        """Everything but samples and attributions; ``accuracy``, ``n``, ``interval`` at the top."""
        ceiling = self.ceiling
        return self.evaluation.as_json() | {
            "selection": asdict(self.selection),
            "tokens": self.tokens,
            "profile": asdict(self.profile),
            "calibration": asdict(self.calibration),
            "replies": self.replies and asdict(self.replies),
            "baselines": [
                _flat(one.as_json())
                | {
                    "of": self.of_ceiling(one),
                    "paired": asdict(self.against[one.name]) if one.name in self.against else None,
                }
                for one in self.baselines
            ],
            "ceiling": ceiling
            and {
                "name": ceiling.name,
                "accuracy": ceiling.share.accuracy,
                "of_ceiling": self.of_ceiling(ceiling),
            },
            "robustness": [_flat(asdict(one)) for one in self.robustness],
            "notes": self.notes,
            "study_seconds": self.seconds,
        }


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    """With the keys of its share instead of the share."""
    share = value.pop("share")
    return value | (share or {"accuracy": None, "n": 0, "interval": None})
