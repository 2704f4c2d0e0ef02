"""Count the digits that models read in photographs, with ink found first and without.

    pip install '.[train]' scikit-image
    python benchmarks/photographs.py                              # tables of both sets of kinds
    python benchmarks/photographs.py --sheet docs/images/photographs.png
    python benchmarks/photographs.py --blank                      # blank pages, taken for blank
    python benchmarks/photographs.py --speed                      # beside decoding, 12 megapixels
    python benchmarks/photographs.py --model nano-names --icons NPM/node_modules/@iconify/json

Photographs are made from MNIST's test digits, which no shipped model was trained on: strokes of a
chosen width on paper, then shadow, texture, lines, perspective, blur, noise and JPEG. The way ink
is found was worked out on other digits, in the first set of kinds; the second set was written
afterwards, and nothing was chosen by it, though one fault of ``paper`` was found by it. With
``--icons`` they show the test icons of scripts/open_eyes.py in place of digits. A seed decides
everything.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from glyphsight.codec import Profile, prepare
from glyphsight.codec.ink import find_ink
from glyphsight.codec.things import find_inks
from glyphsight.inference import Model
from glyphsight.inference.reading import to_text
from glyphsight.media import load_gray
from glyphsight.sources import Batch, load_split, open_source

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Random = np.random.Generator


def stroke(digit: Pixels, size: int, width: float | None = None) -> Floats:
    """Draw a digit as a mask float64[size, size], 0-1.

    Args:
        digit: uint8[28, 28].
        size: Side in pixels.
        width: Width of the strokes as a share of the digit's height; None keeps the digit's own.
    """
    large = Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)
    mask = ndimage.gaussian_filter(np.asarray(large) / 255, size / 28 * 0.35) > 0.45
    if width is not None:
        from skimage.morphology import skeletonize

        distance = ndimage.distance_transform_edt(~skeletonize(mask))
        height = np.ptp(np.nonzero(mask)[0]) + 1
        mask = distance <= max(0.6, width * height / 2)
    return np.clip(ndimage.gaussian_filter(mask.astype(float), 0.7), 0, 1)


def put(mask: Floats, height: int, width: int, random: Random, margin: float = 0.05) -> Floats:
    """Put a mask somewhere on an empty sheet of ``height`` x ``width`` pixels."""
    sheet = np.zeros((height, width))
    corner = []
    for side, size in ((height, len(mask)), (width, len(mask))):
        first = int(margin * side)
        corner.append(int(random.integers(first, max(first + 1, side - size - first))))
    part = mask[: height - corner[0], : width - corner[1]]
    sheet[corner[0] : corner[0] + len(part), corner[1] : corner[1] + part.shape[1]] = part
    return sheet


def paper(
    height: int, width: int, random: Random, level: float = 225, texture: float = 3
) -> Floats:
    """Make paper of a gray level with fine and coarse texture."""
    fine = ndimage.gaussian_filter(random.normal(size=(height, width)), 1) * 3
    coarse = ndimage.gaussian_filter(random.normal(size=(height, width)), 6) * 8
    return level + texture * (fine + coarse)


def shade(picture: Floats, random: Random, amount: float) -> Floats:
    """Let a soft-edged shadow fall on one side of a picture."""
    height, width = picture.shape
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width]
    across = np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)
    soft, off = random.uniform(0.05, 0.4), random.uniform(-0.2, 0.2)
    return picture * (1 - amount / (1 + np.exp(-(across - off) / soft * 4)))


def lines(height: int, width: int, random: Random, gap: float, dark: float) -> Floats:
    """Draw level lines, up to two degrees off, ``dark`` gray values strong."""
    y, x = np.mgrid[:height, :width]
    angle = np.deg2rad(random.uniform(-2, 2))
    off = (y * np.cos(angle) + x * np.sin(angle) + random.uniform(0, gap)) % gap - gap / 2
    return dark * np.clip(1.4 - np.abs(off), 0, 1)


def photograph(
    picture: Floats,
    random: Random,
    *,
    noise: float = 3,
    blur: float = 0.8,
    tilted: bool = True,
) -> Pixels:
    """Take a photograph: perspective, blur, noise of the sensor, JPEG of quality 80."""
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    width, height = image.size
    if tilted:
        equations, values = [], []
        for x, y in ((0, 0), (width, 0), (width, height), (0, height)):
            u, v = x + random.uniform(-0.05, 0.05) * width, y + random.uniform(-0.05, 0.05) * height
            equations += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            values += [u, v]
        found = np.linalg.solve(np.array(equations, float), np.array(values, float))
        around = height // 10, width // 10
        found[2] += around[1]
        found[5] += around[0]
        wide = np.pad(np.asarray(image), [(side, side) for side in around], mode="reflect")
        image = Image.fromarray(wide).transform(
            (width, height),
            Image.Transform.PERSPECTIVE,
            tuple(found),
            Image.Resampling.BICUBIC,
        )
    image = image.filter(ImageFilter.GaussianBlur(blur))
    grainy = np.asarray(image) + random.normal(size=(height, width)) * noise
    stream = io.BytesIO()
    Image.fromarray(np.clip(grainy, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=80)
    return np.asarray(Image.open(stream))


class Scene:
    """A digit about to be drawn: sizes, paper and ink drawn by chance."""

    def __init__(self, digit: Pixels, random: Random, *, blank: bool = False) -> None:
        self.digit, self.random, self.blank = digit, random, blank
        self.height, self.width = (int(side) for side in random.integers(260, 420, 2))
        self.size = int(min(self.height, self.width) * random.uniform(0.55, 0.9))
        self.ink = float(random.uniform(25, 70))

    def mask(self, low: float = 0, high: float = 0, margin: float = 0.05) -> Floats:
        """Draw strokes between two widths, shares of the height; the digit's own without."""
        if self.blank:
            return np.zeros((self.height, self.width))
        width = self.random.uniform(low, high) if high else None
        drawn = stroke(self.digit, self.size, width)
        return put(drawn, self.height, self.width, self.random, margin)

    def paper(self, level: float = 225, texture: float = 3) -> Floats:
        """Make paper of the scene's size."""
        return paper(self.height, self.width, self.random, level, texture)

    def lines(self, fewest: float, most: float, dark: float) -> Floats:
        """Draw between ``fewest`` and ``most`` level lines, ``dark`` gray values strong."""
        gap = self.height / self.random.uniform(fewest, most)
        return lines(self.height, self.width, self.random, gap, dark)

    def on(self, ground: Floats, mask: Floats, ink: float | None = None) -> Floats:
        """Write on a ground."""
        return ground * (1 - mask) + (self.ink if ink is None else ink) * mask


