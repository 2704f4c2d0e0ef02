"""Shifted, turned, scaled and slanted copies of training pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which each copy's change is drawn, uniformly and independently.

    Attributes:
        shift: Largest shift along either axis, in pixels of the source picture.
        rotation: Largest turn either way, in degrees.
        scale: Largest change of height and, drawn apart, of width, as a share: 0.1 for 90 to 110 %.
        shear: Largest horizontal slant, in columns a row.
    """

    shift: float = 2.0
    rotation: float = 15.0
    scale: float = 0.12
    shear: float = 0.2


def augment(
    pixels: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change each picture by an affine map of its own about its centre, sampled bilinearly.

    Args:
        pixels: uint8[N, H, W]; what lies outside the picture counts as black.
        how: The ranges.
        rng: Where the changes come from.

    Returns:
        uint8[N, H, W].
    """
    count, height, width = pixels.shape
    turn = np.deg2rad(rng.uniform(-how.rotation, how.rotation, count))
    size: NDArray[np.float64] = rng.uniform(1 - how.scale, 1 + how.scale, (2, count, 1))
    tall, wide = 1 / size[0], 1 / size[1]
    slant = rng.uniform(-how.shear, how.shear, (count, 1))
    down_by, right_by = rng.uniform(-how.shift, how.shift, (2, count, 1))
    y, x = np.mgrid[0:height, 0:width].reshape(2, 1, -1).astype(np.float32)
    y -= (height - 1) / 2
    x -= (width - 1) / 2
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    rows = (sin * x + cos * y) * tall + (height - 1) / 2 - down_by
    columns = (cos * x - sin * y + slant * y) * wide
    columns += (width - 1) / 2 - right_by

    padded = np.pad(pixels, ((0, 0), (1, 2), (1, 2)))
    rows, columns = np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, across = rows - top, columns - left
    stride = width + 3
    flat = padded.reshape(-1)
    corner = np.arange(count)[:, None] * (stride * (height + 3)) + top * stride + left
    above = flat[corner] * (1 - across) + flat[corner + 1] * across
    below = flat[corner + stride] * (1 - across) + flat[corner + stride + 1] * across
    mixed: NDArray[np.float64] = above * (1 - down) + below * down
    return np.round(mixed).astype(np.uint8).reshape(pixels.shape)
