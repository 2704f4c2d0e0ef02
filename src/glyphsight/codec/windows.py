"""Square windows over pictures and masks, and the connected components of a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def odd(size: float) -> int:
    """Round down to a whole number, and up to an odd one."""
    return int(size) | 1


def median(values: NDArray[Any]) -> float:
    """Return the median of floats; faster than ``np.median``, which partitions for NaN too."""
    half = values.size // 2
    parted = np.partition(values.ravel(), half)
    upper = parted[half]
    return float(upper if values.size % 2 else (parted[:half].max() + upper) / 2)


def positions(mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns of a mask's pixels; faster than ``np.nonzero``."""
    rows, columns = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return rows, columns


def _padded(image: NDArray[Any], before: int, after: int, axis: int) -> NDArray[Any]:
    """Repeat the edges of one axis and put it first; faster than ``np.pad``."""
    source = np.moveaxis(image, axis, 0)
    shape = list(image.shape)
    shape[axis] += before + after
    wide = np.moveaxis(np.empty(shape, image.dtype), axis, 0)
    wide[:before], wide[before + len(source) :] = source[0], source[-1]
    wide[before : before + len(source)] = source
    return wide


def fold(image: NDArray[Any], size: int, operation: np.ufunc) -> NDArray[Any]:
    """Fold windows of ``size`` rows that lie wholly inside; windows double until they reach it."""
    done = 1
    while done < size:
        more = min(done, size - done)
        image = operation(image[: len(image) - more], image[more:])
        done += more
    return image


def _extreme(image: NDArray[Any], size: int, operation: np.ufunc) -> NDArray[Any]:
    """Take the extreme of square windows of an odd size; edges are repeated outside."""
    for axis in (0, 1):
        wide = _padded(image, size // 2, size // 2, axis)
        image = np.moveaxis(fold(wide, size, operation), 0, axis)
    return image


def grow(image: NDArray[Any], size: int) -> NDArray[Any]:
    """Take the maximum of square windows of an odd size; edges are repeated outside."""
    return _extreme(image, size, np.maximum)


def shrink(image: NDArray[Any], size: int) -> NDArray[Any]:
    """Take the minimum of square windows of an odd size; edges are repeated outside."""
    return _extreme(image, size, np.minimum)


def window_mean(image: NDArray[Any], size: int) -> NDArray[np.float64]:
    """Take the mean of square windows of an odd size; edges are repeated outside."""
    result = image.astype(np.float64)
    for axis in (0, 1):
        total = _padded(result, size // 2 + 1, size // 2, axis).cumsum(axis=0)
        result = np.moveaxis((total[size:] - total[:-size]) / size, 0, axis)
    return np.asarray(result, dtype=np.float64)


def filled(mask: Mask) -> float:
    """Compute the share that a mask has of the smallest rectangle around it, turned or not."""
    y, x = positions(mask & ~shrink(np.pad(mask, 1), 3)[1:-1, 1:-1])
    angles = np.deg2rad(np.arange(0, 90, 6))
    cosines, sines = np.cos(angles), np.sin(angles)
    along, across = (
        np.ptp(np.outer(cosines, one) + np.outer(sines, other), axis=1) + 1
        for one, other in ((x, y), (y, -x))
    )
    return float(mask.sum() / (along * across).min())


def label_components(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number the 8-connected components of a mask from 1; 0 elsewhere.

    Runs of each row are joined with the runs of the row above that they touch, until no number
    changes (two-pass labelling, Rosenfeld & Pfaltz 1966, over runs).

    Returns:
        int32[H, W], the numbers; int64[n, 4], top, bottom, left, right of each, ends excluded.
    """
    height, width = mask.shape
    wide = np.zeros((height, width + 2), dtype=np.int8)
    wide[:, 1:-1] = mask
    change = wide[:, 1:] - wide[:, :-1]
    row, start = positions(change == 1)
    end = positions(change == -1)[1]
    stride = width + 2
    first = np.searchsorted(row * stride + end, (row - 1) * stride + start)
    last = np.searchsorted(row * stride + start, (row - 1) * stride + end, side="right")
    count = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(row)), count)
    within = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    upper = np.repeat(first, count) + within
    parent = np.arange(len(row))
    while True:
        joined = parent.copy()
        smaller = np.minimum(parent[lower], parent[upper])
        np.minimum.at(joined, parent[lower], smaller)
        np.minimum.at(joined, parent[upper], smaller)
        joined = joined[joined]
        if (joined == parent).all():
            break
        parent = joined
    roots = parent == np.arange(len(row))
    which = roots.cumsum()[parent]
    edges = np.zeros((height, width + 1), dtype=np.int32)
    edges[row, start], edges[row, end] = which, -which
    boxes = np.zeros((int(roots.sum()), 4), dtype=np.int64)
    boxes[:, ::2] = max(height, width)
    for side, low, high in ((0, row, row + 1), (2, start, end)):
        np.minimum.at(boxes[:, side], which - 1, low)
        np.maximum.at(boxes[:, side + 1], which - 1, high)
    return edges.cumsum(axis=1, dtype=np.int32)[:, :width], boxes


def members(labels: NDArray[np.int32], numbers: NDArray[Any], count: int) -> Mask:
    """Mark the pixels of some components, of ``count`` in all."""
    table = np.zeros(count + 1, dtype=np.bool_)
    table[numbers] = True
    return table[labels]
