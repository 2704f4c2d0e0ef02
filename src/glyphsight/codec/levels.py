"""Gray values of a grid to brightness levels: equal, thresholds, Otsu, adaptive, dithered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.profile import Profile

_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])


def quantize(pixels: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    """Quantize 0..255 to equal levels, ``value * levels // 256``. Shape and dtype stay."""
    table = (np.arange(256) * levels // 256).astype(np.uint8)
    return table[pixels]


def apply_thresholds(pixels: NDArray[np.uint8], thresholds: Sequence[int]) -> NDArray[np.uint8]:
    """Give each value its level, the number of thresholds, 1 to 255, at or below it."""
    table = np.searchsorted(np.asarray(thresholds), np.arange(256), side="right")
    return table.astype(np.uint8)[pixels]


def otsu_thresholds(pixels: NDArray[np.uint8], levels: int) -> tuple[int, ...] | None:
    """Find thresholds that maximise the variance between levels, exactly, for any number of levels.

    Otsu 1979, whose criterion is a sum over the levels of (sum of values)**2 / count up to a
    constant; so the best thresholds follow by dynamic programming over the gray values that occur.
    Of equally good thresholds the lowest; each is the lowest value of its level.

    Args:
        pixels: uint8 of any shape.
        levels: Number of levels, at least 2.

    Returns:
        ``levels - 1`` increasing thresholds; None where fewer gray values than levels occur.
    """
    counts = np.bincount(pixels.ravel(), minlength=256)
    values = np.flatnonzero(counts)
    size = len(values)
    if size < levels:
        return None
    count = np.concatenate([[0], np.cumsum(counts[values])]).astype(np.float64)
    total = np.concatenate([[0], np.cumsum(values * counts[values])]).astype(np.float64)

    def gain(start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float64]:
        """Score one level of the values from ``start`` to before ``end``."""
        number = np.where(end > start, count[end] - count[start], 1.0)
        return np.where(end > start, (total[end] - total[start]) ** 2 / number, -np.inf)

    ends = np.arange(size + 1)
    best = gain(ends[:1], ends)  # of the values before each end, in one level
    choices = []
    for left in reversed(range(levels - 1)):
        wanted = ends if left else ends[-1:]  # the last level ends with the last value
        options = best[:, None] + gain(ends[:, None], wanted)
        choice = options.argmax(axis=0)
        best = options[choice, np.arange(len(wanted))]
        choices.append(choice)
    thresholds, first = [], size
    for choice in reversed(choices):
        first = int(choice[first if len(choice) > 1 else 0])
        thresholds.append(int(values[first]))
    return tuple(reversed(thresholds))


def _otsu(grid: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    """Give a picture its own thresholds; equal levels where it has too few gray values."""
    thresholds = otsu_thresholds(grid, levels)
    return quantize(grid, levels) if thresholds is None else apply_thresholds(grid, thresholds)


def _adaptive(grids: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    """Quantize the difference to the mean of a window (Wellner 1993; its sums: Crow 1984)."""
    count, rows, columns = grids.shape
    radius = max(1, max(rows, columns) // 8)  # so that it is a quarter of the longer side
    table = np.zeros((count, rows + 1, columns + 1), dtype=np.int64)
    table[:, 1:, 1:] = grids.astype(np.int64).cumsum(axis=1).cumsum(axis=2)
    (top, bottom), (left, right) = (
        (np.maximum(middle - radius, 0), np.minimum(middle + radius + 1, len(middle)))
        for middle in (np.arange(rows), np.arange(columns))
    )
    sums = (
        table[:, bottom[:, None], right]
        - table[:, top[:, None], right]
        - table[:, bottom[:, None], left]
        + table[:, top[:, None], left]
    )
    area = (bottom - top)[:, None] * (right - left)
    # floor((127.5 + value - mean) * levels / 256), all in whole numbers
    centred = (255 + 2 * grids.astype(np.int64)) * area - 2 * sums
    result: NDArray[np.int64] = np.clip(centred * levels // (512 * area), 0, levels - 1)
    return result.astype(np.uint8)


def _ordered(grids: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    """Dither by Bayer's 4x4 matrix (Bayer 1973), from black to white."""
    _, rows, columns = grids.shape
    bias = 2 * _BAYER[np.arange(rows)[:, None] % 4, np.arange(columns) % 4] + 1
    scaled = grids.astype(np.int64) * (32 * (levels - 1)) + 255 * bias
    result: NDArray[np.uint8] = (scaled // (255 * 32)).astype(np.uint8)
    return result


def _floyd_steinberg(grids: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    """Diffuse errors, left to right, top to bottom (Floyd & Steinberg 1976), not clipped."""
    count, rows, columns = grids.shape
    work = np.zeros((count, rows + 1, columns + 2))
    work[:, :rows, 1:-1] = grids
    result = np.empty_like(grids)
    step = 255.0 / (levels - 1)
    # A cell needs the errors of its left neighbour and of three above: all cells of one front, with
    # equal column + 2 * row, are done at once.
    for front in range(columns + 2 * rows - 2):
        row = np.arange(max(0, (front - columns + 2) // 2), min(rows - 1, front // 2) + 1)
        column = front - 2 * row
        value = work[:, row, column + 1]
        level = np.clip(np.floor(value / step + 0.5), 0, levels - 1)
        result[:, row, column] = level
        error = (value - level * step) / 16.0
        work[:, row, column + 2] += 7.0 * error
        work[:, row + 1, column] += 3.0 * error
        work[:, row + 1, column + 1] += 5.0 * error
        work[:, row + 1, column + 2] += error
    return result


def to_levels(grids: NDArray[np.uint8], profile: Profile) -> NDArray[np.uint8]:
    """Turn gray grids, uint8[N, rows, columns], into level grids as a profile says."""
    levels, threshold = profile.levels, profile.threshold
    if profile.dither == "ordered":
        return _ordered(grids, levels)
    if profile.dither == "floyd-steinberg":
        return _floyd_steinberg(grids, levels)
    if isinstance(threshold, tuple):
        return apply_thresholds(grids, threshold)
    if threshold == "otsu":
        return np.array([_otsu(grid, levels) for grid in grids], np.uint8).reshape(grids.shape)
    if threshold == "adaptive":
        return _adaptive(grids, levels)
    return quantize(grids, levels)
