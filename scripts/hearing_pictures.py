"""Draw the pictures of docs/hearing.md: spectrograms and the cells that a model reads.

python scripts/hearing_pictures.py docs/images/hearing.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from glyphsight.codec import decode, encode_batch
from glyphsight.media.sound import load_sound
from glyphsight.models.runs import SHIPPED_RUNS, RunRecord

RECORDINGS = Path(__file__).parents[1] / "src" / "glyphsight" / "assets" / "spoken-digits"
SHOWN = ("3_theo", "6_george", "7_yweweler")
HEIGHT, WIDTH, GAP = 192, 240, 16


def main() -> None:
    """Draw three recordings: above the spectrogram, below the text as gray cells."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    run = RunRecord.load(SHIPPED_RUNS["hearing"])
    assert run is not None
    sheet = Image.new("L", (len(SHOWN) * (WIDTH + GAP) - GAP, 2 * HEIGHT + GAP), 255)
    for column, name in enumerate(SHOWN):
        pixels = load_sound(RECORDINGS / f"{name}_0.flac")
        cells = decode(encode_batch(pixels[None], run.profile)[0], run.profile)
        for row, each in enumerate((pixels, cells)):
            drawn = Image.fromarray(np.ascontiguousarray(each))
            drawn = drawn.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)
            sheet.paste(drawn, (column * (WIDTH + GAP), row * (HEIGHT + GAP)))
    sheet.save(given.out, optimize=True)


if __name__ == "__main__":
    main()
