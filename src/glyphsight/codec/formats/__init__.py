"""Formats by name: the project's own, and users' by the entry point group glyphsight.formats.

A format writes a level grid as text and reads it back exactly.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats import own
from glyphsight.codec.formats.base import Format
from glyphsight.codec.formats.own import Lines
from glyphsight.errors import FormatError
from glyphsight.plugins import Registry

_OWN: tuple[type[Format], ...] = (
    *(own.Seed, own.Plain, own.Trim, own.Rows, own.Digits, own.Spaced, own.Rle, own.Hex),
    *(own.Coords, own.Half, own.Quadrant, own.Braille),
)
FORMATS: Registry[Format] = Registry(
    kind="format",
    group="glyphsight.formats",
    own={kind.name: kind for kind in _OWN},
    needed=("name", "cell", "max_levels", "render_batch", "read"),
    module="glyphsight.codec.formats.base",
    error=FormatError,
)


@lru_cache
def get_format(name: str) -> Format:
    """Return the format called ``name``.

    Raises:
        FormatError: No format has that name, or a user's cannot be loaded.
    """
    return FORMATS.make(name)


_HEADERS = {"hex": 1, "rle": 0}  # lines before the rows, of other formats of a line per row


def _known() -> str:
    """Name the formats in which a cell, or a glyph's worth of cells, is one character."""
    return ", ".join(name for name in FORMATS.own if isinstance(get_format(name), Lines))


def cell_offsets(text: str, name: str, palette: str) -> NDArray[np.int64]:
    """Find the character of each cell. Cells that share a glyph, as in ``braille``, share it.

    Returns:
        int64[rows, columns], offsets in ``text``; -1 where a cell has no character, as beyond the
        end of a row of ``trim``.

    Raises:
        FormatError: The format gives cells no characters, or the text is not of this format.
    """
    form = get_format(name)
    if not isinstance(form, Lines):
        raise FormatError(
            f"format {name} gives cells no characters of their own; take one of {_known()}"
        )
    rows, columns = form.read(text, palette).shape
    tall, wide = form.cell
    steps = (1 + len(form.gap)) * np.arange(columns // wide)
    offsets = np.full((rows // tall, columns // wide), -1, dtype=np.int64)
    start = 0
    for row, line in enumerate(text.split("\n")[: rows // tall]):
        first = len(form.before.format(row + 1))
        held = first + steps < len(line)
        offsets[row, held] = start + first + steps[held]
        start += len(line) + 1
    return offsets.repeat(tall, axis=0).repeat(wide, axis=1)


def row_lines(text: str, name: str) -> tuple[list[str], list[str]]:
    r"""Split a text into the lines before its rows and one line per row of glyphs, ``\n`` kept.

    Raises:
        FormatError: The format does not write a line per row.
    """
    if name not in _HEADERS and not isinstance(get_format(name), Lines):
        raise FormatError(
            f"format {name} does not write a line per row; take one of {_known()}, rle, hex"
        )
    lines, first = text.splitlines(keepends=True), _HEADERS.get(name, 0)
    return lines[:first], lines[first:]
