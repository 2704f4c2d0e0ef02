"""Changes of pictures: drawn for each copy of a training picture, or at one strength to measure.

The measured ones take pictures uint8[N, H, W], a strength and a random generator, and give pictures
of the same shape. Where such a change goes either way, each picture draws its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.prepare import dark_on_light, exchange
from glyphsight.errors import DatasetError
from glyphsight.settings import check, setting

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, float, np.random.Generator], Pixels]

_DRAWS = 8  # numbers a training picture takes before those of its noise
_SIDE = 28  # MNIST's: measured strengths in pixels are meant for it and grow with the picture
_CHUNK_PIXELS = 1 << 20
_LARGEST_DRAWN = 5.3826  # mean of the largest of 10,000 x 28 x 28 standard normal magnitudes


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which each copy's change is drawn, uniformly and independently.

    A sound is changed by shift, scale, noise, pitch, tone and mask; it is never turned, slanted or
    mirrored.

    Attributes:
        shift: Largest shift along either axis, in pixels of the source picture; of a sound
            along time alone, in moments of 10 ms.
        rotation: Largest rotation either way, in degrees.
        scale: Largest change of height and, drawn apart, of width, as a share: 0.1 for 90 to 110 %;
            of a sound, of its speed before and, drawn apart, after a moment in it.
        shear: Largest horizontal slant, in columns per row.
        stroke: Largest change of the width of bright strokes, in pixels on each side.
        noise: Largest strength of the noise, in gray values: each pixel changes by at most the
            strength that its picture drew; of a sound, hiss at that gray value in its
            spectrogram, of which 4.25 are a decibel.
        mirror: Share of the copies that are mirrored left to right.
        pitch: Largest change of a sound's frequencies, as a share: 0.1 for 90 to 110 %.
        tone: Largest change of a sound's loudness from band to band, in decibels: another
            microphone, another room.
        mask: Largest share of a sound's moments and, drawn apart, of its bands that are silenced.
    """

    shift: float = setting(2.0, low=0)
    rotation: float = setting(15.0, low=0)
    scale: float = setting(0.12, low=0, below=1)
    shear: float = setting(0.2, low=0)
    stroke: float = setting(0.0, low=0)
    noise: float = setting(0.0, low=0)
    mirror: float = setting(0.0, low=0, high=1)
    pitch: float = setting(0.12, low=0, below=1)
    tone: float = setting(6.0, low=0, high=60)
    mask: float = setting(0.1, low=0, high=1)

    def __post_init__(self) -> None:
        check(self, DatasetError)
        for name, value in asdict(self).items():  # so that 0 and 0.0 are noted alike
            object.__setattr__(self, name, float(value))


def augment(
    pixels: Pixels, how: Augmentation, seed: int, turn: int, numbers: NDArray[np.int64]
) -> Pixels:
    """Change each picture by values of its own: mirror, stroke, an affine map, then noise.

    The result, uint8[N, H, W], depends on the ranges, the random seed, the number of the copy
    (``turn``) and the picture's own number, int64[N], not on the pictures beside it. The outside of
    a picture counts as black.
    """
    if not len(pixels):
        return pixels
    states = draw_states(seed, turn, numbers)
    drawn = uniform(states, 0, _DRAWS)
    if how.mirror:
        turned = uniform(_mix(states), 0, 1) < how.mirror
        pixels = np.where(turned[:, :, None], pixels[:, :, ::-1], pixels)
    if how.stroke:
        pixels = thicken(pixels, (2 * drawn[:, 0] - 1) * how.stroke)
    pixels = move(pixels, how, 2 * drawn[:, 1:7] - 1)
    if how.noise:
        _, height, width = pixels.shape
        change = 2 * uniform(states, _DRAWS, height * width).reshape(pixels.shape) - 1
        noisy = pixels + change * (how.noise * drawn[:, 7])[:, None, None]
        pixels = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    return pixels


def draw_states(seed: int, turn: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the state from which each picture, or sound, draws its numbers."""
    return _mix(_mix(_mix(np.uint64(seed % 2**64)) + np.uint64(turn)) + numbers.astype(np.uint64))


def _mix(values: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    """Apply SplitMix64's output function (Steele, Lea & Flood 2014)."""
    state = np.atleast_1d(values) + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def uniform(states: NDArray[np.uint64], first: int, count: int) -> NDArray[np.float64]:
    """Draw numbers ``first`` to ``first + count`` of each state, float64[N, count] in [0, 1)."""
    steps = np.arange(first, first + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    numbers = _mix(states[:, None] + steps) >> np.uint64(11)
    return numbers.astype(np.float64) * 2.0**-53


def thicken(pixels: Pixels, amount: NDArray[np.float64]) -> Pixels:
    """Grow bright strokes by ``amount`` pixels each, or shrink them where it is negative.

    Gray dilation or erosion by a cross, one pixel after the other, the last step by its share.
    """
    size = np.abs(amount)
    grow = (amount > 0)[:, None, None]
    result = pixels.astype(np.float64)
    for step in range(math.ceil(size.max(initial=0))):
        wide = np.pad(result, ((0, 0), (1, 1), (1, 1)), mode="edge")
        beside = [wide[:, :-2, 1:-1], wide[:, 2:, 1:-1], wide[:, 1:-1, :-2], wide[:, 1:-1, 2:]]
        five = [result, *beside]
        moved = np.where(grow, np.maximum.reduce(five), np.minimum.reduce(five))
        share = np.clip(size - step, 0, 1)[:, None, None]
        result += (moved - result) * share
    return np.round(result).astype(np.uint8)


def move(pixels: Pixels, how: Augmentation, drawn: NDArray[np.float64]) -> Pixels:
    """Map each picture affinely about its centre, sampled bilinearly.

    ``drawn``, float64[N, 6], is the share of each range, -1 to 1: turn, height, width, slant, shift
    down, shift right.
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


def _drawn(pixels: Pixels, rng: np.random.Generator, *ways: int) -> NDArray[np.float64]:
    """Draw -1 or 1 in the given columns of what :func:`move` takes, 0 in the others."""
    drawn = np.zeros((len(pixels), 6))
    for column in ways:
        drawn[:, column] = rng.choice(np.array([-1.0, 1.0]), len(pixels))
    return drawn


def _pixels(pixels: Pixels, strength: float) -> float:
    """Convert a strength in pixels of a 28-pixel picture to pixels of these pictures."""
    return strength * float(max(pixels.shape[1:])) / _SIDE


@_on_dark
def shift(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Shift by ``strength`` pixels of a 28-pixel picture along both axes, each way at random."""
    return move(pixels, Augmentation(shift=_pixels(pixels, strength)), _drawn(pixels, rng, 4, 5))


@_on_dark
def rotation(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Rotate about the centre by ``strength`` degrees, either way at random."""
    return move(pixels, Augmentation(rotation=strength), _drawn(pixels, rng, 0))


@_on_dark
def scale(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Scale to ``strength`` times the size about the centre."""
    drawn = _drawn(pixels, rng)
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
