"""Sound files to pictures of their spectra; :mod:`glyphsight.codec.sound` has the arithmetic."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, resize
from glyphsight.codec.sound import BANDS, RATE, spectrogram, to_samples
from glyphsight.errors import PictureError, one_line
from glyphsight.extras import need
from glyphsight.files import replacing

SOUND_SUFFIXES = frozenset((
    ".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav",
))  # fmt: skip
"""Suffixes, in lower case, by which a sound is known in a folder."""

SOUND_FORMATS = "WAV, FLAC, OGG, MP3, AIFF, AU, CAF or W64"
"""Formats of sounds that are read, for messages."""

_BEGINNINGS = re.compile(
    rb"RIFF....WAVE|RIFX....WAVE|RF64....WAVE|FORM....AIF[FC]|fLaC|OggS|ID3|\.snd|caff|riff",
    re.DOTALL,
)

MAX_SECONDS = 300  # length of the longest sound that is read, in seconds

_MAX_VALUES = 1 << 27  # samples of all channels
_UNKNOWN = 0x7FFF0000  # sizes from here on stand for a stream's: SoX's, ffmpeg's and arecord's
_CODECS = {0x45: "G.726", 0x50: "MPEG", 0x55: "MP3", 0xFF: "AAC", 0x161: "WMA", 0x1610: "AAC"}


def begins_sound(data: bytes) -> bool:
    """Check that a file is a sound by its first 12 bytes."""
    return _BEGINNINGS.match(data) is not None


def _look_into(stream: BinaryIO, path: Path) -> tuple[int, BinaryIO]:
    """Return the codec of a WAV, 0 of another file, and the stream; refuse samples cut off.

    Where samples follow a size of 0, as a program writes that was killed, the stream is a copy that
    says so.
    """
    kind, at, codec, end = stream.read(4), 12, 0, stream.seek(0, os.SEEK_END)
    if not end:
        raise PictureError(f"{path}: an empty file; fetch it again")
    order: Literal["little", "big"] = "little" if kind == b"RIFF" else "big"
    while kind in (b"RIFF", b"RIFX", b"FORM") and at + 8 <= end:
        stream.seek(at)
        name, size = stream.read(4), int.from_bytes(stream.read(4), order)
        if name == b"fmt ":
            codec = int.from_bytes(stream.read(2), order)
        if name == b"data" and not size:
            following = stream.read(8)
            held = at + 16 + int.from_bytes(following[4:], order) <= end + 1
            if len(following) == 8 and not (held and re.fullmatch(rb"[ -~]{4}", following[:4])):
                stream.seek(0)
                whole = bytearray(stream.read())
                whole[at + 4 : at + 8] = b"\xff" * 4
                return codec, io.BytesIO(whole)
        at += 8 + size  # the chunk of the samples counts: programs differ in the size of the whole
        if name in (b"data", b"SSND") and end < at and size < _UNKNOWN:
            raise PictureError(f"{path}: cut off, {end:,} of {at:,} bytes; fetch it again")
        at += size % 2
    stream.seek(0)
    return codec, stream


Change = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def load_sound(sound: Path | BinaryIO, change: Change | None = None) -> NDArray[np.uint8]:
    """Read a sound file (WAV, FLAC, OGG, MP3, AIFF, AU, CAF or W64) as a picture of its spectrum.

    Channels are averaged.

    Args:
        sound: Path of the file, or the open file.
        change: Function from samples, float64[N] at 8 kHz, to those that are heard in their place.

    Returns:
        uint8[64, N], a column each 10 ms: see :func:`spectrogram`.

    Raises:
        PictureError: Names the file, what is wrong with it and the fix.
        MissingPackageError: soundfile or soxr is not installed.
    """
    with need("audio"):
        import soundfile
        import soxr
    codec, path = 0, sound if isinstance(sound, Path) else Path("the open file")
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(path.open("rb")) if sound is path else sound
            codec, whole = _look_into(cast("BinaryIO", stream), path)
            file = stack.enter_context(soundfile.SoundFile(whole))
            rate = int(file.samplerate)
            if file.frames > MAX_SECONDS * rate or file.frames * file.channels > _MAX_VALUES:
                channels = "" if file.channels == 1 else f" of {file.channels} channels"
                raise PictureError(
                    f"{path}: {file.frames / rate:.0f} s{channels}, the limit is {MAX_SECONDS} s; "
                    "cut it"
                )
            # the number of frames, as a codec without a way back, such as GSM 6.10, asks for
            values = file.read(file.frames, dtype="float32", always_2d=True)
            samples = values.mean(axis=1, dtype=np.float64)
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file; fix its name") from None
    except OSError as error:
        raise PictureError(
            f"{path}: cannot be read ({error.strerror}); change its permissions"
        ) from error
    except (soundfile.SoundFileError, ValueError) as error:
        said = getattr(error, "error_string", one_line(error))
        if codec not in (0, 1, 3, 0xFFFE):  # those of PCM
            said = f"codec {_CODECS.get(codec, hex(codec))}: {said}"
        raise PictureError(
            f"{path}: not a sound that can be read, {SOUND_FORMATS} ({said}); save it as WAV in "
            f"PCM, such as ffmpeg -i {shlex.quote(path.name)} -c:a pcm_s16le new.wav"
        ) from error
    if not len(samples):
        raise PictureError(f"{path}: a sound without samples; save it again")
    if not np.isfinite(samples).all():
        raise PictureError(f"{path}: holds samples that are no finite numbers; save it again")
    heard = soxr.resample(samples, rate, RATE) if rate != RATE else samples
    return spectrogram(heard if change is None else change(heard))


def save_sound(levels: NDArray[np.uint8], profile: Profile, seconds: float, path: Path) -> None:
    """Write a level grid of a spectrogram as a sound that one can listen to.

    Args:
        levels: uint8[rows, columns], values below ``profile.levels``.
        profile: Profile of the text; its levels and, where they are numbers, its thresholds count.
        seconds: Length of the sound, which a text does not hold.
        path: File to write, of a kind that soundfile writes: WAV, FLAC, OGG.

    Raises:
        PictureError: The file cannot be written.
        MissingPackageError: soundfile is not installed.
    """
    with need("audio"):
        import soundfile
    gray = np.linspace(0, 255, profile.levels)
    if isinstance(profile.threshold, tuple):  # the middle of each level
        edges = np.array([*profile.threshold, 255])
        gray[1:] = (edges[:-1] + edges[1:]) / 2
    frames = max(1, round(seconds * 100))
    pixels = resize(np.round(gray).astype(np.uint8)[levels][None], BANDS, frames)[0]
    try:
        with replacing(path, "wb") as stream:
            kind = path.suffix.lstrip(".").upper()
            soundfile.write(stream, to_samples(pixels), RATE, format=kind)
    except (soundfile.SoundFileError, ValueError) as error:
        raise PictureError(
            f"{path}: cannot be written ({one_line(error)}); give a name in .wav"
        ) from error
