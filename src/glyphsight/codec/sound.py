"""Turn sound samples into pictures: log-mel spectrograms.

Windows of 25 ms every 10 ms at 8 kHz (Hann, zero-padded to 512 points), their power spectra summed
in 64 triangular bands that are equally wide and half overlapping on the mel scale,
``mel = 2595 log10(1 + Hz / 700)`` (Davis and Mermelstein 1980; the scale's formula: O'Shaughnessy,
Speech Communication, 1987, as in the HTK Book), in decibels, the loudest 60 of them as 0 to 255.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 8000  # samples per second that :func:`spectrogram` takes

_WINDOW = 200
_HOP = 80
_STEPS = 60  # from a spectrogram back to a sound
_POINTS = 512  # so that the narrowest band, 41 Hz, holds two of the spectrum's points
BANDS = 64  # rows of a spectrogram
RANGE = 60.0  # decibels from 0 to 255 of a spectrogram


def to_mel(hertz: Any) -> Any:
    """Convert frequencies in Hz, a number or an array, to mel."""
    return 2595 * np.log10(1 + hertz / 700)


def to_hertz(mel: Any) -> Any:
    """Convert mel, a number or an array, to frequencies in Hz."""
    return 700 * (10 ** (mel / 2595) - 1)


def to_power(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Convert the gray values of spectrograms to power, 1 at 255; 0 counts as silence, 0."""
    return np.where(pixels > 0, 10 ** ((pixels / 255 - 1) * (RANGE / 10)), 0.0)


def to_gray(power: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Convert power to the gray values of a spectrogram, uint8 of the same shape.

    The largest along the last two axes becomes 255; all is 0 where nothing is above 0.
    """
    loudest = np.maximum(power.max(axis=(-2, -1), keepdims=True), np.finfo(np.float64).tiny)
    decibels = 10 * np.log10(np.maximum(power / loudest, 10 ** (-RANGE / 10)))
    gray: NDArray[np.uint8] = np.round((decibels + RANGE) * (255 / RANGE)).astype(np.uint8)
    return gray


def trim(images: NDArray[np.uint8], decibels: float) -> Iterator[NDArray[np.uint8]]:
    """Cut the quiet beginning and end off spectrograms, uint8[N, H, W].

    Columns count whose power is at most ``decibels`` below that of the loudest one; silence stays
    as it is. Yields views uint8[1, H, w].
    """
    for image in images:
        power = to_power(image).sum(axis=0)
        loud = np.flatnonzero(power >= power.max() * 10 ** (-decibels / 10))
        yield image[None, :, loud[0] : loud[-1] + 1]


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float64]:
    """Compute the triangular bands from 0 Hz to half the rate, [bands, points // 2 + 1]."""
    top = to_mel(RATE / 2)
    corners = to_hertz(np.linspace(0, top, BANDS + 2))
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hertz = np.fft.rfftfreq(_POINTS, 1 / RATE)
    bands: NDArray[np.float64] = np.maximum(
        0, np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle))
    )
    return bands


def spectrogram(samples: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Compute the log-mel spectrogram of a sound.

    Args:
        samples: float64[N] at 8 kHz; zeros fill up its last window.

    Returns:
        uint8[64, frames], low frequencies in the bottom row; 255 is the loudest cell, 0 is 60 dB
        below it or less. Silence is 0.
    """
    frames = 1 + max(0, -(-(len(samples) - _WINDOW) // _HOP))
    padded = np.zeros((frames - 1) * _HOP + _WINDOW)
    padded[: len(samples)] = samples
    bands = np.empty((BANDS, frames))
    for start in range(0, frames, 1024):
        some = padded[start * _HOP : (start + 1023) * _HOP + _WINDOW]
        bands[:, start : start + 1024] = _filters() @ (np.abs(_spectra(some)) ** 2).T
    return to_gray(bands[::-1])


def _spectra(samples: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Compute the spectrum of each window, complex128[frames, points // 2 + 1]."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    return np.fft.rfft(windows * np.hanning(_WINDOW), _POINTS)


def _overlapped(spectra: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Compute the samples whose spectra are nearest to some, by least squares."""
    window = np.hanning(_WINDOW)
    pieces = np.fft.irfft(spectra, _POINTS)[:, :_WINDOW] * window
    total = np.zeros((len(pieces) - 1) * _HOP + _WINDOW)
    weight = np.full_like(total, 1e-3)  # the window begins and ends at 0
    for number, piece in enumerate(pieces):
        total[number * _HOP : number * _HOP + _WINDOW] += piece
        weight[number * _HOP : number * _HOP + _WINDOW] += window**2
    samples: NDArray[np.float64] = total / weight
    return samples


def to_samples(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Make a sound of about this spectrogram, by Griffin and Lim's iteration.

    The power of a band is spread over its frequencies, and phases that fit together are sought
    (Griffin & Lim 1984, with the momentum of Perraudin et al. 2013), from random ones, always the
    same.

    Args:
        pixels: uint8[64, N], as :func:`spectrogram` gives it.

    Returns:
        float64[80 N + 120] at 8 kHz, the largest of them 0.5 from 0; zeros for silence.
    """
    bands = _filters()
    spread = bands / np.maximum(bands.sum(axis=0), 1e-9)
    power = (to_power(pixels)[::-1] / bands.sum(axis=1)[:, None]).T @ spread
    size = np.sqrt(power)
    rng = np.random.default_rng(0)
    found = size * np.exp(2j * np.pi * rng.random(size.shape))
    before = np.zeros_like(found)
    for _ in range(_STEPS):
        fit = _spectra(_overlapped(found))
        moved = fit + 0.99 * (fit - before)
        found, before = size * moved / np.maximum(np.abs(moved), 1e-12), fit
    samples = _overlapped(found)
    samples *= 0.5 / max(np.abs(samples).max(), 1e-12)
    return samples
