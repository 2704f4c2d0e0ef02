"""Picture files, PIL images and arrays to 8-bit grayscale."""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from glyphsight.errors import PictureError
from glyphsight.files import replacing

PictureLike = str | os.PathLike[str] | BinaryIO | Image.Image | NDArray[Any]

MAX_PIXELS = 89_478_485
"""Most pixels a file may hold, a quarter of a gibibyte in colour: as Pillow has it."""

PICTURE_SUFFIXES = frozenset(
    [
        ".avif",
        ".bmp",
        ".dib",
        ".gif",
        ".ico",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pcx",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".qoi",
        ".sgi",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
"""Suffixes, in lower case, by which a picture is known in a folder."""

_BACKGROUNDS = {"black": (0, 0, 0, 255), "white": (255, 255, 255, 255)}
_pixel_limit = threading.Lock()


def _gray(image: Image.Image, background: str = "auto") -> NDArray[np.uint8]:
    """Flatten alpha on the background, then go gray.

    ``auto`` is black or white, whichever the opaque part stands out from.
    """
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    if ("A" in image.getbands() and image.mode != "LAB") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        colour = _BACKGROUNDS.get(background)
        if colour is None:
            opaque = np.asarray(rgba)
            visible = opaque[..., 3] > 127
            ink = opaque[..., :3][visible].mean() if visible.any() else 255.0
            colour = _BACKGROUNDS["black" if ink > 127 else "white"]
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, colour), rgba)
    if image.mode == "LAB":  # no luma without a colour profile; lightness is near it
        return np.asarray(image.getchannel(0))
    if image.mode.startswith(("I", "F")):
        wide = np.nan_to_num(np.asarray(image).astype(np.float64))
        top = 65535.0 if image.mode.startswith("I") else max(float(wide.max(initial=1.0)), 1e-9)
        return np.clip(np.round(wide * (255.0 / top)), 0, 255).astype(np.uint8)
    return np.asarray(image.convert("L"))


def _from_array(array: NDArray[Any], background: str) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise PictureError(
            f"an array must be uint8[H, W], [H, W, 3] or [H, W, 4], "
            f"not {array.dtype}{list(array.shape)}"
        )
    if array.ndim == 2:
        return array
    try:
        return _gray(Image.fromarray(array), background)
    except TypeError as error:
        raise PictureError(f"an array of shape {list(array.shape)} is not a picture") from error


def _name(picture: str | os.PathLike[str] | BinaryIO | Image.Image) -> str:
    """What an error calls the picture."""
    if isinstance(picture, str | os.PathLike):
        return str(picture) or "''"
    if isinstance(picture, Image.Image):
        return str(getattr(picture, "filename", "")) or "the PIL image"
    if hasattr(picture, "read"):
        return str(getattr(picture, "name", "")) or "the open file"
    raise PictureError(
        f"a picture is a path, an open binary file, a PIL image or an array, "
        f"not {type(picture).__name__}"
    )


@contextmanager
def _limited_to(pixels: int) -> Iterator[None]:
    """Have Pillow refuse more pixels than these, wherever in a file they are promised.

    Its limit is a global: it is changed for as short as can be, and not at all for the usual one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata does not change the pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if pixels == Image.MAX_IMAGE_PIXELS:
            yield
            return
        with _pixel_limit:
            before = Image.MAX_IMAGE_PIXELS
            Image.MAX_IMAGE_PIXELS = pixels
            try:
                yield
            finally:
                Image.MAX_IMAGE_PIXELS = before


def _select_frame(image: Image.Image, frame: int, name: str) -> None:
    count = getattr(image, "n_frames", 1)
    if not 0 <= frame < count:
        raise PictureError(f"{name}: has no frame {frame}; its frames are 0 to {count - 1}")
    if frame:
        image.seek(frame)


def load_picture(
    picture: PictureLike,
    *,
    frame: int = 0,
    background: str = "auto",
    max_pixels: int = MAX_PIXELS,
    jpeg_at_least: int | None = None,
) -> NDArray[np.uint8]:
    """Read a picture as grayscale.

    Args:
        picture: A path, an open binary file, a PIL image or an array uint8[H, W], [H, W, 3 or 4].
        frame: Of a file with several, from 0.
        background: What transparency is laid on: ``black``, ``white``, or ``auto`` for the one
            that the opaque part stands out from.
        max_pixels: A file that promises more is refused before it is decoded.
        jpeg_at_least: Decode a JPEG at an eighth, a quarter or half its size, as long as both sides
            keep so many pixels: several times faster, and a little different. None for all of it.

    Returns:
        uint8[H, W], 0 black to 255 white (ITU-R 601-2 luma, as Pillow's mode ``L``; of a JPEG file
        the luma channel it holds, which the same formula over its colours gives back but for
        rounding). A photo comes upright, as its EXIF orientation says.

    Raises:
        PictureError: Names the file, what is wrong with it and the mend.
    """
    if background != "auto" and background not in _BACKGROUNDS:
        raise PictureError(f"background is auto, black or white, not {background!r}")
    if isinstance(picture, np.ndarray):
        return _from_array(picture, background)
    name = _name(picture)
    try:
        if isinstance(picture, Image.Image):
            return _gray(picture, background)
        with _limited_to(max_pixels), Image.open(picture) as image:
            _select_frame(image, frame, name)
            if image.format in ("JPEG", "MPO"):  # twice as fast without its colours
                image.draft("L", None if jpeg_at_least is None else (jpeg_at_least,) * 2)
            return _gray(ImageOps.exif_transpose(image), background)
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise PictureError(
            f"{name}: is a directory; name the pictures in it (encode and see --jsonl take all)"
        ) from None
    except UnidentifiedImageError:
        raise PictureError(f"{name}: not a picture in any format Pillow reads") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        pixels = f"{int(found[1]):,} pixels" if found else "so many pixels"
        raise PictureError(
            f"{name}: {pixels}, the limit is {max_pixels:,}; shrink it, or raise the limit "
            "(--max-pixels)"
        ) from None
    except Exception as error:  # damaged files make Pillow's decoders raise almost anything
        if isinstance(error, OSError) and error.errno:
            raise PictureError(f"{name}: cannot be read ({error.strerror})") from error
        raise PictureError(
            f"{name}: damaged or cut off ({error}); fetch or save it again"
        ) from error


def save_picture(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write uint8[H, W] as the file type its suffix names, replacing atomically.

    Raises:
        PictureError: The suffix names no picture format that can be written.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise PictureError(
            f"{path}: {path.suffix or 'no suffix'} names no picture format to write; use .png"
        )
    with replacing(path, "wb") as stream:
        try:
            Image.fromarray(pixels).save(stream, format=kind)
        except (OSError, ValueError) as error:
            raise PictureError(f"{path}: cannot be written ({error}); use .png") from error
