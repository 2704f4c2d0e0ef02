"""Make a folder of labelled letters, of every font that is found: a first stage without labour.

    python scripts/glyphs.py FONTS --out glyphs
    glyphsight dataset build --source folder:glyphs --out data

FONTS is a folder that is looked through for .ttf and .otf files, such as /usr/share/fonts; on
Debian the packages fonts-* fill it. ``glyphs`` holds train/LETTER/NUMBER.png, 28x28, white on
black, the letter 20 pixels in its longer side, turned and slanted a little. The 26 capitals and
eleven small letters that look unlike theirs: no digits, so that what is trained on digits later
has not met them. A font in which many letters look the same (it has none, and shows a box) is left
out, and told.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glyphsight.console import progress_bar, say
from glyphsight.media.picture import save_picture

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
CANVAS, LARGEST, SIDE = 112, 20, 28
DEGREES, SLANT = 12, 0.2


def drawn(font: ImageFont.FreeTypeFont) -> dict[str, Image.Image]:
    """Each letter that the font has ink for, CANVAS pixels square; none where most look alike."""
    letters = {}
    for letter in LETTERS:
        picture = Image.new("L", (CANVAS, CANVAS))
        ImageDraw.Draw(picture).text((CANVAS // 2,) * 2, letter, 255, font=font, anchor="mm")
        if picture.getbbox():
            letters[letter] = picture
    different = len({picture.tobytes() for picture in letters.values()})
    return letters if different >= 0.8 * len(LETTERS) else {}


def by_hand(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Turned and slanted by chance, its ink LARGEST pixels long, amid a small square."""
    turned = picture.rotate(rng.uniform(-DEGREES, DEGREES), Image.Resampling.BICUBIC)
    slant = rng.uniform(-SLANT, SLANT)
    map_back = (1, slant, -slant * CANVAS / 2, 0, 1, 0)
    slanted = turned.transform(
        turned.size, Image.Transform.AFFINE, map_back, Image.Resampling.BICUBIC
    )
    ink = slanted.crop(slanted.getbbox())
    scale = LARGEST / max(ink.size)
    small = ink.resize([max(1, round(scale * side)) for side in ink.size], Image.Resampling.BOX)
    square = Image.new("L", (SIDE, SIDE))
    square.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return square


def main() -> None:
    """Draw the letters of every font."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fonts", type=Path, metavar="FONTS")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    files = sorted(file for file in given.fonts.rglob("*.[to]tf") if file.is_file())
    if not files:
        raise SystemExit(f"{given.fonts}: holds no .ttf or .otf file; give a folder of fonts")
    if given.out.exists():
        raise SystemExit(f"{given.out}: is there already; give another --out")
    rng, count = random.Random(given.seed), 0
    for file in progress_bar(len(files), "font", "glyphs", iterable=files):
        try:
            letters = drawn(ImageFont.truetype(file, CANVAS * 3 // 7))
        except OSError as error:
            letters = {}
            say(f"{file}: left out: {error}")
        else:
            if not letters:
                say(f"{file}: left out: no letters of its own")
        for letter, picture in letters.items():
            place = given.out / "train" / letter / f"{count:06d}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            save_picture(np.asarray(by_hand(picture, rng)), place)
            count += 1
    print(f"{given.out}: {count:,} letters of {len(files)} fonts")


if __name__ == "__main__":
    main()
