"""The resize that defines the format: fixed-point separable resampling, horizontal pass first.

A dataset must not change with an imaging library's release, so this arithmetic is the project's
own. It equals two one-axis Pillow ``resize`` calls in a row (width first), which is what the tests
compare it with.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import PictureError

_FRACTION_BITS = 22
_ONE = 1 << _FRACTION_BITS
_BICUBIC_A = -0.5
_BICUBIC_SUPPORT = 2.0
_MAX_WEIGHTS = 1 << 25  # of one axis: 256 MiB
_CHUNK_BYTES = 1 << 23  # pixels of a chunk in float64: larger falls out of the cache


def _bicubic(x: float) -> float:
    """Keys' cubic convolution kernel with a = -0.5 (Keys 1981, eq. 4)."""
    x = abs(x)
    a = _BICUBIC_A
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    if x < 2.0:
        return (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return 0.0


@lru_cache(maxsize=64)
def weights(size_in: int, size_out: int) -> NDArray[np.float64]:
    """Fixed-point resampling matrix of one axis.

    The support is widened by the scale when shrinking; each row is normalised, then rounded to 22
    fractional bits.

    Returns:
        float64[size_out, size_in] of whole numbers, in units of 2**-22.
    """
    matrix = np.zeros((size_out, size_in), dtype=np.float64)
    scale = size_in / size_out
    stretch = max(scale, 1.0)
    support = _BICUBIC_SUPPORT * stretch
    for out in range(size_out):
        center = (out + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        last = min(int(center + support + 0.5), size_in)
        row = [_bicubic((x - center + 0.5) * (1.0 / stretch)) for x in range(first, last)]
        total = 0.0
        for weight in row:  # left to right: another order of summation rounds differently
            total += weight
        for x, weight in enumerate(row, start=first):
            matrix[out, x] = math.trunc(math.copysign(0.5, weight) + weight / total * _ONE)
    matrix.flags.writeable = False
    return matrix


def _round_and_clip(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fixed point back to whole 0..255, in place. Every sum is a whole number below 2**53."""
    sums += _ONE / 2
    sums *= 1.0 / _ONE
    np.floor(sums, out=sums)
    return np.clip(sums, 0.0, 255.0, out=sums)


def resize(
    images: NDArray[np.uint8], rows: int, columns: int, filter_name: str = "bicubic"
) -> NDArray[np.uint8]:
    """Resize a batch of grayscale pictures with the format's bicubic filter.

    Args:
        images: uint8[N, H, W], values 0..255.
        rows: Height of the result, at least 1.
        columns: Width of the result, at least 1.
        filter_name: Name of the filter; only ``bicubic`` so far.

    Returns:
        uint8[N, rows, columns].

    Raises:
        PictureError: More arithmetic than memory is likely to hold, as for a long thin strip.
    """
    count, height, width = images.shape
    if max(width * columns, height * rows, rows * columns) > _MAX_WEIGHTS:
        raise PictureError(
            f"{height}x{width} pixels would become {rows} rows of {columns} columns, too large; "
            "crop the picture or lower the width"
        )
    across, down = weights(width, columns).T, weights(height, rows)
    result = np.empty((count, rows, columns), dtype=np.uint8)
    chunk = max(1, _CHUNK_BYTES // (8 * height * width))
    for start in range(0, count, chunk):
        part = images[start : start + chunk]
        n = len(part)
        flat = part.reshape(n * height, width).astype(np.float64)
        wide = flat if width == columns else _round_and_clip(flat @ across)
        wide = wide.reshape(n, height, columns)
        result[start : start + n] = (
            wide if height == rows else _round_and_clip(np.matmul(down, wide))
        )
    return result
