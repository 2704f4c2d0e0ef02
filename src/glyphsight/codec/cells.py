"""Offsets of rows and cells in a text, for the formats that give them characters of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.codec.formats.lines import Lines
from glyphsight.codec.profile import Profile
from glyphsight.errors import FormatError

_HEADERS = {"hex": 1, "rle": 0}  # lines before the rows, of other formats of a line per row


def _known() -> str:
    """Name the formats in which a cell, or a glyph's worth of cells, is one character."""
    return ", ".join(name for name in FORMATS.own if isinstance(get_format(name), Lines))


def cell_offsets(text: str, profile: Profile) -> NDArray[np.int64]:
    """Find the character of each cell. Cells that share a glyph, as in ``braille``, share it.

    Args:
        text: ASCII_Image without flaws.
        profile: Settings; format and palette count.

    Returns:
        int64[rows, columns], offsets in ``text``; -1 where a cell has no character, as beyond the
        end of a row of ``trim``.

    Raises:
        FormatError: The format gives cells no characters, or the text is not of this format.
    """
    form = get_format(profile.format)
    if not isinstance(form, Lines):
        raise FormatError(
            f"format {profile.format} gives cells no characters of their own; take one of "
            f"{_known()}"
        )
    rows, columns = form.read(text, profile.palette).shape
    tall, wide = form.cell
    steps = (1 + len(form.gap)) * np.arange(columns // wide)
    offsets = np.full((rows // tall, columns // wide), -1, dtype=np.int64)
    start = 0
    for row, line in enumerate(text.split("\n")[: rows // tall]):
        first = len(form.before(row + 1))
        held = first + steps < len(line)
        offsets[row, held] = start + first + steps[held]
        start += len(line) + 1
    return offsets.repeat(tall, axis=0).repeat(wide, axis=1)


def row_lines(text: str, form: str) -> tuple[list[str], list[str]]:
    r"""Split a text into the lines before its rows and one line per row of glyphs, ``\n`` kept.

    Raises:
        FormatError: The format does not write a line per row.
    """
    if form not in _HEADERS and not isinstance(get_format(form), Lines):
        raise FormatError(
            f"format {form} does not write a line per row; take one of {_known()}, rle, hex"
        )
    lines = text.splitlines(keepends=True)
    return lines[: _HEADERS.get(form, 0)], lines[_HEADERS.get(form, 0) :]
