"""Formats whose glyph is a small bitmap of two levels: braille, quadrant and half blocks."""

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

_BRAILLE_DOTS = ((1, 8), (2, 16), (4, 32), (64, 128))  # the bits of U+2800..U+28FF (Unicode 15.5)


class Blocks:
    """Bitmaps of two levels, one glyph for each pattern.

    Attributes:
        cell: Rows and columns of a glyph.
        bits: Weight of each pixel of a glyph, [rows][columns].
        glyphs: The glyph of each sum of weights.
    """

    name = ""
    cell = (1, 1)
    max_levels = 2
    bits: tuple[tuple[int, ...], ...] = ((1,),)
    glyphs = ""

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids, a glyph for each cell of ``self.cell`` pixels."""
        check_grids(self, levels, palette)
        count, rows, columns = levels.shape
        tall, wide = self.cell
        cells = levels.reshape(count, rows // tall, tall, columns // wide, wide)
        weights = np.array(self.bits, dtype=np.intp)
        return write_lines(np.einsum("nrtcw,tw->nrc", cells, weights), self.glyphs)

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read glyphs back to their pixels."""
        check_palette(self, palette)
        symbols = read_lines(split_lines(text, self.name), self.glyphs)
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
