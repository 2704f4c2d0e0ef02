"""Picture files, PIL images and arrays to 8-bit grayscale."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ContainerIO, Image, ImageFile, ImageOps, ImageStat, PngImagePlugin

from glyphsight.codec.encode import as_bytes
from glyphsight.errors import PictureError, one_line
from glyphsight.files import replacing

T = TypeVar("T")
PictureLike = str | os.PathLike[str] | BinaryIO | Image.Image | NDArray[Any]

MAX_PIXELS = 89_478_485
"""Default limit of pixels in a file, a quarter of a gibibyte in colour: Pillow's own."""

PICTURE_SUFFIXES = frozenset((
    ".avif", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".sgi", ".tga", ".tif", ".tiff",
    ".webp",
))  # fmt: skip
"""Suffixes, in lower case, by which a picture is known in a folder."""


def _gray(image: Image.Image, background: str = "auto") -> NDArray[np.uint8]:
    """Lay transparency on a background, then convert to gray."""
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    key = image.info.get("transparency")
    if image.mode.startswith(("I", "F")):
        wide = np.nan_to_num(np.asarray(image).astype(np.float64))
        top = 65535.0 if image.mode.startswith("I") else max(float(wide.max(initial=1.0)), 1e-9)
        gray = np.clip(np.round(wide * (255.0 / top)), 0, 255).astype(np.uint8)
        if not isinstance(key, int):
            return gray
        image = Image.fromarray(gray)
        image.putalpha(Image.fromarray(np.where(wide == key, 0, 255).astype(np.uint8)))
    if image.mode == "LAB":  # no luma without a colour profile; lightness is near it
        return np.asarray(image.getchannel(0))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if background == "auto":
            *inks, alpha = ImageStat.Stat(rgba.convert("RGBa")).sum
            dark = alpha and 255 * sum(inks) <= 3 * 127 * alpha
            background = "white" if dark else "black"
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, background), rgba)
    return np.asarray(image.convert("L"))


def _fit_key(image: Image.Image, raw: str, low: NDArray[np.uint8] | None = None) -> Image.Image:
    """Bring the key colour of a decoded PNG to the depth of its pixels, as Pillow does not.

    Args:
        image: The picture, of 8 bits; its own information is changed.
        raw: Pillow's name of how the pixels stand in the file.
        low: Lower bytes of colours of 16 bits, [H, W, 3]; None where they are lost, and no pixel
            can be told to be of the key colour.
    """
    key = image.info.get("transparency")
    if isinstance(key, int) and raw in ("L;2", "L;4"):
        top = 2 ** int(raw[-1]) - 1
        image.info["transparency"] = (key & top) * 255 // top
    elif isinstance(key, tuple) and (raw == "RGB;16B" or max(key) > 255):
        del image.info["transparency"]
        if low is not None:
            clear = (np.asarray(image) * np.uint16(256) + low == key).all(axis=2)
            image.putalpha(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)))
    return image


def _raw_mode(image: Image.Image) -> str:
    """Return Pillow's name of how the pixels of a PNG, not decoded yet, stand in its file."""
    tiles = getattr(image, "tile", ())
    return str(tiles[0][3]) if image.format == "PNG" and tiles else ""


def _low_bytes(stream: BinaryIO) -> NDArray[np.uint8]:
    """Decode the lower bytes of a PNG of 16-bit colours, uint8[H, W, 3]."""
    stream.seek(0)
    image = PngImagePlugin.PngImageFile(stream)
    image.tile = [image.tile[0]._replace(args="RGB;16L")]
    return np.asarray(image)


def _from_array(array: NDArray[Any], background: str) -> NDArray[np.uint8]:
    shape = list(array.shape)
    if array.dtype != np.uint8:
        raise PictureError(f"an array must be uint8, not {array.dtype}{shape}; {as_bytes(array)}")
    if array.ndim == 2:
        return array
    if array.ndim != 3 or shape[2] not in (3, 4):
        raise PictureError(
            f"an array of shape {shape} is not a picture, [H, W], [H, W, 3] or [H, W, 4]; give "
            "list(array) where it holds several"
        )
    return _gray(Image.fromarray(array), background)


