"""Formats of one symbol a cell: plain, rows, spaced and digits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats.lines import (
    check_grids,
    check_palette,
    read_lines,
    split_lines,
    write_lines,
)
from glyphsight.errors import FormatError

DIGITS = "0123456789abcdef"


class Plain:
    """The glyphs alone, a line a row, no tags."""

    name = "plain"
    cell = (1, 1)
    max_levels = 16

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids as lines of glyphs."""
        check_grids(self, levels, palette)
        return write_lines(levels, palette)

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read lines of glyphs of one width."""
        check_palette(self, palette)
        return read_lines(split_lines(text, self.name), palette).astype(np.uint8)


class Rows:
    """The row's number and a colon before its glyphs, no tags."""

    name = "rows"
    cell = (1, 1)
    max_levels = 16

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids as lines ``3:GLYPHS``, numbered from 1."""
        check_grids(self, levels, palette)
        return write_lines(levels, palette, prefix=lambda row: f"{row}:")

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read numbered lines of one width."""
        check_palette(self, palette)
        glyphs = []
        for number, line in enumerate(split_lines(text, self.name), start=1):
            prefix = f"{number}:"
            if not line.startswith(prefix):
                raise FormatError(f"column 1: {line[:20]!r} does not begin with {prefix}", number)
            glyphs.append(line[len(prefix) :])
        symbols = read_lines(glyphs, palette, before=lambda line: len(f"{line}:"))
        return symbols.astype(np.uint8)


class Spaced:
    """Glyphs with one space between two, so that each is a token of its own."""

    name = "spaced"
    cell = (1, 1)
    max_levels = 16

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids as lines of glyphs and gaps; a space may be a glyph too, by its place."""
        check_grids(self, levels, palette)
        return write_lines(levels, palette, gap=" ")

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read every second code point of each line."""
        check_palette(self, palette)
        return read_lines(split_lines(text, self.name), palette, gaps=True).astype(np.uint8)


class Digits:
    """One digit 0-9a-f a cell, the level itself, whatever the palette's glyphs."""

    name = "digits"
    cell = (1, 1)
    max_levels = 16

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids as lines of digits."""
        check_grids(self, levels, palette)
        return write_lines(levels, DIGITS[: len(palette)])

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read lines of digits below the number of levels."""
        check_palette(self, palette)
        lines = split_lines(text, self.name)
        return read_lines(lines, DIGITS[: len(palette)]).astype(np.uint8)
