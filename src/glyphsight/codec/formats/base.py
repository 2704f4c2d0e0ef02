"""The protocol of formats, and their common parts: checks, writing and reading lines."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import FormatError

Levels = NDArray[np.uint8]

_CHUNK_BYTES = 1 << 19  # of text, four bytes per glyph: larger falls out of a core's cache


class Format(Protocol):
    """A way to write level grids as text. ``read(render_batch(grid)) == grid``, for every grid."""

    name: str  # name in ``--format``
    cell: tuple[int, int]  # rows and columns that one glyph holds: (1, 1), or (4, 2) for braille
    max_levels: int  # largest number of levels

    def render_batch(self, levels: Levels, palette: str) -> list[str]:
        """Write grids uint8[N, rows, columns], values below ``len(palette)``, as N texts."""
        ...

    def read(self, text: str, palette: str) -> Levels:
        """Read one text back to its grid uint8[rows, columns].

        Raises:
            FormatError: Names the line and what is wrong with it.
        """
        ...


def check_palette(form: Format, palette: str) -> None:
    """Raise FormatError, which says how many, where a format has fewer levels than a palette."""
    if len(palette) > form.max_levels:
        ends = palette[0] + palette[-1]
        raise FormatError(
            f"format {form.name} carries {form.max_levels} levels, palette {palette!r} has "
            f"{len(palette)}; give one of {form.max_levels}, such as {ends!r} (--palette)"
        )


def check_grids(form: Format, levels: Levels, palette: str) -> None:
    """Refuse grids uint8[N, rows, columns] that the format cannot write.

    Raises:
        FormatError: Too many levels, a level without a glyph, no cell, or a part of a cell.
    """
    check_palette(form, palette)
    _, rows, columns = levels.shape
    if not rows or not columns:
        raise FormatError(f"a grid of {rows}x{columns} cells holds nothing to write; give another")
    if int(levels.max(initial=0)) >= len(palette):
        raise FormatError(
            f"level {int(levels.max())} has no glyph in palette {palette!r}; give a longer palette"
        )
    tall, wide = form.cell
    if rows % tall or columns % wide:
        raise FormatError(
            f"a grid of {rows}x{columns} cells does not divide into the {tall}x{wide} that a "
            f"glyph of format {form.name} holds; give rows by {tall} and columns by {wide}"
        )


def code_points(text: str) -> NDArray[np.uint32]:
    """Give the code points of a text, uint32[len(text)]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def write_lines(
    symbols: NDArray[Any],
    alphabet: str,
    *,
    before: str = "",
    after: str = "",
    gap: str = "",
    header: str = "",
) -> list[str]:
    """Write arrays of symbols as lines of glyphs.

    Args:
        symbols: Integers [N, rows, columns], N at least 1, indices into ``alphabet``.
        alphabet: One glyph per symbol.
        before: Text before the glyphs of a row; ``{}`` is the row's number, from 1.
        after: Text after the glyphs of a row, likewise.
        gap: Text between two glyphs.
        header: Text before the first row.

    Returns:
        N texts, every line ended by a newline.
    """
    count, rows, columns = symbols.shape
    blank, template, spans = gap.join(alphabet[0] * columns), header, []  # of each row's glyphs
    for row in range(1, rows + 1):
        template += before.format(row)
        spans.append(slice(len(template), len(template) + len(blank), 1 + len(gap)))
        template += f"{blank}{after.format(row)}\n"
    glyphs = code_points(alphabet)
    chunk = max(1, _CHUNK_BYTES // (4 * len(template)))
    text = np.tile(code_points(template), (min(chunk, count), 1))
    strings: list[str] = []
    for start in range(0, count, chunk):
        # mode="clip" spares numpy a copy of the result; every symbol is within the alphabet
        cells = np.take(glyphs, symbols[start : start + chunk], mode="clip")
        part = text[: len(cells)]
        for row, span in enumerate(spans):
            part[:, span] = cells[:, row]  # an index takes twice as long
        view: Any = part.view(f"<U{len(template)}").reshape(len(part))
        strings += view.tolist()
    return strings


def split_lines(text: str, name: str) -> list[str]:
    r"""Split a text whose every line ends in ``\n``.

    Raises:
        FormatError: No line, a last line without its end, or a carriage return.
    """
    if not text:
        raise FormatError(f"the text is empty; give at least one row of format {name}")
    if not text.endswith("\n"):
        column = len(text) - text.rfind("\n")
        raise FormatError(
            f"column {column}: the last line does not end in a newline; add one",
            text.count("\n") + 1,
        )
    lines = text[:-1].split("\n")
    for number, line in enumerate(lines, start=1):
        if line.endswith("\r"):
            raise FormatError(
                f"column {len(line)}: a carriage return; save it with \\n line ends", number
            )
    return lines


def read_lines(
    lines: list[str], alphabet: str, *, gaps: bool = False, first: int = 1, before: str = ""
) -> NDArray[np.intp]:
    """Read lines of glyphs, nothing else, back to symbols: indices into ``alphabet``.

    Args:
        lines: The glyphs of each row.
        alphabet: One glyph per symbol.
        gaps: True where a space stands between two glyphs.
        first: Number of the first line, for errors.
        before: Text before the glyphs of a row, for errors.

    Raises:
        FormatError: A glyph of another alphabet, a row without glyphs or of another width.
    """
    width = len(lines[0])
    for number, line in enumerate(lines, start=first):
        if not line or len(line) != width:
            expected = width if width else "at least 1"
            raise FormatError(
                f"column {len(before.format(number)) + min(len(line), width) + 1}: {len(line)} "
                f"{'glyphs and gaps' if gaps else 'glyphs'} in the row, "
                f"expected {expected}; make all rows as wide",
                number,
            )
    codes = code_points("".join(lines)).reshape(len(lines), width)
    if gaps:
        wrong = np.argwhere(codes[:, 1::2] != ord(" "))
        if len(wrong):
            row, gap = wrong[0].tolist()
            raise FormatError(
                f"column {2 * gap + 2}: no space between two glyphs; add one", first + row
            )
        if width % 2 == 0:
            raise FormatError(f"column {width}: a gap ends the row; remove it", first)
        codes = codes[:, ::2]
    known = code_points(alphabet)
    order = np.argsort(known)
    nearest = np.minimum(np.searchsorted(known, codes, sorter=order), len(known) - 1)
    symbols = order[nearest]
    wrong = np.argwhere(known[symbols] != codes)
    if len(wrong):
        row, column = wrong[0].tolist()
        raise FormatError(
            f"column {len(before.format(first + row)) + column * (1 + gaps) + 1}: glyph "
            f"{chr(codes[row, column])!r} is not one of "
            f"{alphabet if len(alphabet) <= 16 else alphabet[:16] + '...'!r}; give the "
            "palette and the format it was written in",
            first + row,
        )
    return symbols
