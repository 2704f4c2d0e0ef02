"""Formats of a line per row of glyphs: plain ones, and those whose glyph is a small bitmap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats.base import (
    check_grids,
    check_palette,
    read_lines,
    split_lines,
    write_lines,
)
from glyphsight.errors import FormatError

DIGITS = "0123456789abcdef"
_BRAILLE_DOTS = ((1, 8), (2, 16), (4, 32), (64, 128))  # the bits of U+2800..U+28FF (Unicode 15.5)


class Lines:
    """A format of one line per row of glyphs, one glyph per cell.

    Attributes:
        before: Text before the glyphs of a row; ``{}`` is the row's number, from 1.
        after: Text after the glyphs of a row, likewise.
        gap: Text between two glyphs, "" or a space.
    """

    name = ""
    cell = (1, 1)
    max_levels = 16
    before = ""
    after = ""
    gap = ""

    def alphabet(self, palette: str) -> str:
        """Give the glyph of each symbol."""
        return palette

    def to_symbols(self, levels: NDArray[np.uint8]) -> NDArray[Any]:
        """Turn level grids [N, rows, columns] into indices of glyphs."""
        return levels

    def to_levels(self, symbols: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Turn indices of glyphs, [rows, columns], back into a level grid."""
        return symbols.astype(np.uint8)

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write level grids uint8[N, rows, columns] as N texts."""
        check_grids(self, levels, palette)
        return write_lines(
            self.to_symbols(levels),
            self.alphabet(palette),
            before=self.before,
            after=self.after,
            gap=self.gap,
        )

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read one text back to its level grid, strictly."""
        check_palette(self, palette)
        glyphs = []
        for number, line in enumerate(split_lines(text, self.name), start=1):
            before, after = self.before.format(number), self.after.format(number)
            inner = line.removeprefix(before).removesuffix(after)
            if len(line) != len(before) + len(inner) + len(after):
                raise FormatError(f"column 1: not a {before}...{after} line: {line[:60]!r}", number)
            glyphs.append(inner)
        alphabet = self.alphabet(palette)
        symbols = read_lines(glyphs, alphabet, gaps=bool(self.gap), before=self.before)
        return self.to_levels(symbols)


class Seed(Lines):
    """The published format and the default."""

    name = "seed"
    before = "<row:{}>"
    after = "</row:{}>"


class Plain(Lines):
    """The glyphs alone, a line a row, no tags."""

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
    """One digit 0-9a-f a cell, the level itself, whatever the palette's glyphs."""

    name = "digits"

    def alphabet(self, palette: str) -> str:
        """Give a digit for each level."""
        return DIGITS[: len(palette)]


class Blocks(Lines):
    """Bitmaps of two levels, one glyph for each pattern.

    Attributes:
        bits: Weight of each pixel of a glyph, [rows][columns].
        glyphs: Glyph of each sum of weights.
    """

    max_levels = 2
    bits: tuple[tuple[int, ...], ...] = ((1,),)
    glyphs = ""

    def alphabet(self, palette: str) -> str:
        """Give the glyph of each pattern."""
        return self.glyphs

    def to_symbols(self, levels: NDArray[np.uint8]) -> NDArray[Any]:
        """Sum the weights of each glyph's bright pixels."""
        count, rows, columns = levels.shape
        tall, wide = self.cell
        cells = levels.reshape(count, rows // tall, tall, columns // wide, wide)
        symbols: NDArray[Any] = np.einsum("nrtcw,tw->nrc", cells, np.array(self.bits, np.intp))
        return symbols

    def to_levels(self, symbols: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Find each glyph's bright pixels."""
        tall, wide = self.cell
        weights = np.array(self.bits, dtype=np.intp)
        held = (symbols[:, None, :, None] & weights[None, :, None, :]) != 0
        rows, columns = symbols.shape
        pixels: NDArray[np.uint8] = held.reshape(rows * tall, columns * wide).astype(np.uint8)
        return pixels


class Braille(Blocks):
    """Braille patterns, 2x4 dots a glyph, two levels."""

    name = "braille"
    cell = (4, 2)
    bits = _BRAILLE_DOTS
    glyphs = "".join(map(chr, range(0x2800, 0x2900)))


class Quadrant(Blocks):
    """Quadrant blocks, 2x2 pixels a glyph, two levels."""

    name = "quadrant"
    cell = (2, 2)
    bits = ((1, 2), (4, 8))
    glyphs = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"


class Half(Blocks):
    """Half blocks, 1x2 pixels a glyph, two levels."""

    name = "half"
    cell = (2, 1)
    bits = ((1,), (2,))
    glyphs = " ▀▄█"
