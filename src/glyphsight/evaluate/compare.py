"""Evaluations side by side, and every two of them item by item where they judged the same items.

Of each record 13 bytes are held, however long its text, and some 70 while its evaluation is read;
the texts of the few that are shown are read in a second pass.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.evaluate.result import (
    METRICS_FILE,
    SAMPLES_FILE,
    STATE_FILE,
    Sample,
    SampleFile,
    Share,
)
from glyphsight.evaluate.statistics import Calibration, Paired, calibrate, paired
from glyphsight.evaluate.study import SHOWN
from glyphsight.files import hash64

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads small numbers
_SELECTION = {
    "data": "data",
    "split": "split",
    "limit": "limit",
    "seed": "seed",
    "n": "number of records",
    "labels_sha256": "right answers in their order",
    "items_sha256": "pictures they were made of",
}
_NAMES = ("data", "split")  # say less than what the records were made of, where that is known


@dataclass(frozen=True)
class Entry:
    """One evaluation, as it lies on disk.

    Attributes:
        name: What tables call it.
        directory: Where it lies.
        metrics: Its ``metrics.json``.
        share: Right answers.
        calibration: Of its probabilities.
        profile: How its texts are written.
        keys: uint64[N], for text and right answer of each record, no two alike.
        right: bool[N].
        probability: float32[N], of the answer.
    """

    name: str
    directory: Path
    metrics: dict[str, Any]
    share: Share
    calibration: Calibration
    profile: Profile
    keys: NDArray[np.uint64]
    right: NDArray[np.bool_]
    probability: NDArray[np.float32]

    @property
    def samples(self) -> SampleFile:
        """Its records' outcomes, read as they are iterated."""
        return SampleFile(self.directory / SAMPLES_FILE, len(self.keys))

    def as_json(self) -> dict[str, Any]:
        """Its line of a comparison."""
        told = {
            key: self.metrics.get(key)
            for key in ("model", "data", "split", "tokens", "ceiling", "pictures_per_second")
        }
        return {
            "name": self.name,
            "directory": str(self.directory),
            **asdict(self.share),
            "calibration_error": self.calibration.error,
            "seconds": self.metrics.get("scoring_seconds"),
            **told,
        }


@dataclass(frozen=True)
class Pair:
    """Two evaluations, item by item.

    Attributes:
        first: Name of the one.
        second: Name of the other.
        matched: ``order`` where they say that they judged the same selection, ``text`` where
            records were found by text and right answer; None where they cannot be paired.
        found: The comparison; None where they cannot be paired.
        refused: Why not; "" where they can.
    """

    first: str
    second: str
    matched: str | None
    found: Paired | None
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        """The figures at its top."""
        told = {"first": self.first, "second": self.second, "matched": self.matched}
        return told | (asdict(self.found) if self.found else {"refused": self.refused})


@dataclass(frozen=True)
class Disagreement:
    """A record on which evaluations do not agree.

    Attributes:
        sample: As the first evaluation has it.
        answers: Answer and probability of each evaluation that judged it, by name.
    """

    sample: Sample
    answers: dict[str, tuple[str, float]]


@dataclass(frozen=True)
class Comparison:
    """Several evaluations side by side.

    Attributes:
        entries: In the order given.
        pairs: Every two of them.
        disagreements: Records that one of the first and another has right alone, both sure; at
            most a dozen.
    """

    entries: list[Entry]
    pairs: list[Pair]
    disagreements: list[Disagreement]

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "runs": [entry.as_json() for entry in self.entries],
            "pairs": [pair.as_json() for pair in self.pairs],
            "disagreements": [
                {
                    "ascii_image": one.sample.ascii_image,
                    "truth": one.sample.truth,
                    "answers": {
                        name: {"answer": answer, "probability": probability}
                        for name, (answer, probability) in one.answers.items()
                    },
                }
                for one in self.disagreements
            ],
        }


def find_evaluation(run: Path) -> Path:
    """The directory of an evaluation: ``run`` itself, or ``evaluation`` in it.

    Raises:
        DatasetError: There is none; it says which file is missing and how to make it.
    """
    if not run.is_dir():
        raise DatasetError(f"{run}: no such directory; give what glyphsight evaluate --out wrote")
    for directory in (run, run / "evaluation"):
        if (directory / STATE_FILE).exists():
            raise DatasetError(
                f"{directory}: an unfinished evaluation; give the same evaluate command again"
            )
        if not (directory / METRICS_FILE).is_file():
            continue
        if not (directory / SAMPLES_FILE).is_file():
            raise DatasetError(f"{directory / SAMPLES_FILE}: no such file; {_mend(directory)}")
        return directory
    raise DatasetError(f"{run / METRICS_FILE}: no such file; {_mend(run)}")


def _mend(directory: Path) -> str:
    return f"make it with: glyphsight evaluate --model RUN --data DATA --out {directory}"


