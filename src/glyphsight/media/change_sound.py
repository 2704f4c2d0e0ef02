"""Changes of sounds: drawn for each copy of a training sound, or at one strength to measure.

Copies are changed on the spectrogram. The measured changes take samples float64[N] at 8 kHz, -1 to
1, a strength and a random generator, and give samples.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.sound import BANDS, RANGE, RATE, to_gray, to_hertz, to_mel, to_power
from glyphsight.extras import need
from glyphsight.media.change import Augmentation, Pixels, draw_states, uniform

Samples = NDArray[np.float64]

_DRAWS = 16  # numbers a sound takes before those of its noise
_DECIBEL = 255 / RANGE  # in gray values


def augment_sounds(
    pixels: Pixels, how: Augmentation, seed: int, turn: int, numbers: NDArray[np.int64]
) -> Pixels:
    """Change each spectrogram, as :func:`~glyphsight.media.change.augment` does pictures.

    Speed, pitch, shift, tone, noise, then masks. Afterwards the loudest cell is 255 again, as
    whatever the gain of the sound it is. The noise is hiss: the power of each cell is drawn by
    itself, exponentially distributed, as that of white noise is. Takes and gives uint8[N, 64, W].
    """
    if not len(pixels):
        return pixels
    states = draw_states(seed, turn, numbers)
    drawn = 2 * uniform(states, 0, _DRAWS) - 1
    gray = np.stack([_warped(*one, how) for one in zip(pixels, drawn, strict=True)])
    angles = np.outer(np.arange(1, 4), np.arange(BANDS) + 0.5) * (np.pi / BANDS)
    tone = drawn[:, 6:9] @ np.cos(angles) * (how.tone / 2 * _DECIBEL)
    power = to_power(np.where(gray > 0, np.maximum(gray + tone[:, :, None], 0), 0))
    if how.noise:
        level = 10 ** ((how.noise * (drawn[:, 9] + 1) / 2 / 255 - 1) * RANGE / 10)
        cells = uniform(states, _DRAWS, pixels[0].size).reshape(pixels.shape)
        power -= level[:, None, None] * np.log1p(-cells)
    for each, (long, late, wide, high) in zip(power, (drawn[:, 10:14] + 1) / 2, strict=True):
        each[:, _masked(each.shape[1], how.mask * long, late)] = 0
        each[_masked(each.shape[0], how.mask * wide, high)] = 0
    return to_gray(power)


def _masked(count: int, share: float, place: float) -> slice:
    """Return the part of ``count`` rows or columns that is silenced."""
    size = int(count * share)
    first = round((count - size) * place)
    return slice(first, first + size)


def _warped(image: Pixels, drawn: NDArray[np.float64], how: Augmentation) -> NDArray[np.float64]:
    """Change speed, pitch and place in time of a spectrogram; silence, 0, comes in."""
    height, width = image.shape
    first, second, bend, pitch, moved = drawn[:5]
    at, last = 0.5 + bend / 4, width - 1  # each part of the sound has a speed of its own
    one, two = at / (1 + first * how.scale), (1 - at) / (1 + second * how.scale)
    start = moved * how.shift + (1 - one - two) / 2 * last
    ends = start + np.array([0, one, one + two]) * last
    columns = np.interp(np.arange(width), ends, [0, at * last, last], left=-1, right=-1)
    mel = np.linspace(to_mel(RATE / 2), 0, height + 2)[1:-1]
    asked = to_mel(to_hertz(mel) / (1 + pitch * how.pitch))
    rows = np.clip((mel[0] - asked) / (mel[0] - mel[-1]), 0, 1) * (height - 1)
    top, left = rows.astype(int), np.maximum(columns, 0).astype(int)
    down, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, last)
    share = (rows - top)[:, None]
    taken = image[top] * (1 - share) + image[down] * share
    part = np.maximum(columns, 0) - left
    moved_on: NDArray[np.float64] = taken[:, left] * (1 - part) + taken[:, right] * part
    return np.where(columns < 0, 0, moved_on)


def gain(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Make a sound louder by ``strength`` dB, as 16-bit samples that stop at the ends."""
    louder = np.clip(samples * 10 ** (strength / 20), -1, 1)
    return np.round(louder * 32767) / 32767


def hiss(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Add white noise, its power ``strength`` dB below that of the whole sound."""
    power = float(np.mean(samples**2)) * 10 ** (-strength / 10)
    noise = rng.standard_normal(len(samples)) * math.sqrt(power)
    return samples + noise


def speed(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Play a sound ``strength`` times as fast, as a tape does: its pitch changes too."""
    with need("audio"):
        import soxr
    return np.asarray(soxr.resample(samples, RATE * strength, RATE), dtype=np.float64)


def clipping(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Cut all that is beyond a share ``strength`` of the largest sample, either sign."""
    most = strength * float(np.abs(samples).max(initial=0))
    return np.clip(samples, -most, most)


def telephone(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Keep the frequencies of a telephone, 300 to 3,400 Hz."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.asarray(np.fft.irfft(spectrum, len(samples)), dtype=np.float64)


def leading_silence(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Put ``strength`` seconds of silence before a sound."""
    return np.concatenate([np.zeros(round(strength * RATE)), samples])
