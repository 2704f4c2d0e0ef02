"""The resize that defines the format: fixed-point separable resampling, horizontal pass first.

A dataset must not change with an imaging library's release, so this arithmetic is the project's
own. It equals two one-axis Pillow ``resize`` calls in a row (width first), which is what the tests
compare it with.

Why float64 is exact here: a weight is a whole number of 2**-22, a pixel a whole number up to 255,
so every product and every partial sum, in whatever order a BLAS adds them up, is a whole number of
2**-22. Its size stays below 255 * 4 for each of the filters below, far from the 2**31 that float64
holds with 22 fractional bits. Adding a half and comparing with a threshold are exact as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import FormatError, PictureError

_Array = NDArray[np.float64]
_ONE = 1 << 22
_MAX_WEIGHTS = 1 << 25  # of one axis: 256 MiB
_CHUNK_BYTES = 1 << 19  # pixels of a chunk in float64: larger falls out of a core's cache
_BAND = 8  # result columns a product: so few need only a short stretch of the picture's columns


_HAMMING = float(np.float32(0.54)), float(np.float32(0.46))  # Pillow holds them in single precision


def _libm(function: Callable[[float], float], x: _Array) -> _Array:
    """Apply a function of the C library: numpy's sine may differ from it in the last bit."""
    return np.array([function(value) for value in x.tolist()])


def _box(x: _Array) -> _Array:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _bilinear(x: _Array) -> _Array:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _sinc(x: _Array) -> _Array:
    angle = x * math.pi
    return np.divide(_libm(math.sin, angle), angle, out=np.ones_like(x), where=angle != 0.0)


def _hamming(x: _Array) -> _Array:
    x = np.abs(x)
    windowed = _sinc(x) * (_HAMMING[0] + _HAMMING[1] * _libm(math.cos, x * math.pi))
    return np.where(x == 0.0, 1.0, np.where(x < 1.0, windowed, 0.0))


