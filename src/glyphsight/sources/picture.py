"""Picture files, PIL images and arrays to 8-bit grayscale."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from glyphsight.errors import PictureError
from glyphsight.files import replacing

PictureLike = str | os.PathLike[str] | BinaryIO | Image.Image | NDArray[Any]


def _gray(image: Image.Image) -> NDArray[np.uint8]:
    """Flatten alpha on black or white, whichever the opaque part stands out from, then go gray."""
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        opaque = np.asarray(rgba)
        visible = opaque[..., 3] > 127
        ink = opaque[..., :3][visible].mean() if visible.any() else 255.0
        background = (0, 0, 0, 255) if ink > 127 else (255, 255, 255, 255)
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, background), rgba)
    if image.mode.startswith(("I", "F")):
        wide = np.nan_to_num(np.asarray(image).astype(np.float64))
        top = 65535.0 if image.mode.startswith("I") else max(float(wide.max(initial=1.0)), 1e-9)
        return np.clip(np.round(wide * (255.0 / top)), 0, 255).astype(np.uint8)
    return np.asarray(image.convert("L"))


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise PictureError(
            f"an array must be uint8[H, W], [H, W, 3] or [H, W, 4], "
            f"not {array.dtype}{list(array.shape)}"
        )
    if array.ndim == 2:
        return array
    try:
        return _gray(Image.fromarray(array))
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


def load_picture(picture: PictureLike) -> NDArray[np.uint8]:
    """Read a picture as grayscale.

    Args:
        picture: A path, an open binary file, a PIL image or an array uint8[H, W], [H, W, 3 or 4].

    Returns:
        uint8[H, W], 0 black to 255 white (ITU-R 601-2 luma, as Pillow's mode ``L``). A photo
        comes upright, as its EXIF orientation says.

    Raises:
        PictureError: Names the file, what is wrong with it and the mend.
    """
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    name = _name(picture)
    try:
        if isinstance(picture, Image.Image):
            return _gray(picture)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata does not change the pixels
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(picture) as image:
                return _gray(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise PictureError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise PictureError(f"{name}: is a directory; name the pictures in it") from None
    except UnidentifiedImageError:
        raise PictureError(f"{name}: not a picture in any format Pillow reads") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureError(f"{name}: {error}; shrink it first") from None
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
