"""What may be done to the gray picture before it is resized: polarity, crop, contrast, edges."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_FAINT = 16
"""Gray values; a smaller range is a flat picture with noise in it."""
_CLIPPED = 100
"""Contrast: one pixel in so many may fall off each end."""


def is_dark_on_light(pixels: NDArray[np.uint8]) -> bool:
    """Whether the background, judged by the median of the outermost pixels, is the brighter side.

    Args:
        pixels: uint8[H, W].
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    middle = (int(pixels.min()) + int(pixels.max())) / 2
    return float(np.median(border)) > middle


def content_box(pixels: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Top, bottom, left, right of what is brighter than a fifth of the range; None when flat."""
    low, high = int(pixels.min()), int(pixels.max())
    if high - low < _FAINT:
        return None
    ink = pixels > low + (high - low) / 5
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def set_polarity(images: NDArray[np.uint8], invert: str) -> NDArray[np.uint8]:
    """Turn dark and bright: ``no`` picture, every one (``yes``), or those dark on light (``auto``).

    Args:
        images: uint8[N, H, W].
        invert: As in :class:`~glyphsight.codec.Profile`.
    """
    if invert == "no":
        return images
    if invert == "yes":
        return np.bitwise_not(images)
    turned = np.array([is_dark_on_light(image) for image in images], dtype=bool)
    return np.where(turned[:, None, None], np.bitwise_not(images), images)


def crop_to_content(pixels: NDArray[np.uint8], margin: float) -> NDArray[np.uint8]:
    """The part of a picture that holds what stands out from its background, of either polarity.

    Args:
        pixels: uint8[H, W].
        margin: Added on each side, as a share of the content's longer side, as far as the picture
            reaches.

    Returns:
        A view; the whole of a flat picture.
    """
    box = content_box(np.bitwise_not(pixels) if is_dark_on_light(pixels) else pixels)
    if box is None:
        return pixels
    top, bottom, left, right = box
    extra = math.ceil(margin * max(bottom - top, right - left))
    return pixels[max(0, top - extra) : bottom + extra, max(0, left - extra) : right + extra]


def stretch_contrast(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch gray linearly so that the darkest and brightest hundredth become black and white.

    Contrast stretching with saturation (Gonzalez & Woods, Digital Image Processing, section 3.2).
    Where both ends fall on one value, as in a thin drawing, the whole range is stretched; a flat
    picture stays as it is.

    Args:
        images: uint8[N, H, W].
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
    """Weights of a Gaussian to three sigma in units of 2**-16, rounded: the same everywhere."""
    radius = math.ceil(3 * sigma)
    weights = [math.exp(-(x * x) / (2 * sigma * sigma)) for x in range(-radius, radius + 1)]
    return tuple(round(weight / math.fsum(weights) * 65536) for weight in weights)


def _convolve(images: NDArray[np.int64], kernel: tuple[int, ...], axis: int) -> NDArray[np.int64]:
    """Sum of shifted copies, the border pixels going on outside the picture."""
    radius = len(kernel) // 2
    around = [(0, 0), (0, 0), (0, 0)]
    around[axis] = (radius, radius)
    padded = np.pad(images, around, mode="edge")
    size = images.shape[axis]
    result = np.zeros_like(images)
    for place, weight in enumerate(kernel):
        if weight:
            result += weight * padded.take(range(place, place + size), axis=axis)
    return result


def find_edges(images: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """Strength of edges, the strongest of a picture white.

    Args:
        images: uint8[N, H, W].
        kind: ``sobel``: magnitude of the gradient (Sobel & Feldman 1968); ``dog``: magnitude of the
            difference of Gaussians of sigma 1 and 1.6 pixels (Marr & Hildreth 1980).

    Returns:
        uint8[N, H, W]; all black where nothing reaches an edge between two gray values
        ``_FAINT`` apart.
    """
    wide = images.astype(np.int64)
    if kind == "sobel":
        across = _convolve(_convolve(wide, (1, 2, 1), 1), (-1, 0, 1), 2)
        down = _convolve(_convolve(wide, (1, 2, 1), 2), (-1, 0, 1), 1)
        strength = np.sqrt((across * across + down * down).astype(np.float64))
        faintest = 4.0 * _FAINT
    else:
        near, far = (
            _convolve(_convolve(wide, _gaussian(sigma), 1), _gaussian(sigma), 2)
            for sigma in (1.0, 1.6)
        )
        strength = np.abs(near - far).astype(np.float64)
        faintest = 0.05 * _FAINT * 2.0**32
    strongest = strength.max(axis=(1, 2), initial=0.0)[:, None, None]
    scaled = np.round(strength * 255.0 / np.maximum(strongest, faintest))
    return np.where(strongest >= faintest, scaled, 0.0).astype(np.uint8)
