"""Figures from answers: intervals, precision and recall, calibration, pairs, free replies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError
from glyphsight.extras import need
from glyphsight.files import normal

Hits = Sequence[bool] | NDArray[np.bool_]  # correctness of each answer, bool[N]


@dataclass(frozen=True)
class ClassScore:
    """Figures of one label."""

    label: str
    n: int  # number of records with this label
    precision: float | None  # share of the answers with it that are right; None without any
    recall: float | None  # share of the records with it that are found; None without any


def per_class(
    matrix: NDArray[np.int64], labels: Sequence[str], unread: NDArray[np.int64] | int = 0
) -> list[ClassScore]:
    """Compute precision and recall of every label of a confusion matrix.

    Takes counts of true label (row) against answer (column), int64[L, L], the names of the L
    labels, and the number of records without an answer by label, int64[L].
    """
    answered, present, right = matrix.sum(axis=0), matrix.sum(axis=1) + unread, np.diag(matrix)
    return [
        ClassScore(
            label,
            int(present[i]),
            float(right[i] / answered[i]) if answered[i] else None,
            float(right[i] / present[i]) if present[i] else None,
        )
        for i, label in enumerate(labels)
    ]


_ROUNDING = 1e-6  # a sum of float32 probabilities may exceed 1 by
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence lies in one interval."""

    low: float  # lower end, not part of the bin; the lowest bin holds 0 too
    high: float  # upper end, part of the bin
    n: int  # number of answers, at least 1
    confidence: float  # mean confidence of the answers, 0-1
    accuracy: float  # share of right answers, 0-1


@dataclass(frozen=True)
class Calibration:
    """Distance between confidence and accuracy."""

    # Expected calibration error, 0-1: mean gap between confidence and accuracy of the bins,
    # weighted by their answers
    error: float
    bins: list[Bin]  # bins with at least one answer, low to high


def calibrate(
    confidence: Sequence[float] | NDArray[np.float32], right: Hits, bins: int = 15
) -> Calibration:
    """Compute the expected calibration error over equal bins (Guo et al. 2017, equation 3).

    Bin m of M holds confidences in ((m-1)/M, m/M]; the first holds 0 too.

    Args:
        confidence: Probability the model gave to each answer, 0-1, float[N].
        right: Correctness of each answer, bool[N].
        bins: Number of bins M, at least 1; compare errors at equal M only.

    Returns:
        Error and bins; 0 and none without an answer.

    Raises:
        DatasetError: A confidence is outside 0-1.
    """
    sure, hit = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.bool_)
    if not sure.size:
        return Calibration(0.0, [])
    outside = ~((sure >= -_ROUNDING) & (sure <= 1 + _ROUNDING))
    if outside.any():
        row = int(outside.argmax())
        raise DatasetError(
            f"answer {row + 1}: confidence {sure[row]} is no probability; give 0 to 1"
        )
    sure = sure.clip(0, 1)
    edges = np.arange(bins + 1) / bins
    index = np.maximum(np.searchsorted(edges, sure, side="left") - 1, 0)
    counts = np.bincount(index, minlength=bins)
    sums = np.bincount(index, weights=sure, minlength=bins)
    hits = np.bincount(index, weights=hit, minlength=bins)
    found = [
        Bin(m / bins, (m + 1) / bins, n, float(sums[m] / n), float(hits[m] / n))
        for m, n in enumerate(counts.tolist())
        if n
    ]
    return Calibration(float(np.abs(hits - sums).sum() / sure.size), found)


@dataclass(frozen=True)
class Paired:
    """Difference between two models on the same items."""

    n: int  # number of items
    difference: float  # accuracy of the first minus that of the second, -1 to 1
    # 95 % percentile interval of the difference under resampling of the items. Where both models
    # agree on every item, resampling gives 0 to 0 however few the items: the interval is then the
    # exact bound of the share of disagreements (Clopper and Pearson 1934), in both directions.
    interval: tuple[float, float]
    only_first: int  # number of items that only the first model has right
    only_second: int  # number of items that only the second model has right
    p_value: float  # two-sided p-value of the exact McNemar test


