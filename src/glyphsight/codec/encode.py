"""Grayscale arrays to ASCII_Images and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.adjust import find_edges, stretch_contrast
from glyphsight.codec.formats import get_format
from glyphsight.codec.formats.base import check_palette
from glyphsight.codec.levels import to_levels
from glyphsight.codec.prepare import prepare_batch
from glyphsight.codec.profile import PUBLISHED, Profile
from glyphsight.codec.repair import repair
from glyphsight.codec.resample import resize, resize_to_levels
from glyphsight.errors import FormatError, PictureError

_FINE = 4  # pixels per cell at which edges are sought: finer ones do not show in the grid
_CHUNK_PIXELS = 1 << 22
_MAX_PIXELS = 1 << 28


def encode_batch(
    images: NDArray[np.uint8], profile: Profile = PUBLISHED, *, changed: Counter[str] | None = None
) -> list[str]:
    """Encode a batch of grayscale pictures of one size.

    Args:
        images: uint8[N, H, W], 0 black to 255 white.
        profile: Settings. Default: the published ones, 20 columns and int(20 * H/W * 0.55) rows,
            at least one.
        changed: Counter that takes the numbers of pictures ``inverted`` and ``centred``.

    Returns:
        N ASCII_Images.

    Raises:
        PictureError: Another dtype or shape, an empty picture, or too large a result.
    """
    form = get_format(profile.format)
    texts: list[str] = []
    for levels in level_grids(images, profile, changed):
        texts += form.render_batch(levels, profile.palette)
    return texts


def level_grids(
    images: NDArray[np.uint8], profile: Profile = PUBLISHED, changed: Counter[str] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Compute the level grids that :func:`encode_batch` writes.

    Yields:
        uint8[n, rows, columns], values below ``profile.levels``: pieces that together are all
        pictures, in order. Formats that pack cells have several values per glyph.

    Raises:
        PictureError: As :func:`encode_batch`.
    """
    try:
        images = np.asarray(images)
    except ValueError:
        raise PictureError("pictures of several sizes; encode those of one size together") from None
    if images.dtype != np.uint8 or images.ndim != 3:
        if images.dtype.kind in "OSU":
            fix = "give their pixels; encode takes one path or PIL image"
        elif images.dtype != np.uint8:
            fix = as_bytes(images)
        else:
            fix = "give one picture as picture[None], pictures in colour one by one to encode"
        raise PictureError(
            f"pictures must be uint8[N, H, W], not {images.dtype}{list(images.shape)}; {fix}"
        )
    count, height, width = images.shape
    if not height or not width:
        raise PictureError(
            f"pictures of {height}x{width} pixels hold nothing to encode; give others"
        )
    chunk = max(1, _CHUNK_PIXELS // (height * width))
    for start in range(0, count, chunk):
        for part in prepare_batch(images[start : start + chunk], profile, changed):
            yield _levels_of_same_size(part, profile)


def columns_of(text: str, profile: Profile) -> int:
    """Count the columns of glyphs in a text of the profile's format."""
    form = get_format(profile.format)
    return int(form.read(text, profile.palette).shape[1]) // form.cell[1]


def as_bytes(array: NDArray[Any]) -> str:
    """Return the fix for an array of another dtype, by its numbers: how it becomes uint8."""
    known = array.size and array.dtype.kind in "biuf"
    low, high = (array.min(), array.max()) if known else (0, np.inf)
    if 0 <= low <= high <= 1:
        return "give its numbers from 0 to 1 as (255.0 * array).round().astype('uint8')"
    if 0 <= low <= high <= 255:
        return "give its numbers from 0 to 255 as array.round().astype('uint8')"
    if array.dtype == np.uint16:
        return "give its 16 bits as (array >> 8).astype('uint8')"
    return "scale its numbers to 0 (black) to 255 (white), then array.round().astype('uint8')"


def _levels_of_same_size(images: NDArray[np.uint8], profile: Profile) -> NDArray[np.uint8]:
    """Adjust, resize and quantize pictures whose polarity, centring and crop are done."""
    _, height, width = images.shape
    form = get_format(profile.format)
    check_palette(form, profile.palette)  # before the work rather than after it
    tall, wide = form.cell
    rows, columns = tall * profile.rows(height, width), wide * profile.columns(height, width)
    if profile.contrast:
        images = stretch_contrast(images)
    if profile.edges != "none":
        fine = min(height, _FINE * rows), min(width, _FINE * columns)
        images = find_edges(resize(images, *fine, profile.filter), profile.edges)
    if profile.threshold == "equal" and profile.dither == "none":
        return resize_to_levels(images, rows, columns, profile.levels, profile.filter)
    return to_levels(resize(images, rows, columns, profile.filter), profile)


def decode(
    text: str, profile: Profile = PUBLISHED, *, strict: bool = False, **settings: Any
) -> NDArray[np.uint8]:
    """Decode an ASCII_Image to gray, one pixel per cell.

    Args:
        text: ASCII_Image.
        profile: Settings of the text; format and palette count.
        strict: Refusal of flaws, which are repaired otherwise; see
            :func:`glyphsight.codec.repair.repair`.
        settings: Fields of the profile to change, such as ``format="plain"``.

    Returns:
        uint8[rows, columns], the darkest level 0, the brightest 255. Quantized again it gives the
        same grid.

    Raises:
        FormatError: The text is no ASCII_Image of this palette; a strict message names line and
            column.
    """
    profile = replace(profile, **settings)
    read = get_format(profile.format).read
    levels = read(text, profile.palette) if strict else repair(text, profile).levels
    return np.round(np.linspace(0, 255, profile.levels)).astype(np.uint8)[levels]


def to_picture(
    levels: NDArray[np.uint8], profile: Profile = PUBLISHED, scale: int = 8
) -> NDArray[np.uint8]:
    """Return gray pixels, uint8[H, W], that encode to as many rows and columns again.

    Args:
        levels: Level grid, uint8[rows, columns].
        profile: Settings of the text; format and palette count.
        scale: Pixels per column.

    Raises:
        FormatError: The picture is too large.
    """
    tall, wide = get_format(profile.format).cell
    gray = np.round(np.linspace(0, 255, profile.levels)).astype(np.uint8)[levels]
    rows, columns = gray.shape
    across = Profile(columns // wide, profile.palette)
    width = columns * scale
    height = next(h for h in count(1) if across.rows(h, width) >= rows // tall)
    if height * width > _MAX_PIXELS:
        raise FormatError(f"{rows}x{columns} cells make {height}x{width} pixels; lower --scale")
    return np.repeat(gray[np.arange(height) * rows // height], scale, axis=1)


def parse(text: str, palette: str = PUBLISHED.palette) -> NDArray[np.uint8]:
    """Read an ASCII_Image of the published format back to its level grid, strictly.

    Args:
        text: Lines ``<row:N>...</row:N>``, numbered from 1, all of one width.
        palette: One glyph per level, dark to bright.

    Returns:
        uint8[rows, columns], values below ``len(palette)``.

    Raises:
        FormatError: Names the line, the column and what is wrong there.
    """
    return get_format(PUBLISHED.format).read(text, palette)