def several(pictures: Iterable[T]) -> list[T]:
    """Return pictures as a list; raise PictureError where it is one picture."""
    one = isinstance(pictures, str | os.PathLike | Image.Image | io.IOBase)
    shape = pictures.shape if isinstance(pictures, np.ndarray) else (0, 0, 0)
    if one or len(shape) < 3 or (len(shape) == 3 and shape[2] in (3, 4)):
        raise PictureError(
            "one picture where a list of them is asked for; give [picture], or list(array) of an "
            "array that holds several"
        )
    return list(pictures)


def _name(picture: str | os.PathLike[str] | BinaryIO | Image.Image) -> str:
    """Name a picture in an error."""
    if isinstance(picture, str | os.PathLike):
        return str(picture) or "''"
    if isinstance(picture, Image.Image):
        return str(getattr(picture, "filename", "")) or "the PIL image"
    if hasattr(picture, "read"):
        return str(getattr(picture, "name", "")) or "the open file"
    raise PictureError(
        f"{type(picture).__name__} is no picture; give a path, an open binary file (of "
        "bytes io.BytesIO(bytes)), a PIL image or an array (of a tensor its .numpy(), uint8)"
    )


@contextmanager
def _opened(
    picture: str | os.PathLike[str] | BinaryIO, name: str, limit: int
) -> Iterator[ImageFile.ImageFile]:
    """Open a picture without decoding it; unlike Pillow's, the limit is not the whole process's."""
    with ExitStack() as stack:
        if isinstance(picture, str | os.PathLike):
            # Path("") would be a directory
            stream: BinaryIO = stack.enter_context(open(picture, "rb"))  # noqa: PTH123
        else:
            try:
                picture.seek(0)
                stream = picture
            except (AttributeError, OSError):
                stream = io.BytesIO(picture.read())
        for import_formats in (Image.preinit, Image.init):  # the common formats, then all
            import_formats()
            if (image := _identify(stream, Image.ID, name, limit)) is not None:
                _check_size(_pixels(image), name, limit)
                yield stack.enter_context(image)
                return
    raise PictureError(f"{name}: not a picture in any format Pillow reads; save it again as PNG")