def within(sheet: Floats, random: Random, around: float, level: float) -> Floats:
    """Lay a sheet on a larger ground."""
    edge = int(min(sheet.shape) * around)
    ground = paper(sheet.shape[0] + 2 * edge, sheet.shape[1] + 2 * edge, random, level, 3)
    ground[edge:-edge, edge:-edge] = sheet
    return ground


def flat(picture: Floats) -> Pixels:
    """Scan a drawing: no noise."""
    return np.clip(picture, 0, 255).astype(np.uint8)


def _boxed(scene: Scene) -> Pixels:
    image = Image.fromarray(flat(255 - 230 * scene.mask(margin=0.12)))
    edge = int(min(image.size) * 0.04)
    corner = image.size[0] - edge, image.size[1] - edge
    ImageDraw.Draw(image).rectangle((edge, edge, *corner), outline=30, width=3)
    return np.asarray(image)


def _touching(scene: Scene) -> Pixels:
    mask = stroke(scene.digit, scene.size)
    rows, columns = np.nonzero(mask > 0.5)
    tight = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return flat(255 - 235 * tight)


def _shaded(scene: Scene, least: float, most: float, *, tilted: bool = True) -> Pixels:
    written = scene.on(scene.paper(), scene.mask(0.08, 0.13))
    dark = shade(written, scene.random, scene.random.uniform(least, most))
    return photograph(dark, scene.random, tilted=tilted)


