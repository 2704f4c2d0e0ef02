"""Turn sound samples into pictures: log-mel spectrograms.

Windows of 25 ms every 10 ms at 8 kHz (Hann, zero-padded to 512 points), their power spectra summed
in 64 triangular bands that are equally wide and half overlapping on the mel scale,
``mel = 2595 log10(1 + Hz / 700)`` (Davis and Mermelstein 1980; the scale's formula: O'Shaughnessy,
Speech Communication, 1987, as in the HTK Book), in decibels, the loudest 60 of them as 0 to 255.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RATE = 8000
"""Samples per second that :func:`spectrogram` takes."""

_WINDOW = 200
_HOP = 80
_POINTS = 512  # so that the narrowest band, 41 Hz, holds two of the spectrum's points
_BANDS = 64
_RANGE = 60.0


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float64]:
    """Compute the triangular bands from 0 Hz to half the rate, [bands, points // 2 + 1]."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hertz = np.fft.rfftfreq(_POINTS, 1 / RATE)
    return np.maximum(
        0, np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle))
    )


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
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    bands = np.empty((_BANDS, frames))
    for start in range(0, frames, 1024):
        some = windows[start : start + 1024] * np.hanning(_WINDOW)
        power = np.abs(np.fft.rfft(some, _POINTS)) ** 2
        bands[:, start : start + 1024] = _filters() @ power.T
    loudest = bands.max()
    if not loudest > 0:
        return np.zeros(bands.shape, dtype=np.uint8)
    decibels = 10 * np.log10(np.maximum(bands / loudest, 10 ** (-_RANGE / 10)))
    picture: NDArray[np.float64] = np.round((decibels[::-1] + _RANGE) * (255 / _RANGE))
    return picture.astype(np.uint8)
