"""Changes to the pixels of pictures, before the codec.

Each takes pictures uint8[N, H, W], a strength and a random generator, and gives pictures of the
same shape. Where a change goes either way, each picture draws its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.prepare import dark_on_light, exchange
from glyphsight.media.augment import Augmentation, move, thicken

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, float, np.random.Generator], Pixels]

_SIDE = 28  # MNIST's: strengths in pixels are meant for it and grow with the picture
_CHUNK_PIXELS = 1 << 20
_LARGEST_DRAWN = 5.3826  # mean of the largest of 10,000 x 28 x 28 standard normal magnitudes


def _on_dark(change: Change) -> Change:
    """Apply a change bright on dark, piece by piece, so that the outside comes in black."""

    def apply(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
        result = np.empty_like(pixels)
        chunk = max(1, _CHUNK_PIXELS // max(1, pixels[:1].size))
        for start in range(0, len(pixels), chunk):
            part = pixels[start : start + chunk]
            light = dark_on_light(part)
            changed = change(exchange(part, light), strength, rng)
            result[start : start + chunk] = exchange(changed, light)
        return result

    return apply


def _ways(pixels: Pixels, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw -1 or 1 for each picture."""
    return rng.choice(np.array([-1.0, 1.0]), len(pixels))


def _pixels(pixels: Pixels, strength: float) -> float:
    """Convert a strength in pixels of a 28-pixel picture to pixels of these pictures."""
    return strength * float(max(pixels.shape[1:])) / _SIDE


@_on_dark
def shift(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Shift by ``strength`` pixels of a 28-pixel picture along both axes, each way at random."""
    drawn = np.zeros((len(pixels), 6))
    drawn[:, 4], drawn[:, 5] = _ways(pixels, rng), _ways(pixels, rng)
    return move(pixels, Augmentation(shift=_pixels(pixels, strength)), drawn)


@_on_dark
def rotation(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Rotate about the centre by ``strength`` degrees, either way at random."""
    drawn = np.zeros((len(pixels), 6))
    drawn[:, 0] = _ways(pixels, rng)
    return move(pixels, Augmentation(rotation=strength), drawn)


@_on_dark
def scale(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Scale to ``strength`` times the size about the centre."""
    drawn = np.zeros((len(pixels), 6))
    drawn[:, 1:3] = np.sign(strength - 1)
    return move(pixels, Augmentation(scale=abs(strength - 1)), drawn)


@_on_dark
def thickness(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Widen strokes by ``strength`` pixels of a 28-pixel picture on each side; negative: narrow.

    Gray dilation or erosion by a cross.
    """
    return thicken(pixels, np.full(len(pixels), _pixels(pixels, strength)))


def salt(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Whiten a share ``strength`` of the pixels, drawn one by one."""
    return np.where(rng.random(pixels.shape) < strength, np.uint8(255), pixels)


def gaussian(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Add LIFT's Gaussian noise, within ``strength`` of each pixel on a scale of 0 to 1.

    The code published with Dinh et al. 2022 (arXiv 2206.06565) divides normal noise over its 10,000
    test digits by the largest magnitude that was drawn, so that it lies in an L-infinity ball, then
    clips to 0..255 and rounds down to whole gray values. Here the divisor is the largest magnitude
    to be expected of their 7.84 million draws, so that the noise is theirs for any number of
    pictures, in any batches; the rare draw beyond it is clipped to the ball. The standard deviation
    is 0.186 of ``strength``.
    """
    noise = np.clip(rng.standard_normal(pixels.shape) / _LARGEST_DRAWN, -1, 1)
    return np.clip(pixels + noise * (255 * strength), 0, 255).astype(np.uint8)


def signed_constant(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Add LIFT's signed constant noise: each pixel ``strength``, 0 to 1, brighter or darker.

    Either sign with probability a half, independently; clipped to 0..255, rounded down to whole
    gray values, as the code published with Dinh et al. 2022 (arXiv 2206.06565) has it.
    """
    noise = (2 * rng.integers(0, 2, pixels.shape) - 1) * (255 * strength)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def inversion(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Exchange bright and dark."""
    return np.bitwise_not(pixels)
