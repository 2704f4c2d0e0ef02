"""Evaluations side by side, and every two of them item by item where they judged the same items."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.evaluate.result import METRICS_FILE, SAMPLES_FILE, Sample, SampleFile, Share, pick
from glyphsight.evaluate.statistics import Calibration, Paired, calibrate, paired
from glyphsight.files import hash64

SHOWN = 12  # disagreements that are shown
_SELECTION = {
    **{name: name for name in ("data", "split", "limit", "seed")},
    "n": "number of records",
    "labels_sha256": "right answers in their order",
    "items_sha256": "pictures they were made of",
}
_NAMES = ("data", "split")  # say less than what the records were made of, where that is known


@dataclass(frozen=True)
class Entry:
    """One evaluation on disk."""

    name: str  # name in tables
    directory: Path
    metrics: dict[str, Any]  # content of ``metrics.json``
    share: Share  # right answers
    calibration: Calibration
    profile: Profile  # profile that the texts are written in
    # Row of each record by a hash of its text and right answer, and how many records with the same
    # hash came before it
    rows: dict[tuple[int, int], int]
    right: NDArray[np.bool_]  # correctness of each answer, bool[N]
    probability: NDArray[np.float32]  # probability of each answer, float32[N]

    @property
    def samples(self) -> SampleFile:
        """Outcomes of the records, read as they are iterated."""
        return SampleFile(self.directory / SAMPLES_FILE, len(self.right))

    def as_json(self) -> dict[str, Any]:
        """Return the line of a comparison."""
        told = ("model", "data", "split", "tokens", "ceiling", "pictures_per_second")
        return {
            "name": self.name,
            "directory": str(self.directory),
            **asdict(self.share),
            "calibration_error": self.calibration.error,
            "seconds": self.metrics.get("scoring_seconds"),
            **{key: self.metrics.get(key) for key in told},
        }


@dataclass(frozen=True)
class Pair:
    """Two evaluations, item by item."""

    first: str  # name of the first
    second: str  # name of the second
    # ``order`` where both say that they judged the same selection, ``text`` where records were
    # found by text and right answer; None where they cannot be paired
    matched: str | None
    found: Paired | None  # difference of the two; None where they cannot be paired
    refused: str = ""  # reason why they cannot be paired; "" where they can

    def as_json(self) -> dict[str, Any]:
        """Return names and figures on one level."""
        told = {"first": self.first, "second": self.second, "matched": self.matched}
        return told | (asdict(self.found) if self.found else {"refused": self.refused})


@dataclass(frozen=True)
class Disagreement:
    """A record on which evaluations do not agree."""

    sample: Sample  # outcome in the first evaluation that judged it
    answers: dict[str, tuple[str, float]]  # answer and probability of each evaluation, by name


@dataclass(frozen=True)
class Comparison:
    """Several evaluations side by side."""

    entries: list[Entry]  # evaluations in the order given
    pairs: list[Pair]  # every two of them
    # Records that only the first or only another has right, where both are sure; at most a dozen
    disagreements: list[Disagreement]

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "runs": [entry.as_json() for entry in self.entries],
            "pairs": [pair.as_json() for pair in self.pairs],
            "disagreements": [
                {
                    "ascii_image": one.sample.ascii_image,
                    "truth": one.sample.truth,
                    "answers": {
                        name: dict(zip(("answer", "probability"), said, strict=True))
                        for name, said in one.answers.items()
                    },
                }
                for one in self.disagreements
            ],
        }


def find_evaluation(run: Path) -> Path:
    """Return the directory of an evaluation: ``run`` itself, or ``evaluation`` in it.

    Raises:
        DatasetError: There is none, or it is unfinished.
    """
    if not run.is_dir():
        raise DatasetError(f"{run}: no such directory; give what glyphsight evaluate --out wrote")
    for directory in (run, run / "evaluation"):
        finished, samples = ((directory / f).is_file() for f in (METRICS_FILE, SAMPLES_FILE))
        if finished and samples:
            return directory
        if samples:
            raise DatasetError(
                f"{directory}: an unfinished evaluation; give the same evaluate command again"
            )
        if finished:
            raise DatasetError(f"{directory / SAMPLES_FILE}: no such file; {_fix(directory)}")
    raise DatasetError(f"{run / METRICS_FILE}: no such file; {_fix(run)}")


def _fix(directory: Path) -> str:
    return f"make it with: glyphsight evaluate --model RUN --data DATA --out {directory}"


def read_entry(run: Path, name: str) -> Entry:
    """Read an evaluation, a sample at a time; raise DatasetError where it is missing or damaged."""
    directory = find_evaluation(run)
    file = directory / METRICS_FILE
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
        count = int(metrics["n"])
        profile = Profile(**metrics["profile"]) if "profile" in metrics else PUBLISHED
    except (OSError, ValueError, KeyError, TypeError, GlyphsightError) as error:
        raise DatasetError(f"{file}: damaged ({error!r}); {_fix(directory)}") from error
    rows: dict[tuple[int, int], int] = {}
    alike: Counter[int] = Counter()
    right, sure, chosen = [], [], []
    for row, sample in enumerate(SampleFile(directory / SAMPLES_FILE, count)):
        key = hash64(f"{sample.ascii_image}\0{sample.truth}")
        rows[key, alike[key]] = row
        alike[key] += 1
        right.append(sample.right)
        sure.append(sample.probability)
        if sample.probabilities:
            chosen.append(row)
    if len(right) != count or not count:
        raise DatasetError(
            f"{directory / SAMPLES_FILE}: {len(right)} records where {METRICS_FILE} tells of "
            f"{count}; {_fix(directory)}"
        )
    hits, probability = np.array(right, dtype=np.bool_), np.array(sure, dtype=np.float32)
    share, calibration = Share.of(sum(right), count), calibrate(probability[chosen], hits[chosen])
    return Entry(name, directory, metrics, share, calibration, profile, rows, hits, probability)


def _aligned(first: Entry, second: Entry) -> tuple[str, list[int], list[int]] | str:
    """Match two evaluations: how, and the rows of each; or why they cannot be matched."""
    one, other = first.metrics.get("selection"), second.metrics.get("selection")
    different = _differences(one or {}, other or {})
    if one and other and not different:
        rows = list(range(len(first.right)))
        return "order", rows, rows
    both = [(row, second.rows[key]) for key, row in first.rows.items() if key in second.rows]
    if both:
        return "text", [row for row, _ in both], [row for _, row in both]
    reason = "no record of the one has text and right answer of one of the other"
    if one is None or other is None:
        older = first if one is None else second
        return f"{reason}, and {older.directory / METRICS_FILE} does not say what it selected"
    return f"{reason}, and they did not judge the same selection (other {', '.join(different)})"


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Say in words what two selections do not share."""
    known = one.get("items_sha256") and other.get("items_sha256")
    keys = _SELECTION.keys() - (_NAMES if known else ("items_sha256",))
    return [
        said for key, said in _SELECTION.items() if key in keys and one.get(key) != other.get(key)
    ]