def _lined(scene: Scene, *, squared: bool) -> Pixels:
    ground = scene.paper() - scene.lines(7, 14, scene.random.uniform(40, 90))
    if squared:
        gap = scene.height / scene.random.uniform(10, 18)
        ground -= lines(scene.width, scene.height, scene.random, gap, 60).T
    ground = shade(ground, scene.random, 0.15)
    return photograph(scene.on(ground, scene.mask(0.07, 0.12)), scene.random)


def _penned(scene: Scene, low: float, high: float, contrast: tuple[float, float]) -> Pixels:
    mask = scene.mask(low, high)
    grainy = mask * scene.random.uniform(0.6, 1, mask.shape)
    ground = shade(scene.paper(), scene.random, 0.12)
    written = ground - grainy * scene.random.uniform(*contrast)
    return photograph(written, scene.random, blur=0.5)


def _board(scene: Scene) -> Pixels:
    mask = scene.mask(0.08, 0.08)
    ground = shade(scene.paper(60, 4), scene.random, 0.3)
    grainy = mask * scene.random.uniform(0.6, 1, mask.shape)
    return photograph(ground + 140 * grainy, scene.random)


def _desk(scene: Scene) -> Pixels:
    sheet = scene.on(scene.paper(), scene.mask())
    dark = within(sheet, scene.random, 0.3, scene.random.uniform(40, 90))
    return photograph(shade(dark, scene.random, 0.15), scene.random)


Kind = Callable[[Scene], Pixels]
KINDS: dict[str, Kind] = {
    "clean scan": lambda s: flat(255 - 255 * s.mask()),
    "coloured ground": lambda s: flat(190 - 150 * s.mask()),
    "thick marker": lambda s: flat(250 - 230 * s.mask(0.2, 0.2)),
    "white on black": lambda s: flat(8 + 240 * s.mask()),
    "in a box": _boxed,
    "touching the edges": _touching,
    "12 % shadow": lambda s: _shaded(s, 0.12, 0.12, tilted=False),
    "strong shadow": lambda s: _shaded(s, 0.4, 0.65),
    "ruled paper": lambda s: _lined(s, squared=False),
    "squared paper": lambda s: _lined(s, squared=True),
    "paper on a dark desk": _desk,
    "thin pen": lambda s: _penned(s, 0.025, 0.045, (150, 190)),
    "pencil": lambda s: _penned(s, 0.04, 0.07, (60, 100)),
    "noise": lambda s: photograph(s.on(s.paper(), s.mask(0.09, 0.09)), s.random, noise=16),
    "chalk on a board": _board,
}


def _glare(scene: Scene) -> Pixels:
    y, x = np.mgrid[: scene.height, : scene.width]
    centre = scene.random.uniform(0, 1, 2) * [scene.height, scene.width]
    wide = min(scene.height, scene.width) * scene.random.uniform(0.1, 0.3)
    light = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * wide**2))
    mask = scene.mask(0.06, 0.12)
    return photograph((190 + 70 * light) * (1 - mask) + (60 + 90 * light) * mask, scene.random)


def _crumpled(scene: Scene) -> Pixels:
    shape = scene.height, scene.width
    folds = sum(
        np.abs(ndimage.gaussian_filter(scene.random.normal(size=shape), wide)) * wide * 30
        for wide in (8, 16, 30)
    )
    ground = 225 - 0.9 * (np.asarray(folds) - np.min(folds))
    return photograph(scene.on(ground, scene.mask(0.06, 0.12)), scene.random)


def _cardboard(scene: Scene) -> Pixels:
    waves = 8 * np.sin(np.arange(scene.width) * scene.random.uniform(0.2, 0.6))
    ground = scene.paper(150, 2) + waves
    return photograph(scene.on(ground, scene.mask(0.06, 0.12)), scene.random)


def _fingers(scene: Scene) -> Pixels:
    written = scene.on(scene.paper(), scene.mask(0.06, 0.12))
    y, x = np.mgrid[: scene.height, : scene.width]
    light = np.ones(written.shape)
    for _ in range(3):
        slope = (y - scene.height) * scene.random.uniform(-0.3, 0.3)
        finger = np.abs(x - scene.random.uniform(0, scene.width) - slope) < 0.06 * scene.width
        light *= 1 - 0.4 * (finger & (y > scene.height * scene.random.uniform(0.3, 0.7)))
    return photograph(written * ndimage.gaussian_filter(light, 3), scene.random)