def _identify(
    stream: BinaryIO, kinds: Sequence[str], name: str, limit: int
) -> ImageFile.ImageFile | None:
    """Open a picture as the first of the formats that takes it; None where none does."""
    stream.seek(0)
    prefix = stream.read(16)
    if not prefix:
        raise PictureError(f"{name}: an empty file; save the picture again")
    for kind in list(kinds):
        if kind == "EPS":  # a program, which Pillow has Ghostscript run
            continue
        factory, accept = Image.OPEN[kind]
        try:
            if accept is not None and accept(prefix) is not True:
                continue
            if kind in ("ICO", "ICNS"):  # Pillow decodes an ICO as it opens it
                _check_icon(stream, kind, name, limit)
            stream.seek(0)
            return factory(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # not of this format
            continue
    return None


def _pixels(image: Image.Image) -> int:
    """Count the pixels that decoding an opened picture takes."""
    tags = getattr(image, "tag_v2", {})  # a tile of a TIFF may be larger than its picture
    return max(image.width * image.height, int(tags.get(322, 0)) * int(tags.get(323, 0)))


def _check_size(pixels: int, name: str, limit: int) -> None:
    """Refuse a picture, not decoded yet, of more pixels than ``limit``."""
    if pixels > limit:
        raise PictureError(
            f"{name}: {pixels:,} pixels, the limit is {limit:,}; shrink it, or raise the limit: "
            f"max_pixels: {pixels} in a recipe or a plan, else --max-pixels {pixels}"
        )


def _check_icon(stream: BinaryIO, kind: str, name: str, limit: int) -> None:
    """Refuse an icon with a picture of more pixels than ``limit`` inside, whatever it declares."""
    Image.init()  # its pictures may be of any of three formats
    end = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(8)
    starts = []
    if kind == "ICO":
        stream.seek(6)
        entries = stream.read(16 * int.from_bytes(head[4:6], "little"))
        starts = [start for *_, start in struct.iter_unpack("<8s2I", entries)]
    else:
        while len(block := stream.read(8)) == 8:
            starts.append(stream.tell())
            stream.seek(max(0, int.from_bytes(block[4:], "big") - 8), os.SEEK_CUR)
    for start in sorted(set(starts)):
        part = cast("BinaryIO", ContainerIO.ContainerIO(stream, start, end - start))
        image = _identify(part, ("PNG", "JPEG2000", "DIB"), name, limit)
        if image is not None:  # the height of a bitmap counts its mask too
            _check_size(_pixels(image) // (1 + (image.format == "DIB")), name, limit)


def _select_frame(image: Image.Image, frame: int, name: str, limit: int) -> None:
    """Go to an image frame; the frames up to it are checked before they are decoded."""
    count = getattr(image, "n_frames", 1)
    if not 0 <= frame < count:
        raise PictureError(
            f"{name}: has no frame {frame}; give --frame a number from 0 to {count - 1}"
        )
    for number in range(1, frame + 1):
        image.seek(number)
        _check_size(_pixels(image), name, limit)


def load_picture(
    picture: PictureLike,
    *,
    frame: int = 0,
    background: str = "auto",
    max_pixels: int = MAX_PIXELS,
    jpeg_at_least: int | None = None,
) -> NDArray[np.uint8]:
    """Read a picture as grayscale. Several threads may read at once.

    Args:
        picture: A path, an open binary file, a PIL image or an array uint8[H, W], [H, W, 3 or 4].
        frame: Number of the image frame in a file with several, from 0.
        background: Colour under transparency: ``black``, ``white``, or ``auto`` for the one that
            the visible part stands out from.
        max_pixels: Limit of pixels. A file that declares more, in itself, in a frame up to the one
            that is read or in any picture of an icon, is refused before it is decoded.
        jpeg_at_least: Smallest side, in pixels, that a JPEG may be decoded to: at half, a quarter
            or an eighth of its size, several times faster, and a little different. None for all.

    Returns:
        uint8[H, W], 0 black to 255 white (ITU-R 601-2 luma, as Pillow's mode ``L``; of a JPEG file
        the luma channel it holds, which the same formula over its colours gives back but for
        rounding). A photo comes upright, as its EXIF orientation says.

    Raises:
        PictureError: Names the file, what is wrong with it and the fix.
    """
    if background not in ("auto", "black", "white"):
        raise PictureError(f"unknown background {background!r}; give auto, black or white")
    if isinstance(picture, np.ndarray):
        return _from_array(picture, background)
    name = _name(picture)
    try:
        if isinstance(picture, Image.Image):
            raw = _raw_mode(picture)
            if isinstance(picture, ImageFile.ImageFile):
                file, picture.filename = picture.filename, ""
                try:
                    picture.load()  # by name Pillow maps a TIFF with the sides as turned
                finally:
                    picture.filename = file
            return _gray(_fit_key(ImageOps.exif_transpose(picture), raw), background)
        with _opened(picture, name, max_pixels) as image:
            _select_frame(image, frame, name, max_pixels)
            if image.format in ("JPEG", "MPO"):  # twice as fast without its colours
                image.draft("L", None if jpeg_at_least is None else (jpeg_at_least,) * 2)
            raw, low = _raw_mode(image), None
            if raw == "RGB;16B" and "transparency" in image.info and not frame:
                stream = cast("BinaryIO", image.fp)
                image.load()
                low = _low_bytes(stream)
            return _gray(ImageOps.exif_transpose(_fit_key(image, raw, low)), background)
    except (PictureError, MemoryError):
        raise
    except FileNotFoundError:
        raise PictureError(f"{name}: no such file; fix its name") from None
    except IsADirectoryError:
        raise PictureError(
            f"{name}: is a directory; name the pictures in it (encode and see take all)"
        ) from None
    except Image.DecompressionBombError as error:  # a part that Pillow alone looks into
        raise PictureError(f"{name}: {one_line(error)}; shrink it") from None
    except Exception as error:  # damaged files make Pillow's decoders raise almost anything
        if isinstance(error, OSError) and error.errno:
            raise PictureError(
                f"{name}: cannot be read ({error.strerror}); change its permissions"
            ) from error
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
