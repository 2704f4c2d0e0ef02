"""The project's formats: a glyph per cell or per small bitmap, and packed ones."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats.base import (
    Levels,
    check_grids,
    check_palette,
    read_lines,
    split_lines,
    write_lines,
)
from glyphsight.errors import FormatError

DIGITS = "0123456789abcdef"
MAX_CELLS = 1 << 24
"""Largest number of cells in a grid whose size is stated, not written out cell by cell."""

_BRAILLE_DOTS = ((1, 8), (2, 16), (4, 32), (64, 128))  # the bits of U+2800..U+28FF (Unicode 15.5)
_SIZE = re.compile(r"([1-9][0-9]{0,7})x([1-9][0-9]{0,7})")
_RUN = re.compile(r"([1-9][0-9]{0,7})([^0-9 ]?)")
_POINT = re.compile(r"(0|[1-9][0-9]{0,7}),(0|[1-9][0-9]{0,7})")


class Own:
    """A format of the project: it checks what it is given, then writes grids or reads lines."""

    name = ""
    cell = (1, 1)
    max_levels = 16

    def render_batch(self, levels: Levels, palette: str) -> list[str]:
        """Write level grids uint8[N, rows, columns] as N texts."""
        check_grids(self, levels, palette)
        self._check(palette)
        return self._write(levels, palette) if len(levels) else []

    def read(self, text: str, palette: str) -> Levels:
        """Read one text back to its level grid, strictly."""
        check_palette(self, palette)
        self._check(palette)
        return self._read(split_lines(text, self.name), palette)

    def _check(self, palette: str) -> None:
        """Refuse a palette that the format cannot carry for a reason of its own."""

    def _write(self, levels: Levels, palette: str) -> list[str]:
        raise NotImplementedError

    def _read(self, lines: list[str], palette: str) -> Levels:
        raise NotImplementedError


class Lines(Own):
    """A format of one line per row of glyphs, one glyph per cell."""

    before = ""  # text before the glyphs of a row; ``{}`` is the row's number, from 1
    after = ""  # text after the glyphs of a row, likewise
    gap = ""  # text between two glyphs, "" or a space

    def _alphabet(self, palette: str) -> str:
        """Return the glyph of each symbol."""
        return palette

    def _to_symbols(self, levels: Levels) -> NDArray[Any]:
        """Turn level grids [N, rows, columns] into indices of glyphs."""
        return levels

    def _to_levels(self, symbols: NDArray[np.intp]) -> Levels:
        """Turn indices of glyphs, [rows, columns], back into a level grid."""
        return symbols.astype(np.uint8)

    def _write(self, levels: Levels, palette: str) -> list[str]:
        around = {"before": self.before, "after": self.after, "gap": self.gap}
        return write_lines(self._to_symbols(levels), self._alphabet(palette), **around)

    def _read(self, lines: list[str], palette: str) -> Levels:
        glyphs = []
        for number, line in enumerate(lines, start=1):
            before, after = self.before.format(number), self.after.format(number)
            inner = line.removeprefix(before).removesuffix(after)
            if len(line) != len(before) + len(inner) + len(after):
                raise FormatError(
                    f"column 1: not a {before}...{after} line: {line[:60]!r}; add the tags, or "
                    "give the format it was written in",
                    number,
                )
            glyphs.append(inner)
        gaps, alphabet = bool(self.gap), self._alphabet(palette)
        return self._to_levels(read_lines(glyphs, alphabet, gaps=gaps, before=self.before))


class Seed(Lines):
    """Rows between tags, <row:1> and </row:1>: the published format and the default."""

    name = "seed"
    before = "<row:{}>"
    after = "</row:{}>"


class Plain(Lines):
    """The glyphs alone, one line per row, no tags."""

    name = "plain"


class Rows(Lines):
    """The row's number and a colon before its glyphs, no tags."""

    name = "rows"
    before = "{}:"


class Spaced(Lines):
    """Glyphs with one space between two, so that each is a token of its own."""

    name = "spaced"
    gap = " "


class Digits(Lines):
    """One digit 0-9a-f per cell, the level itself, whatever the palette's glyphs."""

    name = "digits"

    def _alphabet(self, palette: str) -> str:
        return DIGITS[: len(palette)]


