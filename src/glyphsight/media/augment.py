"""Change copies of training pictures: stroke, mirror, shift, rotation, scale, shear and noise."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError
from glyphsight.settings import check, setting


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which each copy's change is drawn, uniformly and independently.

    Attributes:
        shift: Largest shift along either axis, in pixels of the source picture.
        rotation: Largest rotation either way, in degrees.
        scale: Largest change of height and, drawn apart, of width, as a share: 0.1 for 90 to 110 %.
        shear: Largest horizontal slant, in columns per row.
        stroke: Largest change of the width of bright strokes, in pixels on each side.
        noise: Largest strength of the noise, in gray values: each pixel changes by at most the
            strength that its picture drew.
        mirror: Share of the copies that are mirrored left to right.
    """

    shift: float = setting(2.0, low=0)
    rotation: float = setting(15.0, low=0)
    scale: float = setting(0.12, low=0, below=1)
    shear: float = setting(0.2, low=0)
    stroke: float = setting(0.0, low=0)
    noise: float = setting(0.0, low=0)
    mirror: float = setting(0.0, low=0, high=1)

    def __post_init__(self) -> None:
        check(self, DatasetError)
        for name, value in asdict(self).items():  # so that 0 and 0.0 are noted alike
            object.__setattr__(self, name, float(value))


_DRAWS = 8  # numbers a picture takes before those of its noise


def augment(
    pixels: NDArray[np.uint8], how: Augmentation, seed: int, turn: int, numbers: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Change each picture by values of its own: mirror, stroke, an affine map, then noise.

    The result depends on the ranges, ``seed``, ``turn`` and a picture's own number, not on the
    pictures beside it.

    Args:
        pixels: uint8[N, H, W]; the outside of a picture counts as black.
        how: Ranges of the changes.
        seed: Random seed.
        turn: Number of the copy.
        numbers: Numbers of the pictures, int64[N].

    Returns:
        uint8[N, H, W].
    """
    if not len(pixels):
        return pixels
    states = _mix(_mix(_mix(np.uint64(seed % 2**64)) + np.uint64(turn)) + numbers.astype(np.uint64))
    drawn = _uniform(states, 0, _DRAWS)
    if how.mirror:
        turned = _uniform(_mix(states), 0, 1) < how.mirror
        pixels = np.where(turned[:, :, None], pixels[:, :, ::-1], pixels)
    if how.stroke:
        pixels = thicken(pixels, (2 * drawn[:, 0] - 1) * how.stroke)
    pixels = move(pixels, how, 2 * drawn[:, 1:7] - 1)
    if how.noise:
        _, height, width = pixels.shape
        change = 2 * _uniform(states, _DRAWS, height * width).reshape(pixels.shape) - 1
        noisy = pixels + change * (how.noise * drawn[:, 7])[:, None, None]
        pixels = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    return pixels


def _mix(values: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    """Apply SplitMix64's output function (Steele, Lea & Flood 2014)."""
    state = np.atleast_1d(values) + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _uniform(states: NDArray[np.uint64], first: int, count: int) -> NDArray[np.float64]:
    """Draw numbers ``first`` to ``first + count`` of each state, float64[N, count] in [0, 1)."""
    steps = np.arange(first, first + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    numbers = _mix(states[:, None] + steps) >> np.uint64(11)
    return numbers.astype(np.float64) * 2.0**-53


def thicken(pixels: NDArray[np.uint8], amount: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Grow bright strokes by ``amount`` pixels each, or shrink them where it is negative.

    Gray dilation or erosion by a cross, one pixel after the other, the last step by its share.
    """
    size = np.abs(amount)
    grow = (amount > 0)[:, None, None]
    result = pixels.astype(np.float64)
    for step in range(math.ceil(size.max(initial=0))):
        padded = np.pad(result, ((0, 0), (1, 1), (1, 1)), mode="edge")
        five = [
            result,
            padded[:, :-2, 1:-1],
            padded[:, 2:, 1:-1],
            padded[:, 1:-1, :-2],
            padded[:, 1:-1, 2:],
        ]
        moved = np.where(grow, np.maximum.reduce(five), np.minimum.reduce(five))
        share = np.clip(size - step, 0, 1)[:, None, None]
        result += (moved - result) * share
    return np.round(result).astype(np.uint8)


def move(
    pixels: NDArray[np.uint8], how: Augmentation, drawn: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Map each picture affinely about its centre, sampled bilinearly.

    Args:
        pixels: uint8[N, H, W].
        how: Ranges of the changes.
        drawn: Share of each range, float64[N, 6], -1 to 1: turn, height, width, slant, shift down,
            shift right.
    """
    _, height, width = pixels.shape
    turn, taller, wider, slant, down_by, right_by = drawn.T[:, :, None]
    turn = np.deg2rad(turn * how.rotation)
    tall, wide = 1 / (1 + taller * how.scale), 1 / (1 + wider * how.scale)
    y, x = np.mgrid[0:height, 0:width].reshape(2, 1, -1).astype(np.float32)
    y -= (height - 1) / 2
    x -= (width - 1) / 2
    cos, sin = np.cos(turn), np.sin(turn)
    rows = (sin * x + cos * y) * tall + (height - 1) / 2 - down_by * how.shift
    columns = (cos * x - sin * y + slant * how.shear * y) * wide
    columns += (width - 1) / 2 - right_by * how.shift

    padded = np.pad(pixels, ((0, 0), (1, 2), (1, 2)))
    rows, columns = np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, across = rows - top, columns - left
    stride = width + 3
    flat = padded.reshape(-1)
    corner = np.arange(len(pixels))[:, None] * (stride * (height + 3)) + top * stride + left
    above = flat[corner] * (1 - across) + flat[corner + 1] * across
    below = flat[corner + stride] * (1 - across) + flat[corner + stride + 1] * across
    mixed: NDArray[np.float64] = above * (1 - down) + below * down
    return np.round(mixed).astype(np.uint8).reshape(pixels.shape)
