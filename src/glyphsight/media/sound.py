"""Sound files to pictures of their spectra; :mod:`glyphsight.codec.sound` has the arithmetic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.sound import RATE, spectrogram
from glyphsight.errors import PictureError, one_line
from glyphsight.extras import need

SOUND_SUFFIXES = frozenset([".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"])
"""Suffixes, in lower case, by which a sound is known in a folder."""

MAX_SECONDS = 300
"""Length of the longest sound that is read, in seconds."""

_MAX_VALUES = 1 << 27  # samples of all channels


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
