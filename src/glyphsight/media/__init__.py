"""Media: kinds of files, each with its way from a file to a gray array, and their changes.

A user's own medium comes by the entry point group ``glyphsight.media``: a function that returns a
:class:`Medium`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import PictureError
from glyphsight.media.picture import PICTURE_SUFFIXES, PictureLike, load_picture, save_picture
from glyphsight.media.sound import SOUND_SUFFIXES, begins_sound, load_sound
from glyphsight.plugins import Registry

__all__ = [
    "MEDIA", "Medium", "PictureLike", "load_gray", "load_picture", "medium_of", "save_picture",
]  # fmt: skip


@dataclass(frozen=True)
class Medium:
    """A kind of file."""

    name: str  # name of the medium
    things: str  # name of its files in messages, such as ``pictures``
    suffixes: frozenset[str]  # in lower case, with the dot, that its files are known by
    # Function from a path to gray uint8[H, W], 0 black to 255 white. It raises a PictureError,
    # which names the file and the fix.
    load: Callable[[Path], NDArray[np.uint8]]


def picture() -> Medium:
    """Picture files that Pillow reads."""
    return Medium("picture", "pictures", PICTURE_SUFFIXES, load_picture)


def sound() -> Medium:
    """Sound files, as log-mel spectrograms."""
    return Medium("sound", "sounds", SOUND_SUFFIXES, load_sound)


MEDIA: Registry[Medium] = Registry(
    kind="medium",
    group="glyphsight.media",
    own={"picture": picture, "sound": sound},
    needed=("name", "things", "suffixes", "load"),
    module="glyphsight.media",
    error=PictureError,
)


@lru_cache(maxsize=2)
def _media(own: bool) -> dict[str, Medium]:
    """Return the project's media or users' by suffix, the first of each."""
    names = MEDIA.own if own else [name for name in MEDIA.names() if name not in MEDIA.own]
    media = [MEDIA.make(name) for name in names]
    return {suffix: one for one in reversed(media) for suffix in one.suffixes}


def medium_of(path: str | os.PathLike[str]) -> Medium | None:
    """Return the medium that a file's suffix names, None for a suffix of no medium.

    The project's own suffixes win over a user's, whose media are loaded for other suffixes alone.
    """
    suffix = Path(path).suffix.lower()
    return _media(True).get(suffix) or _media(False).get(suffix)


def _beginning(stream: Any) -> bytes:
    """Return the first 12 bytes of an open file, which stay unread; none where it cannot be."""
    if isinstance(stream, io.BufferedReader):  # standard input may be a pipe
        return stream.peek(12)[:12]
    try:
        at = stream.tell()
        begun = stream.read(12)
        stream.seek(at)
    except (AttributeError, OSError, ValueError):  # load_picture says what is wrong with it
        return b""
    return begun if isinstance(begun, bytes) else b""


def load_gray(item: PictureLike, *, heard: bool = False, **how: Any) -> NDArray[np.uint8]:
    """Read a file of any medium as a gray array.

    Args:
        item: Path of a file of any medium, or an open binary file that begins as a sound does; or
            a picture: a path, an open binary file, a PIL image or an array, as
            :func:`~glyphsight.media.picture.load_picture` takes it.
        heard: True where a file that tells no medium is a sound.
        how: Options of ``load_picture``, for pictures.

    Returns:
        uint8[H, W], 0 black to 255 white.

    Raises:
        PictureError: Names the file, what is wrong with it and the fix.
    """
    if isinstance(item, str | os.PathLike):
        medium = medium_of(item)
        if medium is not None and medium.name != "picture":
            return medium.load(Path(item))
        if medium is None and heard:
            return load_sound(Path(item))
    elif hasattr(item, "read") and (heard or begins_sound(_beginning(item))):
        return load_sound(io.BytesIO(item.read()))
    return load_picture(item, **how)