class Blocks(Lines):
    """Bitmaps of two levels, one glyph for each pattern."""

    max_levels = 2
    bits: tuple[tuple[int, ...], ...] = ((1,),)  # weight of each pixel of a glyph, [rows][columns]
    glyphs = ""  # glyph of each sum of weights

    def _alphabet(self, palette: str) -> str:
        return self.glyphs

    def _to_symbols(self, levels: Levels) -> NDArray[Any]:
        count, rows, columns = levels.shape
        tall, wide = self.cell
        cells = levels.reshape(count, rows // tall, tall, columns // wide, wide)
        symbols: NDArray[Any] = np.einsum("nrtcw,tw->nrc", cells, np.array(self.bits, np.intp))
        return symbols

    def _to_levels(self, symbols: NDArray[np.intp]) -> Levels:
        held = (symbols[:, None, :, None] & np.array(self.bits, np.intp)[None, :, None, :]) != 0
        levels: Levels = held.reshape(len(symbols) * self.cell[0], -1).astype(np.uint8)
        return levels


class Braille(Blocks):
    """Braille patterns, 2x4 dots per glyph, two levels."""

    name = "braille"
    cell = (4, 2)
    bits = _BRAILLE_DOTS
    glyphs = "".join(map(chr, range(0x2800, 0x2900)))


class Quadrant(Blocks):
    """Quadrant blocks, 2x2 pixels per glyph, two levels."""

    name = "quadrant"
    cell = (2, 2)
    bits = ((1, 2), (4, 8))
    glyphs = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"


class Half(Blocks):
    """Half blocks, 1x2 pixels per glyph, two levels."""

    name = "half"
    cell = (2, 1)
    bits = ((1,), (2,))
    glyphs = " ▀▄█"


def _check_size(rows: int, columns: int, line: int = 0) -> None:
    if rows * columns > MAX_CELLS:
        raise FormatError(
            f"{columns}x{rows} cells are too many, {MAX_CELLS} at most; take fewer columns", line
        )


def _read_size(line: str) -> tuple[int, int]:
    """Read rows and columns from a first line ``COLUMNSxROWS``."""
    match = _SIZE.fullmatch(line)
    if match is None:
        raise FormatError(f"column 1: {line[:20]!r} is no size; write one such as 20x11", 1)
    return int(match[2]), int(match[1])


class Trim(Lines):
    """Plain, but rows end at their last glyph that is not dark; the first and last row are whole.

    So the first row states the width, and no empty line stands at either end.
    """

    name = "trim"

    def _write(self, levels: Levels, palette: str) -> list[str]:
        _check_size(*levels.shape[1:])
        dark, last = palette[0], levels.shape[1] - 1
        return [
            "".join(
                (line.rstrip(dark) if 0 < row < last else line) + "\n"
                for row, line in enumerate(text[:-1].split("\n"))
            )
            for text in write_lines(levels, palette)
        ]

    def _read(self, lines: list[str], palette: str) -> Levels:
        width, dark = len(lines[0]), palette[0]
        _check_size(len(lines), width, 1)
        for number, line in enumerate(lines[1:-1], start=2):
            if line.endswith(dark):
                raise FormatError(
                    f"column {len(line)}: the row ends in {dark!r}; leave it out there", number
                )
            lines[number - 1] = line.ljust(width, dark)
        return read_lines(lines, palette).astype(np.uint8)


class Rle(Own):
    """Run lengths: each run is its length and its glyph, none for the darkest: 12 3▓ 4█.

    Runs are separated by one space. So that a glyph is never taken for a length or a gap, none but
    the darkest level's may be a digit or a space.
    """

    name = "rle"

    def _check(self, palette: str) -> None:
        for glyph in palette[1:]:
            if glyph in "0123456789 ":
                raise FormatError(
                    f"format rle cannot carry palette {palette!r}: glyph {glyph!r} would be read "
                    "as part of a run's length; take another glyph or another format"
                )

    def _write(self, levels: Levels, palette: str) -> list[str]:
        _check_size(*levels.shape[1:])
        glyph_of = ["", *palette[1:]]

        def runs(row: Levels) -> str:
            starts = np.concatenate([[0], np.flatnonzero(np.diff(row)) + 1])
            lengths = np.diff(np.append(starts, len(row))).tolist()
            found = zip(lengths, row[starts].tolist(), strict=True)
            return " ".join(f"{length}{glyph_of[level]}" for length, level in found) + "\n"

        return ["".join(map(runs, grid)) for grid in levels]

    def _read(self, lines: list[str], palette: str) -> Levels:
        level_of = {"": 0} | {glyph: level for level, glyph in enumerate(palette) if level}
        grid: list[Levels] = []
        width = 0
        for number, line in enumerate(lines, start=1):
            lengths: list[int] = []
            levels: list[int] = []
            column = 1
            for run in line.split(" "):
                match = _RUN.fullmatch(run)
                if match is None or match[2] not in level_of:
                    raise FormatError(
                        f"column {column}: {run[:20]!r} is no run of palette {palette!r}; give the "
                        "palette it was written with",
                        number,
                    )
                if levels and levels[-1] == level_of[match[2]]:
                    raise FormatError(
                        f"column {column}: run {run!r} is of the same level as the one before it; "
                        "make them one",
                        number,
                    )
                lengths.append(int(match[1]))
                levels.append(level_of[match[2]])
                column += len(run) + 1
            width = width or sum(lengths)
            if sum(lengths) != width:
                raise FormatError(
                    f"column {len(line)}: {sum(lengths)} cells in the row, expected {width}; make "
                    "all rows as wide",
                    number,
                )
            _check_size(len(lines), width, number)
            grid.append(np.repeat(np.array(levels, dtype=np.uint8), lengths))
        return np.stack(grid)


class Hex(Own):
    """The size, then each row packed into hexadecimal digits: 4 cells per digit at 2 levels.

    The first line is ``COLUMNSxROWS``. A cell takes 1 bit at 2 levels, 2 up to 4, 4 above, so that
    none lies across two digits; the leftmost cell is in the highest bits, and the last digit is
    filled up with zeros.
    """

    name = "hex"

    @staticmethod
    def _shifts(levels: int) -> NDArray[np.intp]:
        """Return the place of each cell of a digit, in bits, the leftmost first."""
        bits = 1 if levels <= 2 else 2 if levels <= 4 else 4
        return np.arange(4 - bits, -1, -bits)

    def _write(self, levels: Levels, palette: str) -> list[str]:
        shifts = self._shifts(len(palette))
        count, rows, columns = levels.shape
        filling = (0, -columns % len(shifts))
        padded = np.pad(levels.astype(np.intp), ((0, 0), (0, 0), filling))
        symbols = padded.reshape(count, rows, -1, len(shifts)) @ (1 << shifts)
        return write_lines(symbols, DIGITS, header=f"{columns}x{rows}\n")

    def _read(self, lines: list[str], palette: str) -> Levels:
        size, *lines = lines
        rows, columns = _read_size(size)
        if len(lines) != rows:
            raise FormatError(
                f"column 1: {rows} rows stated, {len(lines)} follow; make the two agree", 1
            )
        shifts = self._shifts(len(palette))
        held = len(shifts)
        symbols = read_lines(lines, DIGITS, first=2)
        expected = -(-columns // held)
        if symbols.shape[1] != expected:
            raise FormatError(
                f"column 1: {symbols.shape[1]} digits in the row, {columns} columns take "
                f"{expected}; make the two agree",
                2,
            )
        cells = ((symbols[:, :, None] >> shifts) & (2 ** (4 // held) - 1)).reshape(rows, -1)
        wrong = cells >= len(palette)
        wrong[:, columns:] = cells[:, columns:] != 0
        if wrong.any():
            row, column = np.argwhere(wrong)[0].tolist()
            raise FormatError(
                f"column {column // held + 1}: level {cells[row, column]} in cell {column + 1}, "
                + (
                    "beyond the last column; write 0"
                    if column >= columns
                    else f"palette is {palette!r}; give the palette it was written with"
                ),
                row + 2,
            )
        grid: Levels = cells[:, :columns].astype(np.uint8)
        return grid


class Coords(Own):
    """The size, then a line for each level above the darkest: 1: 7,2 8,2 (x,y from 0, top left).

    The first line is ``COLUMNSxROWS``; every level has its line, points stand row by row.
    """

    name = "coords"

    def _write(self, levels: Levels, palette: str) -> list[str]:
        _, rows, columns = levels.shape
        _check_size(rows, columns)

        def points(grid: Levels, level: int) -> str:
            found = np.argwhere(grid == level).tolist()
            return f"{level}:{''.join(f' {x},{y}' for y, x in found)}\n"

        above = range(1, len(palette))
        return [
            f"{columns}x{rows}\n" + "".join(points(grid, level) for level in above)
            for grid in levels
        ]

    def _read(self, lines: list[str], palette: str) -> Levels:
        size, *lines = lines
        rows, columns = _read_size(size)
        _check_size(rows, columns, 1)
        if len(lines) != len(palette) - 1:
            raise FormatError(
                f"column 1: {len(palette) - 1} lines of points must follow, one for each level "
                f"above the darkest, not {len(lines)}; give the palette it was written with",
                1,
            )
        grid = np.zeros((rows, columns), dtype=np.uint8)
        for level, line in enumerate(lines, start=1):
            head, *points = line.split(" ")
            if head != f"{level}:":
                raise FormatError(
                    f"column 1: {head[:20]!r} instead of {level}:; write that", level + 1
                )
            column, last = len(head) + 2, -1
            for point in points:
                match = _POINT.fullmatch(point)
                x, y = (int(match[1]), int(match[2])) if match else (columns, rows)
                if x >= columns or y >= rows:
                    raise FormatError(
                        f"column {column}: {point[:20]!r} is no point of a grid of {size}; fix it",
                        level + 1,
                    )
                if grid[y, x] or y * columns + x <= last:
                    raise FormatError(
                        f"column {column}: point {point} repeated or out of order; write each "
                        "once, row by row",
                        level + 1,
                    )
                grid[y, x], last = level, y * columns + x
                column += len(point) + 1
        return grid
