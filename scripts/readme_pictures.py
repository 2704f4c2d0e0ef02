"""Draw the README's pictures: a digit of MNIST's test file, its ASCII_Image, a sheet of things.

python scripts/readme_pictures.py --out docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glyphsight import encode
from glyphsight.sources import load_split, open_source

IMAGES = Path(__file__).parents[1] / "docs" / "images"
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"
SIZE = 32


def sheet_of_things() -> Image.Image:
    """Draw a house, a K, an umbrella and a 7 on paper, half of it in a shadow."""
    page = Image.new("L", (1300, 520), 242)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(260)
    walls = (150, 120), (280, 240), (240, 240), (240, 380), (60, 380), (60, 240), (20, 240)
    pen.polygon(walls, outline=30, width=14)
    pen.rectangle((120, 290, 180, 380), outline=30, width=14)
    pen.text((400, 60), "K", 30, font)
    pen.arc((720, 120, 980, 380), 180, 360, 40, 14)
    pen.line((720, 250, 980, 250), 40, 14)
    pen.line((850, 250, 850, 360), 40, 14)
    pen.arc((850, 330, 900, 380), 0, 180, 40, 14)
    pen.text((1080, 60), "7", 30, font)
    y, x = np.mgrid[:520, :1300]
    shadow = 1 - 0.5 / (1 + np.exp(-(x + 0.4 * y - 700) / 80))
    grain = np.random.default_rng(0).normal(0, 5, shadow.shape)
    return Image.fromarray(np.clip(np.asarray(page) * shadow + grain, 0, 255).astype(np.uint8))


def main() -> None:
    """Write ``seven.png``, ``seven-text.png`` and ``four-things.jpg``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES, help="directory of the pictures")
    out = parser.parse_args().out
    pixels = load_split(open_source("bundled"), "test").pixels[0]
    Image.fromarray(np.kron(pixels, np.ones((8, 8), np.uint8))).save(out / "seven.png")
    font = ImageFont.truetype(str(FONT), SIZE)
    lines = encode(pixels).splitlines()
    # A line is as high as the font's full block, so that blocks of neighbouring rows touch.
    left, top, right, bottom = font.getbbox("█")
    width = round((right - left) * max(map(len, lines)))
    height = round(bottom - top) - 2
    page = Image.new("L", (width + 40, height * len(lines) + 40))
    draw = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        draw.text((20, 20 + row * height - top), line, fill=255, font=font)
    page.save(out / "seven-text.png")
    sheet_of_things().save(out / "four-things.jpg", quality=80)


if __name__ == "__main__":
    main()
