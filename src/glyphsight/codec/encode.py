"""Grayscale arrays to ASCII_Images and back: resize, cut into equal levels, write as text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats import get_format
from glyphsight.codec.profile import PUBLISHED, Profile
from glyphsight.codec.resample import resize_to_levels
from glyphsight.errors import PictureError


def quantize(pixels: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    """Cut 0..255 into equal levels: ``level = value * levels // 256``. Shape and dtype stay."""
    table = (np.arange(256) * levels // 256).astype(np.uint8)
    return table[pixels]


def encode_batch(images: NDArray[np.uint8], profile: Profile = PUBLISHED) -> list[str]:
    """Turn grayscale pictures of one size into ASCII_Images.

    Args:
        images: uint8[N, H, W], 0 black to 255 white.
        profile: Default: the published one, 20 columns and int(20 * H/W * 0.55) rows, at least one.

    Returns:
        N texts.

    Raises:
        PictureError: Another dtype or shape, an empty picture, or too large a result.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 3:
        raise PictureError(
            f"pictures must be uint8[N, H, W], not {images.dtype}{list(images.shape)}; "
            "convert with .astype(numpy.uint8)"
        )
    _, height, width = images.shape
    if not height or not width:
        raise PictureError(f"pictures of {height}x{width} pixels hold nothing to encode")
    form = get_format(profile.format)
    tall, wide = form.cell
    rows, columns = tall * profile.rows(height, width), wide * profile.width
    levels = resize_to_levels(images, rows, columns, profile.levels, profile.filter)
    return form.render_batch(levels, profile.palette)


def decode(text: str, profile: Profile = PUBLISHED) -> NDArray[np.uint8]:
    """Turn an ASCII_Image back into gray, one pixel a cell.

    Returns:
        uint8[rows, columns], the darkest level 0, the brightest 255. Cut into levels again it
        gives the same grid.

    Raises:
        FormatError: The text is not an ASCII_Image of this palette.
    """
    table = np.round(np.linspace(0, 255, profile.levels)).astype(np.uint8)
    return table[get_format(profile.format).read(text, profile.palette)]
