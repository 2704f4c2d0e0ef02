"""Draw a folder of labelled pictures to try things on: keys, rings and stars, dark on light.

    python scripts/shapes.py shapes

writes shapes/train/ANSWER/N.png (150 of each answer) and shapes/test/ANSWER/N.png (40), the same
pictures each time.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 96  # pixels
FINE = 4  # pixels of the drawing per pixel of the picture, along each side


def draw(answer: str, rng: np.random.Generator) -> Image.Image:
    """Draw one picture: size, proportions, stroke and rotation at random."""
    image = Image.new("L", (SIDE * FINE, SIDE * FINE), 255)
    pen = ImageDraw.Draw(image)
    middle = SIDE * FINE / 2
    wide, tall = rng.uniform(0.35, 0.8, 2) * middle
    stroke = int(rng.integers(3, 9)) * FINE
    if answer == "ring":
        pen.ellipse([middle - wide, middle - tall, middle + wide, middle + tall], None, 0, stroke)
    elif answer == "key":
        bow = 0.45 * wide
        pen.line([middle - wide + bow, middle, middle + wide, middle], 0, stroke)
        pen.ellipse(
            [middle - wide, middle - bow, middle - wide + 2 * bow, middle + bow], None, 0, stroke
        )
        for tooth in (1.0, 1 - rng.uniform(0.25, 0.45)):
            x = middle + tooth * wide - stroke / 2
            pen.line([x, middle, x, middle + rng.uniform(0.25, 0.5) * wide], 0, stroke)
    else:
        points = int(rng.integers(5, 8))
        inner = rng.uniform(0.35, 0.5)
        corners = []
        for index in range(2 * points):
            reach = inner if index % 2 else 1.0
            angle = math.pi * index / points
            corners += [middle + reach * wide * math.sin(angle)]
            corners += [middle - reach * tall * math.cos(angle)]
        pen.polygon(corners, fill=0)
    angle = rng.uniform(-25, 25)
    return image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=255).resize((SIDE, SIDE))


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="directory to write")
    out = parser.parse_args().out
    rng = np.random.default_rng(0)
    for split, count in (("train", 150), ("test", 40)):
        for answer in ("key", "ring", "star"):
            directory = out / split / answer
            directory.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                draw(answer, rng).save(directory / f"{number}.png")


if __name__ == "__main__":
    main()
