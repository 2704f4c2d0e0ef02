"""Draw the README's pictures: the first digit of MNIST's test file, and its ASCII_Image.

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


def main() -> None:
    """Write ``seven.png`` and ``seven-text.png``."""
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


if __name__ == "__main__":
    main()
