"""Level grids to tagged text and back: one ``<row:N>...</row:N>`` line a row."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.profile import PUBLISHED
from glyphsight.errors import FormatError

_LINE = re.compile(r"<row:(\d+)>(.*)</row:(\d+)>")
_CHUNK_BYTES = 1 << 19  # of text, four bytes a glyph: larger falls out of a core's cache


def render_batch(levels: NDArray[np.uint8], palette: str = PUBLISHED.palette) -> list[str]:
    """Write level grids as ASCII_Images.

    Args:
        levels: uint8[N, rows, columns], each value below ``len(palette)``.
        palette: One glyph a level, dark to bright.

    Returns:
        N texts; every line, the last too, ends in a newline.

    Raises:
        FormatError: A level has no glyph in the palette, or a grid has no cell.
    """
    count, rows, columns = levels.shape
    if not count:
        return []
    if not rows or not columns:
        raise FormatError(f"a grid of {rows}x{columns} cells holds nothing to write")
    if int(levels.max(initial=0)) >= len(palette):
        raise FormatError(f"level {int(levels.max())} has no glyph in palette {palette!r}")
    blank = palette[0] * columns
    lines = [f"<row:{row}>{blank}</row:{row}>\n" for row in range(1, rows + 1)]
    template = np.frombuffer("".join(lines).encode("utf-32-le"), dtype=np.uint32)
    glyphs = np.frombuffer(palette.encode("utf-32-le"), dtype=np.uint32)
    chunk = max(1, _CHUNK_BYTES // template.nbytes)
    text = np.empty((min(chunk, count), len(template)), dtype=np.uint32)
    text[:] = template
    strings: list[str] = []
    for start in range(0, count, chunk):
        # mode="clip" spares numpy a copy of the result; no level lies outside, as checked above
        cells = np.take(glyphs, levels[start : start + chunk], mode="clip")
        part = text[: len(cells)]
        place = 0
        for row, line in enumerate(lines):
            first = place + len(f"<row:{row + 1}>")
            part[:, first : first + columns] = cells[:, row]  # by slices: an index takes twice
            place += len(line)
        view: Any = part.view(f"<U{len(template)}").reshape(len(part))
        strings += view.tolist()
    return strings


def render(levels: NDArray[np.uint8], palette: str = PUBLISHED.palette) -> str:
    """Write one level grid, uint8[rows, columns], as an ASCII_Image. See :func:`render_batch`."""
    return render_batch(levels[None], palette)[0]


def parse(text: str, palette: str = PUBLISHED.palette) -> NDArray[np.uint8]:
    """Read an ASCII_Image back to its level grid, strictly.

    Args:
        text: Lines ``<row:N>...</row:N>``, numbered from 1, all of one width.
        palette: One glyph a level, dark to bright.

    Returns:
        uint8[rows, columns], values below ``len(palette)``.

    Raises:
        FormatError: Names the line, the column and what is wrong there.
    """
    if not text:
        raise FormatError("the text is empty; an ASCII_Image has at least one <row:1>...</row:1>")
    if not text.endswith("\n"):
        column = len(text) - text.rfind("\n")
        raise FormatError(
            f"column {column}: the last line does not end in a newline", text.count("\n") + 1
        )
    level_of = {glyph: level for level, glyph in enumerate(palette)}
    grid: list[list[int]] = []
    for number, line in enumerate(text[:-1].split("\n"), start=1):
        if line.endswith("\r"):
            raise FormatError(
                f"column {len(line)}: ends in a carriage return; save it with \\n line ends", number
            )
        match = _LINE.fullmatch(line)
        if match is None:
            raise FormatError(
                f"column 1: not a <row:{number}>...</row:{number}> line: {line[:60]!r}", number
            )
        opening, glyphs, closing = match.groups()
        if opening != str(number) or closing != str(number):
            column = match.start(1 if opening != str(number) else 3) + 1
            raise FormatError(
                f"column {column}: row tags say {opening} and {closing}, expected {number}", number
            )
        try:
            row = [level_of[glyph] for glyph in glyphs]
        except KeyError as error:
            column = match.start(2) + glyphs.index(error.args[0]) + 1
            raise FormatError(
                f"column {column}: glyph {error.args[0]!r} is not in palette {palette!r}", number
            ) from None
        if not row or (grid and len(row) != len(grid[0])):
            expected = len(grid[0]) if grid else 1
            column = match.start(2) + min(len(row), expected) + 1
            raise FormatError(
                f"column {column}: {len(row)} glyphs in the row, expected "
                f"{expected if grid else 'at least 1'}",
                number,
            )
        grid.append(row)
    return np.array(grid, dtype=np.uint8)
