"""Sound files to pictures of their spectra: log-mel spectrograms.

Windows of 25 ms every 10 ms at 8 kHz (Hann, zero-padded to 512 points), their power spectra summed
in 64 triangular bands that are equally wide and half overlapping on the mel scale,
``mel = 2595 log10(1 + Hz / 700)`` (Davis and Mermelstein 1980; the scale's formula: O'Shaughnessy,
Speech Communication, 1987, as in the HTK Book), in decibels, the loudest 60 of them as 0 to 255.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import PictureError, one_line
from glyphsight.extras import need

SOUND_SUFFIXES = frozenset([".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"])
"""Suffixes, in lower case, by which a sound is known in a folder."""

MAX_SECONDS = 300
"""Length of the longest sound that is read, in seconds."""

_MAX_VALUES = 1 << 27  # samples of all channels

RATE = 8000
"""Samples per second that :func:`spectrogram` takes."""

_WINDOW = 200
_HOP = 80
_POINTS = 512  # so that the narrowest band, 41 Hz, holds two of the spectrum's points
_BANDS = 64
_RANGE = 60.0


def _whole(stream: BinaryIO, path: Path) -> BinaryIO:
    """Return the stream; refuse a WAV shorter than it declares, which libsndfile reads."""
    head = stream.read(8)
    promised = int.from_bytes(head[4:], "little") + 8
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if head[:4] == b"RIFF" and size < promised < 1 << 31:  # more: a stream of unknown length
        raise PictureError(f"{path}: cut off, {size:,} of {promised:,} bytes; fetch it again")
    return stream


def load_sound(path: Path) -> NDArray[np.uint8]:
    """Read a sound file (WAV, FLAC, OGG or MP3) as a picture of its spectrum.

    Channels are averaged.

    Returns:
        uint8[64, N], a column each 10 ms: see :func:`spectrogram`.

    Raises:
        PictureError: Names the file, what is wrong with it and the fix.
        MissingPackageError: soundfile or soxr is not installed.
    """
    with need("audio"):
        import soundfile
        import soxr
    try:
        with path.open("rb") as stream, soundfile.SoundFile(_whole(stream, path)) as sound:
            rate = int(sound.samplerate)
            if sound.frames > MAX_SECONDS * rate or sound.frames * sound.channels > _MAX_VALUES:
                raise PictureError(
                    f"{path}: {sound.frames / rate:.0f} s of {sound.channels} channels, the limit "
                    f"is {MAX_SECONDS} s; cut it"
                )
            samples = sound.read(dtype="float32", always_2d=True).mean(axis=1, dtype=np.float64)
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror})") from error
    except (soundfile.SoundFileError, ValueError) as error:
        said = getattr(error, "error_string", one_line(error))
        raise PictureError(
            f"{path}: not a sound that can be read ({said}); save it again as WAV"
        ) from error
    if not len(samples) or not np.isfinite(samples).all():
        raise PictureError(f"{path}: holds no sound; save it again")
    return spectrogram(soxr.resample(samples, rate, RATE) if rate != RATE else samples)


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
