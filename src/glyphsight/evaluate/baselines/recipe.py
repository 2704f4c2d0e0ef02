"""What every recipe of a baseline is given, and how a part is held out to choose settings on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.sampling import stratified_sample


@dataclass(frozen=True)
class Task:
    """Labelled grids to learn from, and grids to name.

    Attributes:
        train: uint8[N, rows, columns], at least one of each class.
        classes: The class of each, int64[N], 0 to ``count`` - 1.
        count: Number of classes, at least 2.
        test: uint8[M, rows, columns]; their labels are no recipe's business.
        levels: Number of brightness levels.
        seed: Of every random choice.
        progress: Called with the share of the whole work, 0-1, that a step was.
    """

    train: NDArray[np.uint8]
    classes: NDArray[np.int64]
    count: int
    test: NDArray[np.uint8]
    levels: int
    seed: int
    progress: Callable[[float], object]


@dataclass(frozen=True)
class Named:
    """What a recipe made of a task.

    Attributes:
        classes: The class named for each test grid, int64[M].
        what: The method and the settings it chose, in a few words.
        trained_on: Records the final fit saw.
    """

    classes: NDArray[np.int64]
    what: str
    trained_on: int


def features(grids: NDArray[np.uint8], levels: int) -> NDArray[np.float32]:
    """Grids as rows of numbers: level over the highest level, float32[N, rows * columns], 0-1."""
    return grids.reshape(len(grids), -1).astype(np.float32) / np.float32(levels - 1)


def hold_out(
    classes: NDArray[np.int64], most: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut training records in two: to fit on, and to choose settings on.

    Args:
        classes: The class of each record, int64[N].
        most: Hold out a tenth, at most so many, with the class shares of the whole.
        seed: Of the choice.

    Returns:
        Row numbers of both parts, int64, ascending. Nothing is held out where that would leave
        fewer than ten records to choose on or a class without a record to fit on.
    """
    rows = np.arange(len(classes), dtype=np.int64)
    held = stratified_sample(classes, min(most, len(classes) // 10), seed)
    kept = np.setdiff1d(rows, held)
    if len(held) < 10 or len(np.unique(classes[kept])) < len(np.unique(classes)):
        return rows, rows[:0]
    return kept, held