def _scaled(scene: Scene, longest: int) -> Pixels:
    dark = shade(scene.on(scene.paper(), scene.mask(0.06, 0.12)), scene.random, 0.3)
    image = Image.fromarray(photograph(dark, scene.random))
    scale = longest / max(image.size)
    size = round(image.width * scale), round(image.height * scale)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2))


def _turned(scene: Scene) -> Pixels:
    sheet = Image.fromarray(flat(scene.on(scene.paper(), scene.mask(0.06, 0.12))))
    angle = scene.random.uniform(-14, 14)
    whole = Image.new("L", (2 * sheet.width, 2 * sheet.height), int(scene.random.uniform(50, 110)))
    corner = sheet.width // 2 - 20, sheet.height // 2 - 20
    cover = Image.new("L", sheet.size, 255).rotate(angle, expand=True)
    whole.paste(sheet.rotate(angle, expand=True), corner, cover)
    grainy = np.asarray(whole) + 3 * scene.random.normal(size=(whole.height, whole.width))
    return photograph(shade(grainy, scene.random, 0.2), scene.random)


def _smeared(scene: Scene) -> Pixels:
    shape = scene.height, scene.width
    ground = 60 + 90 * ndimage.gaussian_filter(scene.random.normal(size=shape), (3, 14))
    mask = scene.mask(0.06, 0.12)
    return photograph(ground + 130 * mask * scene.random.uniform(0.7, 1, shape), scene.random)


def _margin_line(scene: Scene) -> Pixels:
    ground = scene.paper() - scene.lines(8, 12, 50)
    column = int(scene.width * scene.random.uniform(0.04, 0.08))
    ground[:, column : column + 2] -= 70
    return photograph(scene.on(ground, scene.mask(0.06, 0.12)), scene.random)


def _note(scene: Scene) -> Pixels:
    sheet = scene.on(scene.paper(185, 1), scene.mask(0.06, 0.12), 90)
    return photograph(within(sheet, scene.random, 0.35, 235), scene.random)


HELD_OUT: dict[str, Kind] = {
    "glare on a whiteboard": _glare,
    "note on a white wall": _note,
    "crumpled paper": _crumpled,
    "cardboard": _cardboard,
    "shadows of fingers": _fingers,
    "72 pixels": lambda s: _scaled(s, 72),
    "sheet turned on a desk": _turned,
    "smeared board": _smeared,
    "ruled, with a margin line": _margin_line,
    "2,400 pixels": lambda s: _scaled(s, 2400),
}


def pictures(
    kinds: dict[str, Kind], count: int, seed: int, icons: Path | None = None
) -> dict[str, tuple[list[Pixels], list[str]]]:
    """Make photographs of test digits or test icons and their labels, by kind."""
    digits = load_split(open_source("bundled"), "test") if icons is None else test_icons(icons)
    made = {}
    for number, (name, kind) in enumerate(kinds.items()):
        random = np.random.default_rng([seed, number])
        rows = random.choice(len(digits), count, replace=False)
        made[name] = (
            [kind(Scene(digits.pixels[row], random)) for row in rows],
            [digits.labels[row] for row in rows],
        )
    return made


