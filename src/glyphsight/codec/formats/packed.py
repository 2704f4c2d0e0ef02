"""Formats of less than one symbol per cell: trim, rle, hex and coords."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats.base import (
    check_grids,
    check_palette,
    read_lines,
    split_lines,
    write_lines,
)
from glyphsight.codec.formats.lines import DIGITS, Lines
from glyphsight.errors import FormatError

MAX_CELLS = 1 << 24
"""Largest number of cells in a grid whose size is stated, not written out cell by cell."""

_SIZE = re.compile(r"([1-9][0-9]{0,7})x([1-9][0-9]{0,7})")
_RUN = re.compile(r"([1-9][0-9]{0,7})([^0-9 ]?)")
_POINT = re.compile(r"(0|[1-9][0-9]{0,7}),(0|[1-9][0-9]{0,7})")


def _check_size(rows: int, columns: int, line: int = 0) -> None:
    if rows * columns > MAX_CELLS:
        raise FormatError(f"{columns}x{rows} cells are too many, {MAX_CELLS} at most", line)


def _read_size(line: str) -> tuple[int, int]:
    """Read rows and columns from a first line ``COLUMNSxROWS``."""
    match = _SIZE.fullmatch(line)
    if match is None:
        raise FormatError(f"column 1: {line[:20]!r} is no size such as 20x11", 1)
    return int(match[2]), int(match[1])


class Trim(Lines):
    """Plain, but rows end at their last glyph that is not dark; the first and last row are whole.

    So the first row states the width, and no empty line stands at either end.
    """

    name = "trim"

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids as lines of glyphs."""
        check_grids(self, levels, palette)
        _check_size(*levels.shape[1:])
        dark, last = palette[0], levels.shape[1] - 1
        return [
            "".join(
                (line.rstrip(dark) if 0 < row < last else line) + "\n"
                for row, line in enumerate(text[:-1].split("\n"))
            )
            for text in write_lines(levels, palette)
        ]

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read lines of glyphs, filled up to the width of the first."""
        check_palette(self, palette)
        lines = split_lines(text, self.name)
        width, dark = len(lines[0]), palette[0]
        _check_size(len(lines), width, 1)
        for number, line in enumerate(lines[1:-1], start=2):
            if line.endswith(dark):
                raise FormatError(
                    f"column {len(line)}: the row ends in {dark!r}, which is left out there", number
                )
            lines[number - 1] = line.ljust(width, dark)
        return read_lines(lines, palette).astype(np.uint8)


class Rle:
    """Run lengths: each run is its length and its glyph, none for the darkest: 12 3▓ 4█.

    Runs are separated by one space. So that a glyph is never taken for a length or a gap, none but
    the darkest level's may be a digit or a space.
    """

    name = "rle"
    cell = (1, 1)
    max_levels = 16

    def _check(self, palette: str) -> None:
        check_palette(self, palette)
        for glyph in palette[1:]:
            if glyph in "0123456789 ":
                raise FormatError(
                    f"format rle cannot carry palette {palette!r}: glyph {glyph!r} would be read "
                    "as part of a run's length; take another glyph or another format"
                )

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids as lines of runs."""
        check_grids(self, levels, palette)
        self._check(palette)
        _check_size(*levels.shape[1:])
        glyph_of = ["", *palette[1:]]
        return ["".join(f"{self._runs(row, glyph_of)}\n" for row in grid) for grid in levels]

    @staticmethod
    def _runs(row: NDArray[np.uint8], glyph_of: list[str]) -> str:
        starts = np.concatenate([[0], np.flatnonzero(np.diff(row)) + 1])
        lengths = np.diff(np.append(starts, len(row))).tolist()
        levels = row[starts].tolist()
        return " ".join(
            f"{length}{glyph_of[level]}" for length, level in zip(lengths, levels, strict=True)
        )

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read lines of runs; two runs of one level side by side are refused."""
        self._check(palette)
        level_of = {"": 0} | {glyph: level for level, glyph in enumerate(palette) if level}
        grid: list[NDArray[np.uint8]] = []
        width, lines = 0, split_lines(text, self.name)
        for number, line in enumerate(lines, start=1):
            lengths: list[int] = []
            levels: list[int] = []
            column = 1
            for run in line.split(" "):
                match = _RUN.fullmatch(run)
                if match is None or match[2] not in level_of:
                    raise FormatError(
                        f"column {column}: {run[:20]!r} is no run of palette {palette!r}", number
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
                    f"column {len(line)}: {sum(lengths)} cells in the row, expected {width}", number
                )
            _check_size(len(lines), width, number)
            grid.append(np.repeat(np.array(levels, dtype=np.uint8), lengths))
        return np.stack(grid)


def _bits(levels: int) -> int:
    """Count the bits per cell, 1, 2 or 4, so that no cell lies across two digits."""
    return 1 if levels <= 2 else 2 if levels <= 4 else 4


class Hex:
    """The size, then each row packed into hexadecimal digits: 4 cells a digit at 2 levels.

    The first line is ``COLUMNSxROWS``. A cell takes 1 bit at 2 levels, 2 up to 4, 4 above; the
    leftmost cell is in the highest bits, and the last digit is filled up with zeros.
    """

    name = "hex"
    cell = (1, 1)
    max_levels = 16

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids as their size and lines of hexadecimal digits."""
        check_grids(self, levels, palette)
        bits = _bits(len(palette))
        count, rows, columns = levels.shape
        held = 4 // bits
        digits = -(-columns // held)
        padded = np.zeros((count, rows, digits * held), dtype=np.intp)
        padded[:, :, :columns] = levels
        weights = 1 << (bits * np.arange(held - 1, -1, -1))
        symbols = padded.reshape(count, rows, digits, held) @ weights
        return write_lines(symbols, DIGITS, header=f"{columns}x{rows}\n")

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read the size and the digits; both must agree, and the filling must be zero."""
        check_palette(self, palette)
        size, *lines = split_lines(text, self.name)
        rows, columns = _read_size(size)
        if len(lines) != rows:
            raise FormatError(f"column 1: {rows} rows stated, {len(lines)} follow", 1)
        bits = _bits(len(palette))
        held = 4 // bits
        symbols = read_lines(lines, DIGITS, first=2)
        expected = -(-columns // held)
        if symbols.shape[1] != expected:
            raise FormatError(
                f"column 1: {symbols.shape[1]} digits in the row, {columns} columns take "
                f"{expected}",
                2,
            )
        shifts = bits * np.arange(held - 1, -1, -1)
        cells = ((symbols[:, :, None] >> shifts) & (2**bits - 1)).reshape(rows, -1)
        wrong = cells >= len(palette)
        wrong[:, columns:] = cells[:, columns:] != 0
        if wrong.any():
            row, column = np.argwhere(wrong)[0].tolist()
            raise FormatError(
                f"column {column // held + 1}: level {cells[row, column]} in cell {column + 1}, "
                + ("beyond the last column" if column >= columns else f"palette is {palette!r}"),
                row + 2,
            )
        grid: NDArray[np.uint8] = cells[:, :columns].astype(np.uint8)
        return grid


class Coords:
    """The size, then a line for each level above the darkest: 1: 7,2 8,2 (x,y from 0, top left).

    The first line is ``COLUMNSxROWS``; every level has its line, points stand row by row.
    """

    name = "coords"
    cell = (1, 1)
    max_levels = 16

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids as their size and a list of points for each level."""
        check_grids(self, levels, palette)
        _check_size(*levels.shape[1:])
        return [self._render(grid, len(palette)) for grid in levels]

    @staticmethod
    def _render(grid: NDArray[np.uint8], levels: int) -> str:
        rows, columns = grid.shape
        lines = [f"{columns}x{rows}\n"]
        for level in range(1, levels):
            points = "".join(f" {x},{y}" for y, x in np.argwhere(grid == level).tolist())
            lines.append(f"{level}:{points}\n")
        return "".join(lines)

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read the size and the points; each cell at most once, row by row."""
        check_palette(self, palette)
        size, *lines = split_lines(text, self.name)
        rows, columns = _read_size(size)
        _check_size(rows, columns, 1)
        if len(lines) != len(palette) - 1:
            raise FormatError(
                f"column 1: {len(palette) - 1} lines of points must follow, one for each level "
                f"above the darkest, not {len(lines)}",
                1,
            )
        grid = np.zeros((rows, columns), dtype=np.uint8)
        for level, line in enumerate(lines, start=1):
            head, *points = line.split(" ")
            if head != f"{level}:":
                raise FormatError(f"column 1: {head[:20]!r} instead of {level}:", level + 1)
            column, last = len(head) + 2, -1
            for point in points:
                match = _POINT.fullmatch(point)
                x, y = (int(match[1]), int(match[2])) if match else (columns, rows)
                if x >= columns or y >= rows:
                    raise FormatError(
                        f"column {column}: {point[:20]!r} is no point of a grid of {size}",
                        level + 1,
                    )
                if grid[y, x] or y * columns + x <= last:
                    raise FormatError(
                        f"column {column}: point {point} repeated or out of order", level + 1
                    )
                grid[y, x], last = level, y * columns + x
                column += len(point) + 1
        return grid
