"""Where in a text each row and each cell of its grid stands, for the formats that give them one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats import get_format
from glyphsight.codec.profile import Profile
from glyphsight.errors import FormatError

PLACED = ("seed", "plain", "trim", "rows", "digits", "spaced", "half", "quadrant", "braille")
"""Formats in which a cell, or a glyph's worth of cells, is one character at a place of its own."""

_HEADERS = {"hex": 1}  # lines before those of the rows
_LINED = (*PLACED, "rle", "hex")


def _before(form: str, row: int) -> int:
    """Characters before the glyphs of a row, numbered from 1."""
    return len({"seed": f"<row:{row}>", "rows": f"{row}:"}.get(form, ""))


def cell_places(text: str, profile: Profile) -> NDArray[np.int64]:
    """The index in ``text`` of the character that each cell is written as.

    Cells that share a glyph, as in ``braille``, share its index.

    Args:
        text: An ASCII_Image without flaws.
        profile: Its format and palette count.

    Returns:
        int64[rows, columns]; -1 where a cell has no character, as beyond the end of a row of
        ``trim``.

    Raises:
        FormatError: The format gives cells no places, or the text is not of this format.
    """
    if profile.format not in PLACED:
        raise FormatError(
            f"format {profile.format} gives cells no characters of their own; the formats that do "
            f"are {', '.join(PLACED)}"
        )
    form = get_format(profile.format)
    rows, columns = form.read(text, profile.palette).shape
    tall, wide = form.cell
    step = 2 if profile.format == "spaced" else 1
    glyphs = step * np.arange(columns // wide)
    places = np.full((rows // tall, columns // wide), -1, dtype=np.int64)
    start = 0
    for row, line in enumerate(text.split("\n")[: rows // tall]):
        first = _before(profile.format, row + 1)
        held = first + glyphs < len(line)
        places[row, held] = start + first + glyphs[held]
        start += len(line) + 1
    return places.repeat(tall, axis=0).repeat(wide, axis=1)


def row_lines(text: str, form: str) -> tuple[list[str], list[str]]:
    r"""The lines of a text, ``\n`` kept: those before its rows, and one for each row of glyphs.

    Raises:
        FormatError: The format does not write a line a row.
    """
    if form not in _LINED:
        raise FormatError(
            f"format {form} does not write a line a row; the formats that do are "
            f"{', '.join(_LINED)}"
        )
    lines = text.splitlines(keepends=True)
    return lines[: _HEADERS.get(form, 0)], lines[_HEADERS.get(form, 0) :]