def test_icons(package: Path) -> Batch:
    """Draw 500 icons of known names by designers held out, uint8[500, 48, 48]."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
    from eyes import kinds as eyes

    held = eyes.icon_names(eyes.icon_sets(package))["test"]
    every = [(name, svg) for name, own in held.items() for _, svg in own]
    rows = np.random.default_rng(0).permutation(len(every))[:500]
    drawn = np.stack([eyes.render(every[row][1]) for row in rows])
    return Batch(drawn, [every[row][0] for row in rows], [str(row) for row in rows])


def right(model: Model, photos: list[Pixels], labels: list[str], *, ink: bool) -> int:
    """Count the right answers, with ink found first or as models read before there was that."""
    profile = model.trained.profile
    profile = profile if ink else replace(profile, ink=False, paper=False)
    answers = model.answers([to_text(photo, profile) for photo in photos], None)
    return sum(getattr(a, "label", "") == label for a, label in zip(answers, labels, strict=True))


def draw_sheet(
    made: dict[str, tuple[list[Pixels], list[str]]], profile: Profile, file: Path
) -> None:
    """Draw three photographs of each kind, each beside the ink found in it."""
    side = 96
    sheet = Image.new("L", (6 * side, len(made) * side), 128)
    for row, (photos, _) in enumerate(made.values()):
        for column, photo in enumerate(photos[:3]):
            for offset, pixels in enumerate((photo, prepare(photo, profile).pixels)):
                image = Image.fromarray(pixels)
                scale = (side - 4) / max(image.size)
                size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
                sheet.paste(image.resize(size), ((2 * column + offset) * side, row * side))
    sheet.save(file)


def print_blank(seed: int) -> None:
    """Print in how many blank pages of each kind no ink is found."""
    digits = load_split(open_source("bundled"), "test")
    print("\n| kind, blank | no ink found, of 12 |\n|---|---|")
    for number, (name, kind) in enumerate((KINDS | HELD_OUT).items()):
        if kind is _touching:  # no page around it
            continue
        randoms = [np.random.default_rng([seed, number, page]) for page in range(12)]
        pages = [kind(Scene(digits.pixels[0], random, blank=True)) for random in randoms]
        print(f"| {name} | {sum(find_ink(page) is None for page in pages)} |", flush=True)


def print_speed(seed: int) -> None:
    """Print processor seconds of finding all ink in 12 megapixels and of decoding their JPEG."""
    digits = load_split(open_source("bundled"), "test")
    print("\n| kind, 4000x3000 | decoding, s | finding the ink, s |\n|---|---|---|")
    for name, kind in (KINDS | HELD_OUT).items():
        random = np.random.default_rng(seed)
        photo = Image.fromarray(kind(Scene(digits.pixels[3], random)))
        large = np.asarray(photo.resize((4000, 3000), Image.Resampling.BICUBIC))
        grainy = np.clip(large + random.normal(size=large.shape) * 4, 0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(grainy).convert("RGB").save(stream, "JPEG", quality=88)
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(5):
            start = time.process_time()
            gray = load_gray(io.BytesIO(stream.getvalue()))
            decoded = time.process_time()
            find_inks(gray)
            seconds[0].append(decoded - start)
            seconds[1].append(time.process_time() - decoded)
        row = " | ".join(f"{statistics.median(one):.3f}" for one in seconds)
        print(f"| {name} | {row} |", flush=True)


def main() -> None:
    """Print the tables, or draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", nargs="+", default=["nano-digits", "sight"])
    parser.add_argument("--pictures", type=int, default=30, help="per kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--icons", type=Path, help="package of icons; digits unless given")
    parser.add_argument("--sheet", type=Path, help="draw some, with their ink, to this PNG instead")
    parser.add_argument("--blank", action="store_true", help="blank pages instead, 12 per kind")
    parser.add_argument("--speed", action="store_true", help="seconds of 12 megapixels instead")
    options = parser.parse_args()
    if options.blank:
        print_blank(options.seed)
        return
    if options.speed:
        print_speed(options.seed)
        return
    models = [Model(name) for name in options.model]
    if options.sheet:
        made = pictures(KINDS | HELD_OUT, 3, options.seed, options.icons)
        draw_sheet(made, models[0].trained.profile, options.sheet)
        return
    for title, kinds in (("worked out on", KINDS), ("held out", HELD_OUT)):
        print(f"\nKinds {title}: right of {options.pictures}\n")
        print(f"| kind | {' | '.join(f'{name}, before | after' for name in options.model)} |")
        print("|---|" + "---|" * (2 * len(models)))
        made = pictures(kinds, options.pictures, options.seed, options.icons)
        for kind, (photos, labels) in made.items():
            counts = [
                str(right(model, photos, labels, ink=ink))
                for model in models
                for ink in (False, True)
            ]
            print(f"| {kind} | {' | '.join(counts)} |", flush=True)


if __name__ == "__main__":
    main()