def _bicubic(x: _Array) -> _Array:
    """Compute Keys' cubic convolution kernel with a = -0.5 (Keys 1981, eq. 4)."""
    x = np.abs(x)
    inner = (1.5 * x - 2.5) * x * x + 1.0
    outer = (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    return np.where(x < 1.0, inner, np.where(x < 2.0, outer, 0.0))


def _lanczos(x: _Array) -> _Array:
    return np.where((x >= -3.0) & (x < 3.0), _sinc(x) * _sinc(x / 3.0), 0.0)


_KERNELS: dict[str, tuple[Callable[[_Array], _Array], float]] = {  # kernel, support
    "box": (_box, 0.5),
    "bilinear": (_bilinear, 1.0),
    "hamming": (_hamming, 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
FILTERS = ("nearest", *_KERNELS)  # names of the resampling filters, those of Pillow


@lru_cache(maxsize=16)
def weights(size_in: int, size_out: int, filter_name: str = "bicubic") -> _Array:
    """Compute the fixed-point resampling matrix of one axis.

    The support is widened by the scale when shrinking; each row is normalised, then rounded to 22
    fractional bits.

    Returns:
        float64[size_out, size_in] of whole multiples of 2**-22.

    Raises:
        FormatError: There is no filter of that name.
    """
    if filter_name not in FILTERS:
        raise FormatError(f"unknown filter {filter_name!r}; give one of {', '.join(FILTERS)}")
    scale = size_in / size_out
    matrix = np.zeros((size_out, size_in), dtype=np.float64)
    if filter_name == "nearest":  # the pixel where steps of the scale, added one by one, arrive
        steps = np.full(size_out, scale)
        steps[0] = scale * 0.5
        source = np.minimum(np.cumsum(steps).astype(np.int64), size_in - 1)
        matrix[np.arange(size_out), source] = 1.0
        matrix.flags.writeable = False
        return matrix
    kernel, support = _KERNELS[filter_name]
    stretch = max(scale, 1.0)
    support *= stretch
    for out in range(size_out):
        center = (out + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        last = min(int(center + support + 0.5), size_in)
        row = kernel((np.arange(first, last, dtype=np.float64) - center + 0.5) * (1.0 / stretch))
        total = np.cumsum(row)[-1]  # left to right: another order of summation rounds differently
        if total:
            row /= total
        matrix[out, first:last] = np.trunc(np.copysign(0.5, row) + row * _ONE) / _ONE
    matrix.flags.writeable = False
    return matrix


@lru_cache(maxsize=16)
def _bands(size_in: int, size_out: int, filter_name: str) -> list[tuple[slice, slice, _Array]]:
    """Split the transposed weights into bands: columns read, columns written, float64[in, out]."""
    matrix = weights(size_in, size_out, filter_name)
    bands = []
    for start in range(0, size_out, _BAND):
        band = matrix[start : start + _BAND]
        used = np.flatnonzero(band.any(axis=0))
        read = slice(int(used[0]), int(used[-1]) + 1)
        # Contiguous: a BLAS takes half as long again over a transposed view.
        bands.append((read, slice(start, start + _BAND), np.ascontiguousarray(band[:, read].T)))
    return bands


def _round_and_clip(sums: _Array) -> _Array:
    """Round halves up to whole 0..255, in place."""
    sums += 0.5
    np.floor(sums, out=sums)
    return np.clip(sums, 0.0, 255.0, out=sums)


def _room(images: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Allocate the result, unless it or the weights would be too large."""
    count, height, width = images.shape
    if max(width * columns, height * rows, rows * columns) > _MAX_WEIGHTS:
        raise PictureError(
            f"{height}x{width} pixels would become {rows} rows of {columns} columns, too large; "
            "crop the picture or lower the width"
        )
    return np.empty((count, rows, columns), dtype=np.uint8)


def _passes(
    images: NDArray[np.uint8], rows: int, columns: int, filter_name: str
) -> Iterator[tuple[slice, _Array]]:
    """Run both passes by chunks, whose sums, not rounded, are valid until the next chunk."""
    count, height, width = images.shape
    down = weights(height, rows, filter_name)
    bands = _bands(width, columns, filter_name)
    chunk = max(1, min(count, _CHUNK_BYTES // (8 * height * width)))
    lines = min(chunk * height, max(1, _CHUNK_BYTES // (8 * width)))  # fewer when one is large
    exact = np.empty((lines, width))  # the buffers are kept: fresh ones cost page faults
    across = np.empty((chunk * height, columns))
    both = np.empty((chunk, rows, columns))
    for start in range(0, count, chunk):
        part = images[start : start + chunk]
        n = len(part)
        flat = part.reshape(n * height, width)
        for top in range(0, n * height, lines):
            pixels = flat[top : top + lines]
            wide = across[top : top + len(pixels)]
            if width == columns:
                wide[:] = pixels
                continue
            exact[: len(pixels)] = pixels
            for read, write, band in bands:
                np.matmul(exact[: len(pixels), read], band, out=wide[:, write])
            _round_and_clip(wide)
        sums = across[: n * height].reshape(n, height, columns)
        if height != rows:
            sums = np.matmul(down, sums, out=both[:n])
        yield slice(start, start + n), sums


def resize(
    images: NDArray[np.uint8], rows: int, columns: int, filter_name: str = "bicubic"
) -> NDArray[np.uint8]:
    """Resize a batch of grayscale pictures.

    Args:
        images: uint8[N, H, W], values 0..255.
        rows: Height of the result, at least 1.
        columns: Width of the result, at least 1.
        filter_name: One of :data:`FILTERS`; the format's own is bicubic.

    Returns:
        uint8[N, rows, columns].

    Raises:
        PictureError: More arithmetic than memory is likely to hold, as for a long thin strip.
        FormatError: There is no filter of that name.
    """
    result = _room(images, rows, columns)
    for which, sums in _passes(images, rows, columns, filter_name):
        result[which] = _round_and_clip(sums)
    return result


def resize_to_levels(
    images: NDArray[np.uint8], rows: int, columns: int, levels: int, filter_name: str = "bicubic"
) -> NDArray[np.uint8]:
    """Resize and quantize in one go: ``resize(...) * levels // 256``, but faster.

    A pixel reaches level k from ceil(256 * k / levels) on, a sum half a unit earlier: comparing
    the sums spares their rounding and clipping. Arguments and errors are those of :func:`resize`.

    Returns:
        uint8[N, rows, columns], 0 to ``levels - 1``, of 2 to 256 levels.
    """
    first, *others = [math.ceil(256 * level / levels) - 0.5 for level in range(1, levels)]
    result = _room(images, rows, columns)
    for which, sums in _passes(images, rows, columns, filter_name):
        part = result[which]
        np.greater_equal(sums, first, out=part.view(np.bool_))
        for threshold in others:
            part += (sums >= threshold).view(np.uint8)
    return result
