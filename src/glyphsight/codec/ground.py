"""The ground that ink stands on: even or shaded, its contrast, the lines of ruled paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from glyphsight.codec.levels import otsu_thresholds
from glyphsight.codec.windows import Mask, fold, grow, median, odd, positions, shrink

_DARKEST = 0.7  # largest gray of ink sought in the darkest level alone, as a share of the border's


def border(gray: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost pixels."""
    return np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])


def threshold_of(values: NDArray[Any]) -> float:
    """Return Otsu's threshold of values of 0 to 255."""
    found = otsu_thresholds(np.clip(np.round(values), 0, 255).astype(np.uint8), 2)
    return 255.0 if found is None else found[0] - 0.5


def _local_median(gray: NDArray[Any]) -> NDArray[Any]:
    """Take the median of windows of 0.45 of the longer side, on a small copy."""
    step = max(1, -(-max(gray.shape) // 40))
    padded = np.pad(gray, [(0, -side % step) for side in gray.shape], mode="edge")
    rows, columns = padded.shape[0] // step, padded.shape[1] // step
    small = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    size = odd(0.45 * max(small.shape))
    windows = sliding_window_view(np.pad(small, size // 2, mode="edge"), (size, size))
    middle = size * size // 2
    result: NDArray[Any] = np.partition(windows.reshape(rows, columns, -1), middle)[..., middle]
    for axis, side in enumerate(gray.shape):  # bilinear, back to the size of the picture
        where = np.clip((np.arange(side) + 0.5) / step - 0.5, 0, result.shape[axis] - 1)
        below = where.astype(int)
        above = np.minimum(below + 1, result.shape[axis] - 1)
        share = (where - below).reshape([-1, 1] if axis == 0 else [1, -1])
        result = result.take(below, axis) * (1 - share) + result.take(above, axis) * share
    return result


def _has_shadow(middle: NDArray[Any]) -> bool:
    """Say whether a local median changes by more than a tenth."""
    return bool(middle.min() < 0.9 * middle.max())


def is_even(gray: NDArray[Any]) -> bool:
    """Say whether the ground is even at the border, as in a scan or a drawing."""
    level = median(border(gray))
    off = np.abs(border(gray) - level)
    return bool(1.4826 * median(off) <= 2.5 and (off > 12).mean() < 0.5)


@dataclass(frozen=True)
class Ground:
    """The ground of a picture."""

    shaded: bool  # True where it is uneven: a shadow, paper, noise
    shadow: bool  # True where its light changes by more than a tenth
    # Pairs of polarity, True for dark ink, and float64[H, W], how far each pixel stands out
    contrasts: tuple[tuple[bool, NDArray[np.float64]], ...]
    darkest: bool = False  # True where only the darkest pixels were taken


def find_ground(gray: NDArray[Any]) -> Ground:
    """Compute how far pixels stand out from the ground, dark ink or light."""
    if is_even(gray):
        level = median(border(gray))
        dark = 2 * level > float(gray.min()) + float(gray.max())
        contrast = np.maximum(level - gray if dark else gray - level, 0)
        return Ground(False, False, ((dark, contrast),))
    middle = _local_median(gray)
    size = max(odd(0.3 * min(gray.shape)), odd(0.12 * max(gray.shape)))
    closed, opened = shrink(grow(gray, size), size), grow(shrink(gray, size), size)
    shadow = _has_shadow(middle)
    dark = np.maximum(np.minimum(closed, middle) - gray, 0)
    light = np.maximum(gray - np.maximum(opened, middle), 0)
    return Ground(True, shadow, ((True, dark), (False, light)))


def darkest_grounds(gray: NDArray[Any], levels: Iterable[int]) -> Iterator[Ground]:
    """Keep the darkest of some levels of gray: ink beside light and shadow with hard edges.

    Ink in a shadow is darker than the shadow, and ink in the light seldom lighter. Levels are
    Otsu's, of gray float64[H, W]; what is not darker than the border of the picture by three tenths
    is left out, and so is a number of levels that keeps the pixels of the one before.
    """
    most, before = _DARKEST * median(border(gray)), -1
    if gray.min() >= most:
        return
    shadow = _has_shadow(_local_median(gray))
    rounded = np.clip(np.round(gray), 0, 255).astype(np.uint8)
    for number in levels:
        found = otsu_thresholds(rounded, number)
        darker = gray < (most if found is None else min(most, found[0] - 0.5))
        if (count := int(darker.sum())) in (0, before):
            continue
        before = count
        contrast = np.where(darker, gray.max() - gray, 0.0)
        yield Ground(True, shadow, ((True, contrast),), darkest=True)


def ruled_lines(mask: Mask) -> Mask:
    """Find thin lines, nearly level or upright, that cross most of the picture."""
    return _level_lines(mask) | _level_lines(np.ascontiguousarray(mask.T)).T


def _thin(mask: Mask, most: float) -> Mask:
    """Keep the pixels whose run up and down has at most ``most`` pixels."""
    size = int(most) + 1
    if size > len(mask):
        return mask
    inside = fold(mask, size, np.logical_and)
    around = np.zeros((len(mask) + size - 1, mask.shape[1]), dtype=np.bool_)
    around[size - 1 : len(mask)] = inside
    thin: Mask = mask & ~fold(around, size, np.logical_or)
    return thin


def _level_lines(mask: Mask) -> Mask:
    height, width = mask.shape
    found = np.zeros_like(mask)
    thin = _thin(mask, max(3, height / 45))
    row, column = positions(thin)
    if len(row) < width / 2:
        return found
    columns, span = np.arange(width), max(1, int(0.6 * width))
    for degrees in np.arange(-7.5, 8, 1.5):  # a sheared copy has the lines of this slope level
        shift = np.round(np.tan(np.deg2rad(degrees)) * (columns - width / 2)).astype(np.int64)
        sheared = row - shift[column]
        sheared = sheared[(sheared >= 0) & (sheared < height)]
        most = np.convolve(np.bincount(sheared, minlength=height), [1, 1, 1], mode="same")
        able = np.flatnonzero(most > 0.85 * span)
        if not len(able):
            continue
        near = np.zeros((len(able), width), dtype=np.bool_)
        for level in (able - 1, able, able + 1):
            rows = level[:, None] + shift
            inside = (rows >= 0) & (rows < height) & ((level >= 0) & (level < height))[:, None]
            near |= thin[np.clip(rows, 0, height - 1), columns] & inside
        total = np.pad(near.cumsum(axis=1, dtype=np.int32), ((0, 0), (1, 0)))
        hits = (total[:, span:] - total[:, :-span]).max(axis=1) > 0.85 * span
        for level in able[hits]:
            rows = level + shift
            here = (rows >= 0) & (rows < height)
            found[rows[here], columns[here]] = True
    lines: Mask = thin & grow(found, 5)
    return lines
