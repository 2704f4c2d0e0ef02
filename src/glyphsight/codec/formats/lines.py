"""What formats share: checks before writing, lines of glyphs, and reading them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats.base import Format
from glyphsight.errors import FormatError


def check_palette(form: Format, palette: str) -> None:
    """Refuse a palette of more levels than the format carries.

    Raises:
        FormatError: Says how many it carries.
    """
    if len(palette) > form.max_levels:
        ends = palette[0] + palette[-1]
        raise FormatError(
            f"format {form.name} carries {form.max_levels} levels, palette {palette!r} has "
            f"{len(palette)}; give one of {form.max_levels}, such as {ends!r}"
        )


def check_grids(form: Format, levels: NDArray[np.uint8], palette: str) -> None:
    """Refuse grids uint8[N, rows, columns] that the format cannot write.

    Raises:
        FormatError: Too many levels, a level without a glyph, no cell, or a part of a cell.
    """
    check_palette(form, palette)
    _, rows, columns = levels.shape
    if not rows or not columns:
        raise FormatError(f"a grid of {rows}x{columns} cells holds nothing to write")
    if int(levels.max(initial=0)) >= len(palette):
        raise FormatError(f"level {int(levels.max())} has no glyph in palette {palette!r}")
    tall, wide = form.cell
    if rows % tall or columns % wide:
        raise FormatError(
            f"a grid of {rows}x{columns} cells does not divide into the {tall}x{wide} that a "
            f"glyph of format {form.name} holds"
        )


def code_points(text: str) -> NDArray[np.uint32]:
    """The text as code points, uint32[len(text)]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def write_lines(
    symbols: NDArray[Any],
    alphabet: str,
    *,
    prefix: Callable[[int], str] = lambda row: "",
    gap: str = "",
    header: str = "",
) -> list[str]:
    """Write arrays of symbols as lines of glyphs.

    Args:
        symbols: Integers [N, rows, columns], indices into ``alphabet``.
        alphabet: One glyph a symbol.
        prefix: What stands before the glyphs of a row, numbered from 1.
        gap: What stands between two glyphs.
        header: What stands before the first row.

    Returns:
        N texts, every line ended by a newline.
    """
    count, rows, columns = symbols.shape
    if not count:
        return []
    blank = gap.join(alphabet[0] * columns)
    lines = [prefix(row) + blank + "\n" for row in range(1, rows + 1)]
    ends = len(header) + np.cumsum([len(line) for line in lines])
    template = code_points(header + "".join(lines))
    starts = ends - 1 - len(blank)
    cells = (starts[:, None] + np.arange(columns) * (1 + len(gap))).reshape(-1)
    text = np.empty((count, len(template)), dtype=np.uint32)
    text[:] = template
    text[:, cells] = code_points(alphabet)[symbols.reshape(count, -1)]
    strings: Any = text.view(f"<U{len(template)}").reshape(count).tolist()
    return list(strings)


def split_lines(text: str, name: str) -> list[str]:
    r"""The lines of a text whose every line ends in ``\n``.

    Raises:
        FormatError: No line, a last line without its end, or a carriage return.
    """
    if not text:
        raise FormatError(f"the text is empty; format {name} has at least one row")
    if not text.endswith("\n"):
        column = len(text) - text.rfind("\n")
        raise FormatError(
            f"column {column}: the last line does not end in a newline", text.count("\n") + 1
        )
    lines = text[:-1].split("\n")
    for number, line in enumerate(lines, start=1):
        if line.endswith("\r"):
            raise FormatError(
                f"column {len(line)}: a carriage return; save it with \\n line ends", number
            )
    return lines


def read_lines(
    lines: list[str],
    alphabet: str,
    *,
    gaps: bool = False,
    first: int = 1,
    before: Callable[[int], int] = lambda line: 0,
) -> NDArray[np.intp]:
    """Read lines of glyphs back to symbols.

    Args:
        lines: The glyphs of each row, nothing else.
        alphabet: One glyph a symbol.
        gaps: Whether a space stands between two glyphs.
        first: Line number of the first, for errors.
        before: How many columns stand before the glyphs in the line of a number, for errors.

    Returns:
        Integers [rows, columns], indices into ``alphabet``.

    Raises:
        FormatError: A glyph of another alphabet, a row without glyphs or of another width.
    """
    width = len(lines[0])
    for number, line in enumerate(lines, start=first):
        if not line or len(line) != width:
            expected = width if width else "at least 1"
            raise FormatError(
                f"column {before(number) + min(len(line), width) + 1}: {len(line)} "
                f"{'glyphs and gaps' if gaps else 'glyphs'} in the row, "
                f"expected {expected}",
                number,
            )
    codes = code_points("".join(lines)).reshape(len(lines), width)
    if gaps:
        _check_gaps(codes, first)
        codes = codes[:, ::2]
    known = code_points(alphabet)
    order = np.argsort(known)
    places = np.minimum(np.searchsorted(known, codes, sorter=order), len(known) - 1)
    symbols = order[places]
    wrong = np.argwhere(known[symbols] != codes)
    if len(wrong):
        row, column = wrong[0].tolist()
        raise FormatError(
            f"column {before(first + row) + column * (1 + gaps) + 1}: glyph "
            f"{chr(codes[row, column])!r} is not one of "
            f"{alphabet if len(alphabet) <= 16 else alphabet[:16] + '...'!r}",
            first + row,
        )
    return symbols


def _check_gaps(codes: NDArray[np.uint32], first: int) -> None:
    """Every second code point must be a space, and the last must not be a gap."""
    wrong = np.argwhere(codes[:, 1::2] != ord(" "))
    if len(wrong):
        row, gap = wrong[0].tolist()
        raise FormatError(f"column {2 * gap + 2}: no space between two glyphs", first + row)
    if codes.shape[1] % 2 == 0:
        raise FormatError(f"column {codes.shape[1]}: a gap ends the row", first)
