"""Adjust gray pictures before the resize: contrast, edges."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.prepare import FAINT

_CLIPPED = 100  # contrast: one pixel in this many may fall off each end


def stretch_contrast(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch gray linearly so that the darkest and brightest hundredth become black and white.

    Contrast stretching with saturation (Gonzalez & Woods, Digital Image Processing, section 3.2).
    Where both ends fall on one value, as in a thin drawing, the whole range is stretched; a flat
    picture stays as it is. Takes and gives uint8[N, H, W].
    """
    result = np.empty_like(images)
    value = np.arange(256)
    for image, out in zip(images, result, strict=True):
        counts = np.cumsum(np.bincount(image.reshape(-1), minlength=256))
        spared = int(counts[-1]) // _CLIPPED
        low = int(np.searchsorted(counts, spared, side="right"))
        high = int(np.searchsorted(counts, counts[-1] - spared))
        if low >= high:
            low, high = int(image.min()), int(image.max())
        span = max(high - low, 1)
        table = np.clip((2 * 255 * (value - low) + span) // (2 * span), 0, 255)
        out[:] = table.astype(np.uint8)[image] if high > low else image
    return result


@lru_cache(maxsize=4)
def _gaussian(sigma: float) -> tuple[int, ...]:
    """Return weights of a Gaussian to three sigma in whole units of 2**-16, alike everywhere."""
    radius = math.ceil(3 * sigma)
    weights = [math.exp(-(x * x) / (2 * sigma * sigma)) for x in range(-radius, radius + 1)]
    return tuple(round(weight / math.fsum(weights) * 65536) for weight in weights)


def _convolve(images: NDArray[np.int64], kernel: tuple[int, ...], axis: int) -> NDArray[np.int64]:
    """Convolve along an axis; border pixels are repeated outside the picture."""
    radius = len(kernel) // 2
    around = [(0, 0), (0, 0), (0, 0)]
    around[axis] = (radius, radius)
    padded = np.pad(images, around, mode="edge")
    size = images.shape[axis]
    result = np.zeros_like(images)
    for offset, weight in enumerate(kernel):
        if weight:
            result += weight * padded.take(range(offset, offset + size), axis=axis)
    return result


def find_edges(images: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """Draw the strength of edges, the strongest of a picture white.

    Args:
        images: uint8[N, H, W].
        kind: Detector. ``sobel``: magnitude of the gradient (Sobel & Feldman 1968); ``dog``:
            magnitude of the difference of Gaussians of sigma 1 and 1.6 pixels (Marr & Hildreth
            1980).

    Returns:
        uint8[N, H, W]; all black where nothing reaches an edge between two gray values
        ``FAINT`` apart.
    """
    wide = images.astype(np.int64)
    if kind == "sobel":
        across = _convolve(_convolve(wide, (1, 2, 1), 1), (-1, 0, 1), 2)
        down = _convolve(_convolve(wide, (1, 2, 1), 2), (-1, 0, 1), 1)
        strength = np.sqrt((across * across + down * down).astype(np.float64))
        faintest = 4.0 * FAINT
    else:
        near, far = (
            _convolve(_convolve(wide, _gaussian(sigma), 1), _gaussian(sigma), 2)
            for sigma in (1.0, 1.6)
        )
        strength = np.abs(near - far).astype(np.float64)
        faintest = 0.05 * FAINT * 2.0**32
    strongest = strength.max(axis=(1, 2), initial=0.0)[:, None, None]
    scaled = np.round(strength * 255.0 / np.maximum(strongest, faintest))
    return np.where(strongest >= faintest, scaled, 0.0).astype(np.uint8)
