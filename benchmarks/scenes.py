"""Several things in one picture, named apart: how many, which, and in which order.

    pip install '.[train]' scikit-image pyfiglet==1.0.4 art==6.5 resvg-py==0.5.0
    python benchmarks/scenes.py --fonts FONTS --icons NPM/node_modules/@iconify/json

Icons by designers and letters and digits in families of fonts that scripts/open_eyes.py holds out,
90 to 150 pixels large, one alone or two to six in a row or in two rows, drawn on white or
photographed: a shadow, grain, a tilted camera, JPEG. A picture counts where every thing is named,
in reading order. ``--split validation`` takes the fonts and designers for validation, by which the
rules of ``see`` were chosen. A seed decides everything.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from photographs import photograph, shade
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from eyes import kinds

from glyphsight.inference import Model
from glyphsight.sampling import wilson_interval

Pixels = NDArray[np.uint8]
Random = np.random.Generator
Draw = Callable[[Random], tuple[str, Pixels]]
SIDES = 90, 150
LAYOUTS = {
    "one thing": [(1,)],
    "two to four in a row": [(2,), (3,), (4,)],
    "two rows": [(2, 2), (2, 3), (3, 3)],
}


def things(fonts: Path, icons: Path, split: str) -> Draw:
    """Return a function that draws an icon or a sign, its name and ink bright on black."""
    files = kinds.letters_of(list(fonts.glob("*.woff2")))[split]
    held = kinds.icon_names(kinds.icon_sets(icons))[split]
    every = [(name, svg) for name, own in held.items() for _, svg in own]

    def draw(random: Random) -> tuple[str, Pixels]:
        if random.random() < 0.75:
            name, svg = every[random.integers(len(every))]
            large = svg.replace('width="48" height="48"', 'width="160" height="160"')
            return name, kinds.render(large)
        sign = str(random.choice(list(kinds.SIGNS)))
        pixels = kinds.write(sign, files[random.integers(len(files))], random, light=True)
        return draw(random) if pixels is None else (sign, 255 - pixels)

    return draw


def scene(draw: Draw, rows: tuple[int, ...], random: Random) -> tuple[list[str], Pixels]:
    """Draw rows of things, dark on white, with their names in reading order."""
    names, lines = [], []
    for count in rows:
        line = [np.zeros((220, 40))]
        for _ in range(count):
            name, pixels = draw(random)
            image = Image.fromarray(pixels).crop(Image.fromarray(pixels).getbbox())
            scale = random.integers(*SIDES) / max(image.size)
            size = [max(3, round(scale * side)) for side in image.size]
            small = np.asarray(image.resize(size))
            cell = np.zeros((220, size[0] + int(random.integers(30, 80))))
            top = int(random.integers(20, 200 - size[1]))
            cell[top : top + size[1], : size[0]] = small
            names.append(name)
            line.append(cell)
        lines.append(np.concatenate(line, axis=1))
    sheet = np.zeros((220 * len(rows), max(line.shape[1] for line in lines)))
    for number, line in enumerate(lines):
        sheet[220 * number : 220 * (number + 1), : line.shape[1]] = line
    return names, (255 - sheet).astype(np.uint8)


def scenes(
    draw: Draw, layout: list[tuple[int, ...]], count: int, *, photo: bool
) -> Iterator[tuple[list[str], Pixels]]:
    """Yield names and pictures, the same each time."""
    random = np.random.default_rng([count, len(layout[0]), layout[0][0]])
    for _ in range(count):
        names, pixels = scene(draw, layout[random.integers(len(layout))], random)
        if photo:
            wide = np.pad(pixels, 40, constant_values=255) * 0.92
            pixels = photograph(shade(wide, random, random.uniform(0.2, 0.5)), random)
        yield names, pixels


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fonts", type=Path, required=True)
    parser.add_argument("--icons", type=Path, required=True, help="package of icons")
    parser.add_argument("--model", default="nano-names")
    parser.add_argument("--pictures", type=int, default=300, help="of each kind")
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    given = parser.parse_args()
    model, draw = Model(given.model), things(given.fonts, given.icons, given.split)
    print("| pictures | ground | N | as many things | names right of these | all right |")
    print("|---|---|---|---|---|---|")
    for title, layout in LAYOUTS.items():
        for photo in (False, True):
            as_many = whole = named = right = 0
            for names, pixels in scenes(draw, layout, given.pictures, photo=photo):
                found = [one.label for one in model.see([pixels])[0].things]
                whole += found == names
                if len(found) == len(names):
                    as_many += 1
                    named += len(names)
                    right += sum(a == b for a, b in zip(found, names, strict=True))
            low, high = wilson_interval(whole, given.pictures)
            share = f"{100 * whole / given.pictures:.1f} % ({100 * low:.1f}-{100 * high:.1f})"
            print(
                f"| {title} | {'photographed' if photo else 'white'} | {given.pictures} | "
                f"{as_many} | {100 * right / max(1, named):.1f} % | {share} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
