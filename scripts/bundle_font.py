"""Make the page's font: every cell of a picture as text is as wide and as high as the next.

    python scripts/bundle_font.py

A system's own monospaced font often lacks blocks or braille, and takes them from another font, of
another width: the picture is torn. Letters are those of DejaVu Sans Mono; blocks, shades and dots
are drawn here, to the cell's edges, so that neighbours touch.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

from glyphsight.codec.formats.own import Braille, Quadrant
from glyphsight.codec.profile import CELL_ASPECT, PALETTES
from glyphsight.files import replacing, write

PAGE = Path(__file__).parents[1] / "src" / "glyphsight" / "serve" / "page"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
LETTERS = "".join(map(chr, range(0x20, 0x7F))) + "·×…"
SHADES = {"░": 0.4, "▒": 0.62, "▓": 0.82}  # sides of 3x5 squares, as shares of their places
OVER = 24  # by which blocks overlap, so that no seam is seen between neighbours
WIDTH = 1233  # of a letter of DejaVu Sans Mono
HEIGHT = round(WIDTH / CELL_ASPECT)
DESCENT = 497  # so that letters stand in the middle


def boxes(glyph: str) -> list[tuple[float, float, float, float]]:
    """Return the rectangles of a block: left, top, right, bottom as shares of the cell."""
    if glyph in SHADES:
        middles = [((x + 0.5) / 3, (y + 0.5) / 5) for y in range(5) for x in range(3)]
        wide, tall = SHADES[glyph] / 6, SHADES[glyph] / 10
        return [(x - wide, y - tall, x + wide, y + tall) for x, y in middles]
    if glyph in Quadrant.glyphs:
        bits = Quadrant.glyphs.index(glyph)
        return [
            (x / 2, y / 2, (x + 1) / 2, (y + 1) / 2)
            for y in range(2)
            for x in range(2)
            if bits & Quadrant.bits[y][x]
        ]
    bits = Braille.glyphs.index(glyph)
    return [
        ((x + 0.22) / 2, (y + 0.22) / 4, (x + 0.78) / 2, (y + 0.78) / 4)
        for y in range(4)
        for x in range(2)
        if bits & Braille.bits[y][x]
    ]


def draw(glyph: str) -> Any:
    """Draw a block."""
    pen = TTGlyphPen(None)
    for left, top, right, bottom in boxes(glyph):
        x0, x1 = (
            round(left * WIDTH) - OVER * (left == 0),
            round(right * WIDTH) + OVER * (right == 1),
        )
        y0 = round(HEIGHT * (1 - top)) - DESCENT + OVER * (top == 0)
        y1 = round(HEIGHT * (1 - bottom)) - DESCENT - OVER * (bottom == 1)
        pen.moveTo((x0, y0))
        for point in ((x1, y0), (x1, y1), (x0, y1)):
            pen.lineTo(point)
        pen.closePath()
    return pen.glyph()


def main(out: Path) -> None:
    """Write ``cells.woff`` and its licence."""
    known = TTFont(FONTS / "DejaVuSansMono.ttf")
    names, outlines = known.getBestCmap(), known.getGlyphSet()
    drawn = {".notdef": TTGlyphPen(None).glyph()}
    codes: dict[int, str] = {}
    palettes = "".join(PALETTES.values())
    for glyph in dict.fromkeys(LETTERS + palettes + Quadrant.glyphs + Braille.glyphs):
        name = f"u{ord(glyph):04X}"
        codes[ord(glyph)] = name
        if glyph in LETTERS:
            whole, pen = DecomposingRecordingPen(outlines), TTGlyphPen(None)
            outlines[names[ord(glyph)]].draw(whole)
            whole.replay(pen)
            drawn[name] = pen.glyph()
        else:
            drawn[name] = draw(glyph)
    licence = (FONTS / "LICENSE_DEJAVU").read_text("utf-8")
    font = FontBuilder(unitsPerEm=2048)
    font.setupGlyphOrder(list(drawn))
    font.setupCharacterMap(codes)
    font.setupGlyf(drawn)
    font.setupHorizontalMetrics({name: (WIDTH, glyph.xMin) for name, glyph in drawn.items()})
    font.setupHorizontalHeader(ascent=HEIGHT - DESCENT, descent=-DESCENT)
    font.setupOS2(sTypoAscender=HEIGHT - DESCENT, sTypoDescender=-DESCENT, sTypoLineGap=0)
    font.setupNameTable(
        {
            "familyName": "Glyphsight Cells",
            "styleName": "Regular",
            "copyright": licence.partition("Permission is")[0].strip(),
        }
    )
    font.setupPost(isFixedPitch=1, keepGlyphNames=False)
    font.font.flavor = "woff"
    with replacing(out / "cells.woff", "wb") as stream:
        font.font.save(stream)
    write(
        out / "cells.LICENCE.md",
        "# The page's font\n\nLetters of `cells.woff` are those of **DejaVu Sans Mono**, "
        "under the licence below; its blocks,\nshades and dots are this project's. Made by "
        f"`scripts/bundle_font.py`.\n\n```\n{licence.rstrip()}\n```\n",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=PAGE, help="directory of the page")
    main(parser.parse_args().out)