def compare(runs: Sequence[Path], *, seed: int = 0) -> Comparison:
    """Compare evaluations: directories that ``glyphsight evaluate`` wrote, or runs with one.

    Raises:
        DatasetError: One is not an evaluation.
    """
    entries = [read_entry(run, name) for run, name in zip(runs, _names(runs), strict=True)]
    pairs, with_first = [], {}
    for (index, first), (number, second) in combinations(enumerate(entries), 2):
        found = _aligned(first, second)
        if isinstance(found, str):
            pairs.append(Pair(first.name, second.name, None, None, found))
            continue
        matched, rows, others = found
        result = paired(first.right[rows], second.right[others], seed=seed)
        pairs.append(Pair(first.name, second.name, matched, result))
        if index == 0:
            with_first[number] = dict(zip(rows, others, strict=True))
    return Comparison(entries, pairs, _disagreements(entries, with_first))


def _names(runs: Sequence[Path]) -> list[str]:
    """Name each in tables: by the last part of its path where that tells them apart."""
    paths = [run.parent if run.name == "evaluation" and run.parent.name else run for run in runs]
    short = [path.name or str(path) for path in paths]
    names = short if len(set(short)) == len(short) else [str(run) for run in runs]
    return [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _disagreements(
    entries: list[Entry], with_first: dict[int, dict[int, int]]
) -> list[Disagreement]:
    """Find records that the first alone has right, or another alone; the surest of both first."""
    first = entries[0]
    score = np.zeros(len(first.right), dtype=np.float32)
    for number, matched in with_first.items():
        entry, rows, others = entries[number], list(matched), list(matched.values())
        apart = first.right[rows] != entry.right[others]
        sure = np.minimum(first.probability[rows], entry.probability[others])
        score[rows] = np.maximum(score[rows], np.where(apart, sure, 0))
    chosen = np.argsort(-score, kind="stable")[:SHOWN]
    chosen = chosen[score[chosen] > 0]
    answers: dict[int, dict[str, Sample]] = {row: {} for row in chosen.tolist()}
    itself = {row: row for row in answers}
    for number, rows_of in {0: itself, **with_first}.items():
        own = {row: rows_of[row] for row in answers if row in rows_of}
        for row, sample in zip(own, pick(entries[number].samples, [*own.values()]), strict=True):
            answers[row][entries[number].name] = sample
    return [
        Disagreement(
            next(iter(own.values())), {n: (one.answer, one.probability) for n, one in own.items()}
        )
        for own in answers.values()
    ]