def read_entry(run: Path, name: str) -> Entry:
    """Read an evaluation, a line of its samples at a time.

    Raises:
        DatasetError: There is none, or it is damaged.
    """
    directory = find_evaluation(run)
    file = directory / METRICS_FILE
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
        of_set = "set" in metrics
        count = 0 if of_set else int(metrics["n"])
        profile = Profile(**metrics["profile"]) if "profile" in metrics else PUBLISHED
    except (OSError, ValueError, KeyError, TypeError, GlyphsightError) as error:
        raise DatasetError(f"{file}: damaged ({error!r}); {_mend(directory)}") from error
    if of_set:
        raise DatasetError(
            f"{directory}: holds figures of the set {metrics['set']}:{metrics.get('file')}; only "
            "evaluations of a dataset or source are compared"
        )
    keys, right, probability, read = array("Q"), array("b"), array("f"), array("b")
    for sample in SampleFile(directory / SAMPLES_FILE, count):
        keys.append(hash64(f"{sample.ascii_image}\0{sample.truth}"))
        right.append(sample.answer == sample.truth)
        probability.append(sample.probability)
        read.append(not sample.too_long)
    if len(keys) != count or not count:
        raise DatasetError(
            f"{directory / SAMPLES_FILE}: {len(keys)} records where {METRICS_FILE} tells of "
            f"{count}; {_mend(directory)}"
        )
    hits, seen = np.array(right, dtype=np.bool_), np.array(read, dtype=np.bool_)
    sure = np.frombuffer(probability, dtype=np.float32)
    return Entry(
        name,
        directory,
        metrics,
        Share.of(int(hits.sum()), count),
        calibrate(sure[seen], hits[seen]),
        profile,
        _told_apart(np.frombuffer(keys, dtype=np.uint64)),
        hits,
        sure,
    )


def _told_apart(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Keys of which no two are alike: the second of like ones meets the second elsewhere."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]]
    places = np.arange(len(keys))
    before = places - np.maximum.accumulate(np.where(starts, places, 0))
    result = keys.copy()
    result[order] += before.astype(np.uint64) * _ODD
    return result


def _aligned(first: Entry, second: Entry) -> tuple[str, NDArray[np.int64], NDArray[np.int64]] | str:
    """How two evaluations are matched, and the rows of each; or why they cannot be."""
    one, other = first.metrics.get("selection"), second.metrics.get("selection")
    different = _differences(one or {}, other or {})
    if one is not None and other is not None and not different:
        rows = np.arange(len(first.keys))
        return "order", rows, rows
    _, rows, others = np.intersect1d(
        first.keys, second.keys, assume_unique=True, return_indices=True
    )
    if len(rows):
        order = np.argsort(rows)
        return "text", rows[order], others[order]
    reason = "no record of the one has text and right answer of one of the other"
    if one is None or other is None:
        older = first if one is None else second
        return f"{reason}, and {older.directory / METRICS_FILE} does not say what it selected"
    return f"{reason}, and they did not judge the same selection (other {', '.join(different)})"


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What two selections do not share, in words."""
    known = one.get("items_sha256") and other.get("items_sha256")
    passed_over = _NAMES if known else ("items_sha256",)
    return [
        words
        for key, words in _SELECTION.items()
        if key not in passed_over and one.get(key) != other.get(key)
    ]


def compare(runs: Sequence[Path], *, seed: int = 0) -> Comparison:
    """Put evaluations side by side.

    Args:
        runs: Two or more directories that ``glyphsight evaluate`` wrote, or runs with one in them.
        seed: Of the bootstrap.

    Raises:
        DatasetError: One is not an evaluation.
    """
    entries = [read_entry(run, name) for run, name in zip(runs, _names(runs), strict=True)]
    pairs = []
    for first, second in combinations(entries, 2):
        found = _aligned(first, second)
        if isinstance(found, str):
            pairs.append(Pair(first.name, second.name, None, None, found))
            continue
        matched, rows, others = found
        result = paired(first.right[rows], second.right[others], seed=seed)
        pairs.append(Pair(first.name, second.name, matched, result))
    return Comparison(entries, pairs, _disagreements(entries))


def _names(runs: Sequence[Path]) -> list[str]:
    """What tables call each: the last part of its path where that tells them apart."""
    paths = [run.parent if run.name == "evaluation" and run.parent.name else run for run in runs]
    short = [path.name or str(path) for path in paths]
    names = short if len(set(short)) == len(short) else [str(run) for run in runs]
    return [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _disagreements(entries: list[Entry]) -> list[Disagreement]:
    """Records that the first or another has right alone, the surest of both first."""
    first = entries[0]
    rows_of = {0: np.arange(len(first.keys))}
    score = np.zeros(len(first.keys), dtype=np.float32)
    for place, entry in enumerate(entries[1:], start=1):
        found = _aligned(first, entry)
        if isinstance(found, str):
            continue
        _, rows, others = found
        rows_of[place] = np.full(len(first.keys), -1)
        rows_of[place][rows] = others
        apart = first.right[rows] != entry.right[others]
        sure = np.minimum(first.probability[rows], entry.probability[others])
        score[rows] = np.maximum(score[rows], np.where(apart, sure, 0))
    chosen = np.argsort(-score, kind="stable")[:SHOWN]
    chosen = chosen[score[chosen] > 0]
    samples: dict[int, Sample] = {}
    answers: dict[int, dict[str, tuple[str, float]]] = {row: {} for row in chosen.tolist()}
    for place, rows in rows_of.items():
        wanted = {int(rows[row]): row for row in answers if rows[row] >= 0}
        for number, sample in enumerate(entries[place].samples):
            if number in wanted:
                row = wanted[number]
                samples.setdefault(row, sample)
                answers[row][entries[place].name] = (sample.answer, sample.probability)
    return [Disagreement(samples[row], answers[row]) for row in chosen.tolist()]
