"""Count the things found in photographs of several digits, those read, and answers about them.

    pip install '.[train]' scikit-image
    python benchmarks/several.py                          # both sets of kinds, and single digits
    python benchmarks/several.py --sheet several.png      # photographs with the boxes found
    python benchmarks/several.py --ask                  # questions about several digits

Pictures hold two to four of MNIST's test digits in known places, or one digit that is
easily split: dotted, broken, with a bar apart. The rules that part things were worked out on the
first set of kinds; the second was written afterwards, and nothing was chosen by it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from photographs import (
    HELD_OUT,
    KINDS,
    Floats,
    Pixels,
    Random,
    flat,
    lines,
    paper,
    photograph,
    pictures,
    shade,
    stroke,
    within,
)
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from glyphsight.codec.things import find_inks
from glyphsight.dataset.questions import ask
from glyphsight.evaluate.tasks.use import says
from glyphsight.inference import Model
from glyphsight.sources import load_split, open_source


class Digits:
    """MNIST's test digits, drawn by chance."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.split = load_split(open_source("bundled"), "test")

    def draw(self, size: int, width: float | None, label: str = "") -> tuple[Floats, str]:
        """Draw one digit ``size`` pixels high, cut out, and its label."""
        of = [row for row, one in enumerate(self.split.labels) if label in ("", one)]
        row = int(self.random.choice(of))
        mask = stroke(self.split.pixels[row], round(size * 1.4), width)
        rows, columns = np.nonzero(mask > 0.5)
        cut = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        return cut, self.split.labels[row]


Written = tuple[Floats, list[str]]
TOGETHER = {"larger", "smaller", "sum", "place", "left", "count"}