def paired(first: Hits, second: Hits, *, seed: int = 0) -> Paired:
    """Compare two models item by item: paired bootstrap and exact McNemar test.

    Drawing n items with replacement draws the counts of their outcomes (only the first right, only
    the second, neither or both) from a multinomial, so a resample costs three numbers at any n.

    Args:
        first: Correctness of each item by the first model, bool[n], n at least 1.
        second: Correctness of the same items, in the same order, by the second model.
        seed: Random seed for the resampling (Efron 1979).
    """
    a, b = np.asarray(first, dtype=np.bool_), np.asarray(second, dtype=np.bool_)
    n = a.size
    only_first, only_second = int((a & ~b).sum()), int((~a & b).sum())
    shares = np.array([only_first, only_second, n - only_first - only_second]) / n
    drawn = np.random.default_rng(seed).multinomial(n, shares, size=_RESAMPLES)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / n, [2.5, 97.5])
    if only_first == only_second == 0:
        high = 1 - 0.025 ** (1 / n)
        low = -high
    difference, p_value = (only_first - only_second) / n, mcnemar(only_first, only_second)
    return Paired(n, difference, (float(low), float(high)), only_first, only_second, p_value)


def mcnemar(only_first: int, only_second: int) -> float:
    """Compute the two-sided p-value of the exact McNemar test (McNemar 1947).

    Two models of equal accuracy share the items that only one has right as a fair coin would: a
    binomial test at one half.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    if only_first + only_second == 0:
        return 1.0
    with need("train", "scipy"):
        from scipy.stats import binomtest

    return float(binomtest(only_first, only_first + only_second).pvalue)


_EXAMPLES = 10
_LONGEST_EXAMPLE = 200

REFUSALS = (
    r"i('m| am) (sorry|afraid|unable|not able)",
    r"i (can(no|')?t|could not|couldn't|am not able to|won't|will not)\b",
    r"i (do not|don't) (know|see|have the ability)",
    r"(sorry|apologi[sz]e|apologies)\b",
    r"unable to\b",
    r"not able to\b",
    r"as an? (ai|artificial|language model|large language)\b",
    r"(can ?not|can't|can not) (see|view|tell|determine|identify|recogni[sz]e|answer|help|assist)",
    r"(don't|do not) know\b",
    r"(not sure|no idea|unsure)\b",
)
"""Patterns of refusals, in lower case with straight apostrophes, anywhere in an answer."""

_REFUSAL = re.compile("|".join(rf"\b(?:{pattern})" for pattern in REFUSALS))


@dataclass(frozen=True)
class ReplyCounts:
    """Numbers of free answers by kind; the four counts add up to all answers."""

    right: int  # answers that are the record's label
    wrong: int  # answers that are another label
    refused: int  # answers that are no label and match one of ``REFUSALS``
    malformed: int  # all other answers, the empty one too
    # Up to ten different refused or malformed answers, in order of appearance, each truncated to
    # 200 characters
    examples: list[str]


def sort_replies(
    replies: Sequence[str], truth: Sequence[str], labels: Sequence[str]
) -> ReplyCounts:
    """Count freely written answers by kind.

    An answer is a label when both are equal in normal form, as :func:`~glyphsight.files.normal`
    gives it: ``Cat`` and ``cat.`` are malformed where the label is ``cat``. A label that reads like
    a refusal ("unsure") is a label. Replies come without the words that the prompt puts around an
    answer.
    """
    known = {*map(normal, labels)}
    counts: Counter[str] = Counter()
    examples: dict[str, None] = {}
    for said, label in zip(map(normal, replies), truth, strict=True):
        declines = _REFUSAL.search(said.lower().replace("’", "'"))
        kind = "wrong" if said in known else "refused" if declines else "malformed"
        counts["right" if said == normal(label) else kind] += 1
        if said not in known and len(examples) < _EXAMPLES:
            examples.setdefault(
                said if len(said) <= _LONGEST_EXAMPLE else f"{said[:_LONGEST_EXAMPLE]}…"
            )
    return ReplyCounts(
        counts["right"], counts["wrong"], counts["refused"], counts["malformed"], [*examples]
    )
