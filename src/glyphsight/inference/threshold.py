"""Threshold of the label ``unknown``: how sure of it a model must be to say so."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glyphsight.models.runs import UNKNOWN, RunRecord

REFUSED = 0.001  # largest share of what a model knows and would read right that it may refuse
_ROUNDING = 1e-3  # of log-odds, between engines


def margins(scores: NDArray[np.float32], labels: Sequence[str]) -> NDArray[np.float64]:
    """Compute the log-odds of ``unknown`` against the likeliest other label, float64[N].

    ``scores``, float32[N, L], are the log-likelihoods of L labels, nothing taken off.
    """
    column = labels.index(UNKNOWN)
    others = np.delete(scores, column, axis=1).max(axis=1)
    found: NDArray[np.float64] = scores[:, column].astype(np.float64) - others
    return found


def choose_threshold(
    sure: NDArray[np.float64], refused: float = REFUSED, least: float = RunRecord.unknown_above
) -> float:
    """Choose the smallest threshold that refuses few records.

    Args:
        sure: Log-odds of ``unknown``, as :func:`margins` gives them, of the records that show
            something known and are right where ``unknown`` is left out, float64[N].
        refused: Largest share of them that may be refused, 0-1; one record may in any case.
        least: Smallest threshold: of few records none may be near.
    """
    may = max(1, int(refused * len(sure)))
    if len(sure) <= may:
        return least
    bound = float(np.sort(sure)[-1 - may]) + _ROUNDING
    return max(least, 1 / (1 + math.exp(-bound)))