def arranged(
    digits: Digits,
    rows: int,
    columns: int,
    gap: tuple[float, float],
    width: tuple[float, float] = (0.07, 0.12),
    sizes: tuple[float, float] = (0.9, 1),
) -> Written:
    """Write digits in rows, ``gap`` shares of their height apart, on an empty sheet."""
    random = digits.random
    height = int(random.uniform(60, 110))
    drawn, labels, top, widest = [], [], height // 2, 0
    pen = random.uniform(*width)
    for _ in range(rows):
        left = height // 2
        for _ in range(columns):
            size = int(height * random.uniform(*sizes))
            mask, label = digits.draw(size, pen * height / size)
            drawn.append((top + int(random.uniform(0, height - size + 1)), left, mask))
            labels.append(label)
            left += mask.shape[1] + max(3, round(height * random.uniform(*gap)))
        widest = max(widest, left)
        tallest = max(mask.shape[0] for _, _, mask in drawn[-columns:])
        top += tallest + max(3, round(height * random.uniform(max(gap[0], 0.25), gap[1] + 0.2)))
    sheet = np.zeros((top + height // 2, widest + height // 2))
    for down, across, mask in drawn:
        part = sheet[down : down + mask.shape[0], across : across + mask.shape[1]]
        np.maximum(part, mask[: part.shape[0], : part.shape[1]], out=part)
    return sheet, labels


def one(digits: Digits, label: str = "") -> Written:
    """Write one digit on an empty sheet."""
    height = int(digits.random.uniform(120, 200))
    mask, said = digits.draw(height, digits.random.uniform(0.06, 0.1), label)
    return np.pad(mask, height // 2), [said]


def broken(digits: Digits, holes: int, radius: float) -> Written:
    """Write one digit, with round holes in its strokes."""
    sheet, labels = one(digits)
    rows, columns = np.nonzero(sheet > 0.5)
    y, x = np.mgrid[: sheet.shape[0], : sheet.shape[1]]
    for at in digits.random.integers(0, len(rows), holes):
        hole = np.hypot(y - rows[at], x - columns[at]) < radius * np.ptp(rows)
        sheet = np.where(hole, 0, sheet)
    return sheet, labels


def dotted(digits: Digits) -> Written:
    """Write one digit in dots."""
    from skimage.morphology import skeletonize

    sheet, labels = one(digits)
    left = skeletonize(sheet > 0.5)
    tall = np.ptp(np.nonzero(sheet > 0.5)[0])
    y, x = np.mgrid[: sheet.shape[0], : sheet.shape[1]]
    drawn = np.zeros_like(sheet)
    while left.any():
        at = np.argwhere(left)[0]
        off = np.hypot(y - at[0], x - at[1])
        drawn[off < 0.03 * tall] = 1
        left &= off > 0.1 * tall
    return ndimage.gaussian_filter(drawn, 0.7), labels


def barred(digits: Digits) -> Written:
    """Write a 5 whose bar is apart."""
    sheet, labels = one(digits, "5")
    rows = np.nonzero(sheet > 0.5)[0]
    tall = np.ptp(rows)
    cut = rows.min() + int(0.17 * tall)
    upper, lower = sheet[:cut].copy(), sheet[cut:]
    gap = np.zeros((int(tall * digits.random.uniform(0.05, 0.1)), sheet.shape[1]))
    return np.concatenate([upper, gap, lower]), labels


def two_strokes(digits: Digits) -> Written:
    """Write a 4 of an angle and an upright that do not quite touch."""
    random = digits.random
    size = int(random.uniform(120, 200))
    image = Image.new("L", (2 * size, 2 * size))
    draw, pen = ImageDraw.Draw(image), round(size * random.uniform(0.06, 0.1))
    left, top = size // 2, size // 2
    middle = top + int(0.55 * size), left + int(0.45 * size)
    apart = pen // 2 + int(size * random.uniform(0.03, 0.07))
    draw.line(
        [(left + int(0.15 * size), top), (left, middle[0]), (middle[1] - apart, middle[0])],
        fill=255,
        width=pen,
    )
    draw.line([(middle[1], top + size // 4), (middle[1], top + size)], fill=255, width=pen)
    return np.asarray(image) / 255, ["4"]


def on_paper(
    written: Written, random: Random, shadow: float = 0.15, texture: float = 3, gap: float = 0
) -> tuple[Pixels, list[str]]:
    """Photograph writing on paper, ruled every ``gap`` of its height where that is not 0."""
    mask, labels = written
    ground = paper(*mask.shape, random, 225, texture)
    if gap:
        ground -= lines(*mask.shape, random, mask.shape[0] * gap, 60)
    ink = float(random.uniform(25, 70))
    lit = shade(ground * (1 - mask) + ink * mask, random, shadow)
    return photograph(lit, random), labels


def on_board(written: Written, random: Random) -> tuple[Pixels, list[str]]:
    """Photograph chalk on a board."""
    mask, labels = written
    ground = shade(paper(*mask.shape, random, 60, 4), random, 0.3)
    return photograph(ground + 140 * mask * random.uniform(0.6, 1, mask.shape), random), labels


def specked(written: Written, random: Random) -> Written:
    """Throw specks on a sheet."""
    sheet, labels = written
    y, x = np.mgrid[: sheet.shape[0], : sheet.shape[1]]
    for _ in range(12):
        down, across = random.uniform(0, 1, 2) * sheet.shape
        radius = random.uniform(0.003, 0.012) * max(sheet.shape)
        sheet = np.maximum(sheet, np.hypot(y - down, x - across) < radius)
    return sheet, labels


Kind = Callable[[Digits], tuple[Pixels, list[str]]]
SEVERAL: dict[str, Kind] = {
    "two side by side, scan": lambda d: _scan(arranged(d, 1, 2, (0.2, 0.7))),
    "a number of two, shadow": lambda d: on_paper(arranged(d, 1, 2, (0.12, 0.3)), d.random, 0.4),
    "three in a row, ruled": lambda d: on_paper(arranged(d, 1, 3, (0.15, 0.5)), d.random, gap=0.15),
    "one above the other": lambda d: on_paper(arranged(d, 2, 1, (0.25, 0.6)), d.random),
    "two of different sizes": lambda d: on_paper(
        arranged(d, 1, 2, (0.3, 0.8), sizes=(0.55, 1)), d.random
    ),
    "two on a board": lambda d: on_board(arranged(d, 1, 2, (0.15, 0.6)), d.random),
}
SINGLE: dict[str, Kind] = {
    "one, dotted": lambda d: on_paper(dotted(d), d.random),
    "one, broken strokes": lambda d: on_paper(broken(d, 3, 0.05), d.random),
    "a 5, its bar apart": lambda d: on_paper(barred(d), d.random),
    "a 4 of two strokes": lambda d: on_paper(two_strokes(d), d.random),
    "one among specks": lambda d: on_paper(specked(one(d), d.random), d.random),
}


def _scan(written: Written) -> tuple[Pixels, list[str]]:
    return flat(255 - 235 * written[0]), written[1]


def on_desk(written: Written, random: Random) -> tuple[Pixels, list[str]]:
    """Photograph a sheet on a dark desk."""
    mask, labels = written
    sheet = paper(*mask.shape, random) * (1 - mask) + 45 * mask
    return photograph(shade(within(sheet, random, 0.25, 70), random, 0.15), random), labels


def text_page(digits: Digits) -> tuple[Pixels, list[str]]:
    """Print a page of figures; nothing on it is to be read one by one."""
    image = Image.new("L", (420, 560), 235)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(24)
    for top in range(24, 520, 36):
        words = " ".join(str(n) for n in digits.random.integers(10, 10000, 6))
        draw.text((24, top), words, 30, font=font)
    return photograph(np.asarray(image).astype(float), digits.random, tilted=False), []


LATER: dict[str, Kind] = {
    "two on a sheet on a desk": lambda d: on_desk(arranged(d, 1, 2, (0.15, 0.5)), d.random),
    "three with a thin pen, strong shadow": lambda d: on_paper(
        arranged(d, 1, 3, (0.15, 0.5), (0.04, 0.05)), d.random, 0.55
    ),
    "four in two lines": lambda d: on_paper(arranged(d, 2, 2, (0.2, 0.5)), d.random, 0.3),
    "a tight number of two": lambda d: on_paper(arranged(d, 1, 2, (0.07, 0.13)), d.random),
    "two far apart, rough paper": lambda d: on_paper(
        arranged(d, 1, 2, (1, 2.5)), d.random, texture=6
    ),
    "one, dotted, on a board": lambda d: on_board(dotted(d), d.random),
    "one, broken, on a board": lambda d: on_board(broken(d, 2, 0.04), d.random),
    "a 5, its bar apart, on a desk": lambda d: on_desk(barred(d), d.random),
    "a page of figures": text_page,
}


def ask_about(model: Model, count: int, seed: int) -> None:
    """Ask of each picture of several digits a question in words that nothing was trained on."""
    by_family: dict[str, list[tuple[bool, bool]]] = {}
    for kind, photos in made(SEVERAL, count, seed).items():
        families = TOGETHER - {"left"} if kind == "one above the other" else TOGETHER
        for number, (pixels, labels) in enumerate(photos):
            asked = ask(labels, "digit", seed=seed, number=number, held_out=True, families=families)
            named = [one.label for one in model.see([pixels])[0].things] == labels
            reply = model.see([pixels], asked.words)[0].name
            by_family.setdefault(asked.family, []).append((named, says(reply, asked.answer)))
    every = [one for own in by_family.values() for one in own]
    print("| asked of two or three digits | N | all digits read | right | right where read |")
    print("|---|---|---|---|---|")
    for family, own in [*sorted(by_family.items()), ("all", every)]:
        read = [right for named, right in own if named]
        right = sum(right for _, right in own)
        print(f"| {family} | {len(own)} | {len(read)} | {right} | {sum(read)} |")


class Count(NamedTuple):
    """Pictures of a kind: with the right number of things, and all of them read."""

    number: int
    read: int


def judge(model: Model, photos: list[Pixels], labels: list[list[str]]) -> Count:
    """Count the pictures whose things are found, and those whose things are all read."""
    number = read = 0
    for answer, truth in zip(model.see(photos), labels, strict=True):
        said = [part.label for part in answer.parts] or [answer.label] * bool(answer.box)
        many = answer.found.startswith("more than")
        number += many if not truth else len(said) == len(truth) and not many
        read += said == truth
    return Count(number, read)


def made(
    kinds: dict[str, Kind], count: int, seed: int
) -> dict[str, list[tuple[Pixels, list[str]]]]:
    """Make photographs with their labels in reading order, by kind."""
    return {
        name: [kind(digits) for _ in range(count)]
        for number, (name, kind) in enumerate(kinds.items())
        for digits in [Digits(np.random.default_rng([seed, number]))]
    }


def draw_sheet(kinds: dict[str, Kind], seed: int, file: Path) -> None:
    """Draw six photographs of each kind with the boxes that were found."""
    side = 160
    sheet = Image.new("RGB", (6 * side, len(kinds) * side), "gray")
    for row, photos in enumerate(made(kinds, 6, seed).values()):
        for column, (photo, _) in enumerate(photos):
            image = Image.fromarray(photo).convert("RGB")
            draw = ImageDraw.Draw(image)
            found = find_inks(photo)
            for ink in found.things:
                top, bottom, left, right = ink.box
                draw.rectangle((left, top, right, bottom), outline="orange", width=3)
            image.thumbnail((side - 4, side - 4))
            sheet.paste(image, (column * side, row * side))
    sheet.save(file)


def main() -> None:
    """Print the tables, or draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", help="nano-digits; with --ask sight-vqa")
    parser.add_argument("--pictures", type=int, default=30, help="per kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ask", action="store_true", help="ask about several digits instead")
    parser.add_argument("--sheet", type=Path, help="draw some, with boxes, to this PNG instead")
    options = parser.parse_args()
    if options.sheet:
        draw_sheet(SEVERAL | SINGLE | LATER, options.seed, options.sheet)
        return
    model = Model(options.model or ("sight-vqa" if options.ask else "nano-digits"))
    if options.ask:
        ask_about(model, options.pictures, options.seed)
        return
    for title, kinds in (("worked out on", SEVERAL | SINGLE), ("held out", LATER)):
        print(f"\nKinds {title}: of {options.pictures}\n")
        print(f"| kind | right number of things | all read by {model.name} |\n|---|---|---|")
        for kind, photos in made(kinds, options.pictures, options.seed).items():
            pixels, labels = zip(*photos, strict=True)
            number, read = judge(model, list(pixels), list(labels))
            print(f"| {kind} | {number} | {read} |", flush=True)
    print(f"\nPhotographs of one digit: wrongly split, of {options.pictures}\n")
    print("| kind | split |\n|---|---|")
    sets = (pictures(kinds, options.pictures, options.seed) for kinds in (KINDS, HELD_OUT))
    for kind, (digits, _) in chain.from_iterable(one.items() for one in sets):
        found = [find_inks(photo) for photo in digits]
        print(f"| {kind} | {sum(one.many or len(one.things) > 1 for one in found)} |", flush=True)


if __name__ == "__main__":
    main()
