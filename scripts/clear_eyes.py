r"""Make the pictures on which shipped models learn other people's digits, and what is no digit.

    pip install '.[train]' scikit-image
    npm pack @fontsource/lato ...           # woff2 files of many families, into FONTS
    glyphsight dataset build --source idx:DIR --out KEPT --split train --validation 2000
    python scripts/clear_eyes.py --mnist DIR --hold-out KEPT --fashion DIR --fonts FONTS \
        --sketches quickdraw.npz --photos PHOTOS --out PICTURES

PICTURES/train and PICTURES/val hold a folder per digit and one named ``unknown``. Digits: MNIST's
training digits without those that KEPT holds out, as the earlier stages do, the same turned,
sheared, thinned and thickened, or coarse as scans of 8 to 17 pixels are, photographed
(``benchmarks/photographs.py``, the first set of kinds alone), digits of fonts and of seven
segments. Unknown: letters and signs that look like no digit, words, scribbles, textures, blobs,
empty and written pages, sketches, clothes. With ``--known clothes`` the ten folders hold the
training clothes, and digits are unknown too. Ten families of fonts, every fifth kind of sketch and
every fifth photograph go to ``val`` alone. PHOTOS holds photographs of things, none like a digit;
left out, that kind is; so are icons without ``--icons``, the directory of the npm package
``@iconify/json`` (and pip's resvg-py, pyfiglet and art). Ours are of the Debian packages
gcompris-qt-data (inside its rcc files),
tuxpaint-stamps-default, mate-backgrounds, gnome-backgrounds, plasma-workspace-wallpapers,
lomiri-wallpapers-16.04, lomiri-wallpapers-20.04 and ukui-wallpapers, made gray and 900 pixels at
most. A seed decides everything.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from glyphsight.codec.ink import find_ink
from glyphsight.media import load_gray
from glyphsight.models.runs import UNKNOWN
from glyphsight.sources import load_split, open_source

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import photographs

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Random = np.random.Generator
HELD_OUT = (
    "abel,archivo-black,caveat,cutive-mono,gloria-hallelujah,lato,nunito,playfair-display,roboto,"
    "spectral"
)
"""Families of which nothing is in the training pictures."""
LETTERS = "ACEFHKLMNPRTVWXYacdefhkmnprtuvwxy&@#?%$"
"""Signs that nobody takes for a digit: without B G I J O Q S U Z and b g i j l o q s z."""
_LIKE_DIGITS = (
    "animal migration,apple,arm,axe,bandage,baseball,baseball bat,basketball,blackberry,"
    "blueberry,boomerang,bracelet,bread,broom,candle,cannon,circle,clock,cookie,crayon,"
    "diamond,donut,ear,elbow,eyeglasses,face,fork,golf club,hammer,hand,hexagon,hockey stick,"
    "hurricane,key,knee,knife,leg,light bulb,line,lollipop,marker,matches,moon,mouth,nail,"
    "necklace,nose,octagon,onion,paintbrush,paper clip,peanut,pear,pencil,pond,pool,potato,"
    "rake,river,screwdriver,shovel,snake,snowman,sock,spoon,square,squiggle,stairs,steak,"
    "stethoscope,streetlight,string bean,sun,sword,syringe,telephone,toe,toothbrush,tornado,"
    "triangle,wheel,zigzag"
)
LIKE_DIGITS = frozenset(_LIKE_DIGITS.split(","))
"""Sketches that may be taken for a digit, such as a snowman for an 8: left out."""
LIKE_CLOTHES = {"jacket", "pants", "purse", "shoe", "shorts", "sweater", "t-shirt", "underwear"}
_ICONS = (
    "airplane,anchor,asterisk,at,bar chart,barcode,bed,bell,book,book open,briefcase,brush,bug,"
    "building,bus,cake,calculator,calendar,camera,car,clipboard,cloud,cloud download,cloud upload,"
    "code,coffee,comment,copy,credit card,crown,cube,download,envelope,eraser,expand,export,eye,"
    "fast forward,film,filter,fire,folder,folder open,gift,glasses,grid,headphones,heart,hospital,"
    "house,image,inbox,keyboard,laptop,layers,leaf,list,lock,map,menu,monitor,move,music,package,"
    "palette,printer,qr code,radio,receipt,rocket,scissors,send,server,settings,share,shopping bag,"
    "shopping cart,shuffle,snowflake,star,store,table,terminal,thumbs down,thumbs up,ticket,train,"
    "trash,trophy,truck,umbrella,upload,users,video,warning,wifi,wrench"
)
ICONS = _ICONS.split(",")
"""Icons that nobody takes for a digit: no ``search`` (a 9), ``hourglass`` (8), ``pause`` (11)."""
SEGMENTS = ["abcdef", "bc", "abged", "abcdg", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
OTHER_SEGMENTS = {6: "fgedc", 7: "fabc", 9: "abcfg"}


@dataclass(frozen=True)
class Material:
    """What one part, ``train`` or ``val``, is made from.

    Attributes:
        digits: uint8[N, 28, 28].
        labels: Their N digits.
        clothes: uint8[N, 28, 28].
        garments: Their N labels.
        fonts: Font files.
        sketches: uint8[N, 28, 28].
        photos: Picture files.
        icons: SVG texts, ink bright on black.
    """

    digits: Pixels
    labels: list[str]
    clothes: Pixels
    garments: list[str]
    fonts: list[Path]
    sketches: Pixels
    photos: list[Path]
    icons: list[str]


def affine(digit: Pixels, random: Random, turn: float, change: float) -> Pixels:
    """Turn by up to ``turn`` degrees, shear and scale by up to ``change``."""
    angle, shear = np.deg2rad(random.uniform(-turn, turn)), random.uniform(-change, change)
    scale = np.diag(1 + random.uniform(-change, change, 2))
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turned @ np.array([[1, shear], [0, 1]]) @ scale
    centre = np.array(digit.shape) / 2 - 0.5
    moved = ndimage.affine_transform(digit * 1.0, matrix, centre - matrix @ centre, order=1)
    return np.clip(moved, 0, 255).astype(np.uint8)


def rewritten(digit: Pixels, random: Random) -> Pixels:
    """Thicken or thin the strokes by up to a pixel."""
    large = ndimage.zoom(digit * 1.0, 3, order=1)
    size = int(random.integers(1, 4))
    wide = random.random() < 0.6
    large = (
        ndimage.grey_dilation(large, size=(2 * size - 1,) * 2)
        if wide
        else ndimage.grey_erosion(large, size=(size, size))
    )
    small = ndimage.gaussian_filter(large, 1.2)[1::3, 1::3]
    if small.max() <= 60:  # nothing is left of it
        return digit
    return np.clip(small * 255 / small.max(), 0, 255).astype(np.uint8)


def coarse(digit: Pixels, random: Random, least: int = 14, most: int = 17) -> Pixels:
    """Cut a digit to its ink and scale it to few pixels, often in two levels from 14 pixels on."""
    ink = digit > 40
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    cut = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if random.random() < 0.6:  # no narrower than wide digits are
        missing = max(0, len(cut) * 6 // 10 - cut.shape[1])
        cut = np.pad(cut, ((0, 0), ((missing + 1) // 2,) * 2))
    size = int(random.integers(least, most + 1))
    width = size if random.random() < 0.6 else max(6, round(size * cut.shape[1] / len(cut)))
    small = np.asarray(Image.fromarray(cut).resize((width, size), Image.Resampling.BOX))
    if size >= 14 and random.random() < 0.6:
        small = np.where(small > random.integers(60, 130), 255, 0).astype(np.uint8)
    return np.pad(small, int(random.integers(0, 2)))


def text(written: str, fonts: list[Path], random: Random) -> Pixels | None:
    """Draw text, dark on light; None where the font has no such glyph."""
    file = fonts[random.integers(len(fonts))]
    font = ImageFont.truetype(file, int(random.integers(40, 140)))
    left, top, right, bottom = font.getbbox(written)
    width, height = int(right - left), int(bottom - top)
    if min(width, height) < 3:
        return None
    margin = int(max(width, height) * random.uniform(0.1, 0.5))
    image = Image.new("L", (width + 2 * margin, height + 2 * margin), 255)
    corner = margin - left, margin - top
    ImageDraw.Draw(image).text(corner, written, font=font, fill=int(random.integers(0, 60)))
    pixels = np.asarray(image)
    return pixels if (pixels < 100).sum() > 12 else None


def smaller(pixels: Pixels, random: Random) -> Pixels:
    """Scale half of the pictures below the size from which ink is sought."""
    if random.random() < 0.5:
        return pixels
    scale = random.integers(24, 46) / max(pixels.shape)
    size = max(8, round(pixels.shape[1] * scale)), max(8, round(pixels.shape[0] * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


PLACES = {  # of segments: column, row, upright, and the side on which the outside lies
    "a": (0, 0, False, -1),
    "g": (0, 1, False, 0),
    "d": (0, 2, False, 1),
    "f": (0, 0, True, -1),
    "e": (0, 1, True, -1),
    "b": (1, 0, True, 1),
    "c": (1, 1, True, 1),
}


def bar(name: str, length: float, half: float, gap: float, cut: float, *, mitred: bool) -> Floats:
    """Return six corners of a segment, along and across it: pointed, or cut to its corner."""
    _, row, upright, outer = PLACES[name]
    corners = []
    for far in (False, True):
        inside = upright and far == (row == 0)  # this end lies in the middle of the digit
        for side in (-1, 0, 1):
            to = abs(side) * cut
            if mitred and side == outer != 0:
                to = 0 if inside else -cut
            corners.append((length - gap - to if far else gap + to, side * half))
    return np.array(corners)[[0, 1, 2, 5, 4, 3]]


def seven_segments(digit: int, random: Random) -> Pixels:
    """Draw a digit of a seven-segment display, dark on light, its design drawn by chance."""
    lit = SEGMENTS[digit]
    if random.random() < 0.2:
        lit = OTHER_SEGMENTS.get(digit, lit)
    wide, high, thick = random.uniform(60, 130), random.uniform(80, 105), random.uniform(8, 34)
    uprights = thick * random.uniform(0.75, 1.25)
    gap = random.uniform(0, 9) if random.random() < 0.8 else 0
    cut = random.choice([0, 0.5, 1]) if random.random() < 0.6 else random.uniform(0, 1.1)
    mitred, rounded = random.random() < 0.5, random.random() < 0.2
    unlit = int(random.integers(215, 245)) if random.random() < 0.15 else 255
    image = Image.new("L", (int(wide) + 100, int(2 * high) + 100), 255)
    draw = ImageDraw.Draw(image)
    for name in sorted(PLACES, key=lit.__contains__):  # lit ones over unlit ones
        column, row, upright, _ = PLACES[name]
        length, half = (high, uprights / 2) if upright else (wide, thick / 2)
        start, fill = (50 + column * wide, 50 + row * high), 0 if name in lit else unlit
        turned = -1 if upright else 1
        if rounded:
            corner = np.array([gap + half * 0.3, -half])[::turned] + start
            size = np.array([length - 2 * gap - half * 0.6, 2 * half])[::turned]
            draw.rounded_rectangle((*corner, *(corner + size)), half, fill=fill)
            continue
        points = bar(name, length, half, gap, cut * half, mitred=mitred)
        draw.polygon([tuple(p) for p in points[:, ::turned] + start], fill=fill)
    lean = random.uniform(-0.05, 0.25) if random.random() < 0.6 else 0
    leaning = (1, lean, -lean * image.height / 2, 0, 1, 0)
    image = image.transform(
        image.size, Image.Transform.AFFINE, leaning, Image.Resampling.BILINEAR, fillcolor=255
    )
    return np.asarray(image.resize((image.width // 2, image.height // 2)))


def scribble(random: Random) -> Pixels:
    """Draw two to four lines, curves, boxes, polygons, crosses or stars."""
    size = int(random.integers(60, 200))
    image = Image.new("L", (size, size), 255)
    draw, width = ImageDraw.Draw(image), max(2, int(size * random.uniform(0.03, 0.13)))
    for _ in range(random.integers(2, 5)):  # a single line is a 1, a single box a 0
        points = random.uniform(0.1, 0.9, (4, 2)) * size
        kind = random.integers(0, 6)
        if kind == 0:
            corners = points[: random.integers(2, 5)]
            draw.line([tuple(p) for p in corners], fill=20, width=width, joint="curve")
        elif kind == 1:  # a cubic Bezier curve
            t = np.linspace(0, 1, 40)[:, None]
            weights = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3
            curve = sum(w * p for w, p in zip(weights, points, strict=True))
            draw.line([tuple(p) for p in np.asarray(curve)], fill=20, width=width)
        elif kind == 2:
            draw.rectangle([tuple(p) for p in np.sort(points[:2], 0)], outline=20, width=width)
        elif kind == 3:
            draw.polygon([tuple(p) for p in points], fill=20)
        elif kind == 4:
            (x, y), r = points[0], random.uniform(0.1, 0.3) * size
            draw.line((x - r, y - r, x + r, y + r), fill=20, width=width)
            draw.line((x + r, y - r, x - r, y + r), fill=20, width=width)
        else:
            (x, y), r, tips = points[0], random.uniform(0.15, 0.4) * size, random.integers(3, 8)
            angles = np.linspace(0, 2 * np.pi, 2 * tips, endpoint=False)
            far = np.where(np.arange(2 * tips) % 2, r, 0.4 * r)
            star = zip(x + far * np.cos(angles), y + far * np.sin(angles), strict=True)
            draw.polygon(list(star), fill=20)
    return np.asarray(image)


def texture(random: Random) -> Pixels:
    """Make noise of one scale, of several, with waves, or even gray with a little noise."""
    size, kind = int(random.integers(24, 200)), random.integers(0, 5)
    if kind == 0:
        gray = random.uniform(0, 255) + random.normal(size=(size, size)) * random.uniform(0, 12)
        return np.clip(gray, 0, 255).astype(np.uint8)
    wide = (1, 2, 4, 8, 16) if kind == 1 else (random.choice([0, 1, 3, 8, 20]),)
    noise = sum(
        ndimage.gaussian_filter(random.normal(size=(size, size)), w) * (w + 1) for w in wide
    )
    gray = np.asarray(noise)
    if kind == 2:
        gray = gray + np.sin(np.arange(size) * random.uniform(0.05, 1)) * gray.std()
    return ((gray - gray.min()) / np.ptp(gray) * 255).astype(np.uint8)


def blob(random: Random) -> Pixels:
    """Threshold smooth noise, softly or not, as things in a photograph are set off."""
    size = int(random.integers(28, 160))
    shape = (size, int(size * random.uniform(0.5, 2)))
    noise = ndimage.gaussian_filter(random.normal(size=shape), size * random.uniform(0.05, 0.2, 2))
    noise = (noise - noise.mean()) / noise.std() - random.uniform(0, 1.5)
    gray = 255 / (1 + np.exp(-noise * random.uniform(1, 30)))
    grainy = gray + random.normal(size=shape) * random.uniform(0, 8)
    return np.clip(grainy if random.random() < 0.5 else 255 - grainy, 0, 255).astype(np.uint8)


def page(fonts: list[Path], random: Random) -> Pixels:
    """Write lines of words of random letters."""
    font = ImageFont.truetype(fonts[random.integers(len(fonts))], int(random.integers(10, 26)))
    image = Image.new("L", (260, int(random.integers(60, 300))), 255)
    draw, letters = ImageDraw.Draw(image), list("acdefhkmnprtuvwxy")
    for top in np.arange(8, image.height - 20, font.size * 1.3):
        words = ("".join(random.choice(letters, random.integers(2, 9))) for _ in range(9))
        draw.text((8, top), " ".join(words), font=font, fill=30)
    return np.asarray(image)


def window(whole: Pixels, random: Random) -> Pixels:
    """Take a picture, or cut a part of a seventh of its shorter side at least; shrink."""
    if random.random() < 0.7:
        size = (min(whole.shape) * random.uniform(0.15, 1, 2)).astype(int) + 1
        if random.random() < 0.6:
            size[1] = size[0]
        top, left = (
            int(random.integers(0, b - a + 1)) for a, b in zip(size, whole.shape, strict=True)
        )
        whole = whole[top : top + size[0], left : left + size[1]]
    image = Image.fromarray(whole)
    longest = int(random.integers(26, 48) if random.random() < 0.3 else random.integers(60, 400))
    image.thumbnail((longest, longest))
    return np.asarray(image)


def page_cut(fonts: list[Path], random: Random) -> Pixels:
    """Cut a window from a page of letters in uneven light."""
    image = Image.fromarray(page(fonts, random))
    large = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)
    written = photographs.shade(np.asarray(large) * 0.9, random, random.uniform(0, 0.5))
    return window(photographs.photograph(written, random, tilted=False), random)


def is_where(drawn: Floats, photograph: Pixels) -> bool:
    """Say whether the ink found in a photograph is what was drawn, give or take a perspective."""
    ink = find_ink(photograph)
    if ink is None:
        return False
    for axis, (first, last) in enumerate((ink.box[:2], ink.box[2:])):
        lines = np.flatnonzero((drawn > 0.5).any(1 - axis))
        near = 0.12 * drawn.shape[axis]
        if abs(first - lines[0]) > near or abs(last - lines[-1]) > near:
            return False
    return True


def shadows(scene: photographs.Scene) -> Pixels | None:
    """Write on paper in the shadows of things with straight edges, of blinds, of a head.

    None where a shadow, and not the digit, is taken for ink.
    """
    random, shape = scene.random, (scene.height, scene.width)
    light = Image.new("L", shape[::-1], 255)
    draw, kind = ImageDraw.Draw(light), random.integers(0, 3)
    dark = int(255 * random.uniform(0.45, 0.85))
    if kind == 0:  # one or two polygons, much wider than strokes
        for _ in range(random.integers(1, 3)):
            middle, wide = (
                random.uniform(0, 1, 2) * shape[::-1],
                min(shape) * random.uniform(0.3, 1),
            )
            corners = middle + random.uniform(-1, 1, (int(random.integers(3, 6)), 2)) * wide
            draw.polygon([tuple(p) for p in corners], fill=dark)
    elif kind == 1:  # blinds: even stripes from edge to edge
        angle, step = random.uniform(0, np.pi), min(shape) * random.uniform(0.1, 0.35)
        y, x = np.mgrid[: shape[0], : shape[1]]
        across = (x * np.cos(angle) + y * np.sin(angle)) % step < step * random.uniform(0.3, 0.7)
        light = Image.fromarray(np.where(across, dark, 255).astype(np.uint8))
    else:  # a head at the edge, or all but a lamp's disc
        middle, wide = (
            random.uniform(-0.2, 1.2, 2) * shape[::-1],
            max(shape) * random.uniform(0.3, 0.7),
        )
        box = (*(middle - wide), *(middle + wide))
        if random.random() < 0.5:
            draw.rectangle((0, 0, *shape[::-1]), fill=dark)
            draw.ellipse(box, fill=255)
        else:
            draw.ellipse(box, fill=dark)
    soft = ndimage.gaussian_filter(np.asarray(light) / 255, random.uniform(1, 12))
    ground = scene.paper(random.uniform(150, 240), random.uniform(0, 4))
    mask = scene.mask(0.05, 0.13)
    taken = photographs.photograph(
        scene.on(ground, mask) * soft, random, noise=random.uniform(0, 8)
    )
    return taken if scene.blank or is_where(mask, taken) else None


Made = tuple[Pixels | None, str]
Maker = Callable[[Material, Random], Made]


def _digit(
    material: Material, random: Random, change: Callable[[Pixels, Random], Pixels | None]
) -> Made:
    row = random.integers(len(material.digits))
    return change(material.digits[row], random), material.labels[row]


def _photograph(
    digit: Pixels, random: Random, *, blank: bool = False, shadowed: bool = False
) -> Pixels | None:
    if shadowed:
        return shadows(photographs.Scene(digit, random, blank=blank))
    kinds = [
        kind
        for name, kind in photographs.KINDS.items()
        if name != "touching the edges" or not blank
    ]
    return kinds[random.integers(len(kinds))](photographs.Scene(digit, random, blank=blank))


def _rewritten(digit: Pixels, random: Random) -> Pixels:
    return affine(rewritten(digit, random), random, 10, 0.15)


def _coarse(digit: Pixels, random: Random) -> Pixels:
    return coarse(affine(digit, random, 8, 0.1), random)


def _very_coarse(digit: Pixels, random: Random) -> Pixels:
    return coarse(affine(digit, random, 8, 0.1), random, 8, 13)


def _printed(material: Material, random: Random) -> Made:
    digit = str(random.integers(10))
    drawn = text(digit, material.fonts, random)
    if drawn is None:
        return None, digit
    small = random.random() < 0.2
    return coarse(255 - drawn, random) if small else smaller(drawn, random), digit


def _segments(material: Material, random: Random) -> Made:
    digit = int(random.integers(10))
    return smaller(seven_segments(digit, random), random), str(digit)


def _text(material: Material, random: Random, least: int, most: int) -> Made:
    signs = random.choice(list(LETTERS), random.integers(least, most + 1))
    drawn = text("".join(signs), material.fonts, random)
    return None if drawn is None else smaller(drawn, random), UNKNOWN


def _one_of(pictures: str, material: Material, random: Random) -> Made:
    some: Pixels = getattr(material, pictures)
    return some[random.integers(len(some))], UNKNOWN


def _thing(material: Material, random: Random) -> Made:
    file = material.photos[random.integers(len(material.photos))]
    return window(load_gray(file)[:, :: random.choice([-1, 1])], random), UNKNOWN


def _turned_sketch(material: Material, random: Random) -> Made:
    sketch, _ = _one_of("sketches", material, random)
    assert sketch is not None
    sketch = rewritten(sketch, random) if random.random() < 0.5 else sketch
    return affine(sketch[:, :: random.choice([-1, 1])], random, 25, 0.2), UNKNOWN


def _icon(material: Material, random: Random) -> Made:
    from eyes import kinds

    drawn = kinds.render(material.icons[random.integers(len(material.icons))])
    icon = affine(drawn[:, :: random.choice([-1, 1])], random, 12, 0.15)
    if icon.max() < 200:  # lines so thin that nothing of it could be seen
        return None, UNKNOWN
    if random.random() < 0.2:
        return _photograph(icon, random), UNKNOWN
    size = int(random.integers(28, 160))
    large = np.asarray(Image.fromarray(icon).resize((size, size)))
    return smaller(large if random.random() < 0.3 else 255 - large, random), UNKNOWN


_STRANGE: dict[str, tuple[Maker, int, int]] = {  # with the numbers for training and validation
    "letter": (partial(_text, least=1, most=1), 26000, 300),
    "word": (partial(_text, least=2, most=5), 2500, 50),
    "scribble": (lambda m, r: (smaller(scribble(r), r), UNKNOWN), 5000, 100),
    "texture": (lambda m, r: (texture(r), UNKNOWN), 3000, 60),
    "page": (lambda m, r: (page(m.fonts, r), UNKNOWN), 1200, 30),
    "empty page": (lambda m, r: (_photograph(m.digits[0], r, blank=True), UNKNOWN), 4000, 20),
    "blob": (lambda m, r: (blob(r), UNKNOWN), 5000, 50),
    "sketch": (partial(_one_of, "sketches"), 12000, 300),
    "sketch, turned": (_turned_sketch, 12000, 0),
    "thing": (_thing, 20000, 400),
    "icon": (_icon, 16000, 300),
    "page, cut": (lambda m, r: (page_cut(m.fonts, r), UNKNOWN), 4000, 100),
    "empty page, shadowed": (
        lambda m, r: (_photograph(m.digits[0], r, blank=True, shadowed=True), UNKNOWN),
        4000,
        100,
    ),
}
MAKERS: dict[str, dict[str, tuple[Maker, int, int]]] = {
    "digits": {
        "turned": (partial(_digit, change=partial(affine, turn=15, change=0.15)), 20000, 0),
        "rewritten": (partial(_digit, change=_rewritten), 15000, 0),
        "coarse": (partial(_digit, change=_coarse), 20000, 300),
        "very coarse": (partial(_digit, change=_very_coarse), 10000, 100),
        "photographed": (partial(_digit, change=_photograph), 8000, 150),
        "printed": (_printed, 20000, 300),
        "segments": (_segments, 7000, 150),
        **_STRANGE,
        "clothes": (partial(_one_of, "clothes"), 8000, 200),
        "shadowed": (partial(_digit, change=partial(_photograph, shadowed=True)), 6000, 150),
    },
    "clothes": {**_STRANGE, "digit": (partial(_one_of, "digits"), 8000, 200)},
}


def held_out(fonts: list[Path]) -> list[Path]:
    """Return the files of the families that are held out."""
    return [font for font in fonts if font.name.split("-latin-")[0] in HELD_OUT.split(",")]


def split_rows(hold_out: Path | None, count: int) -> tuple[list[int], list[int]]:
    """List the digits that a dataset learns, and those that it holds out or finds alike."""
    if hold_out is None:
        return list(range(count)), list(range(count))
    file = hold_out / "train.sources.txt"
    found = [
        re.search(r":(\d+)(?: copy \d+)?$", line) for line in file.read_text("utf-8").splitlines()
    ]
    learned = {int(one[1]) for one in found if one}
    if not found or None in found or len(learned) < 0.9 * count:
        raise SystemExit(f"{hold_out}: is no dataset of most of these digits; see the first lines")
    return sorted(learned), sorted(set(range(count)) - learned)


def _icons(package: Path) -> dict[str, list[str]]:
    """Read icons by the designers of ``open_eyes.py`` for training, and for validation."""
    from eyes import kinds

    found = kinds.icon_names(kinds.icon_sets(package))
    return {
        part: [svg for name in ICONS for _, svg in found[source][name]]
        for part, source in (("train", "train"), ("val", "validation"))
    }


def load(
    options: argparse.Namespace,
    known: str = "digits",
    photos: Path | None = None,
    icons: Path | None = None,
) -> dict[str, Material]:
    """Load what training and validation are made from; they share no picture, font or sketch."""
    digits = load_split(open_source(f"idx:{options.mnist}"), "train")
    train, kept = split_rows(options.hold_out, len(digits.labels))
    clothes = load_split(open_source(f"idx:{options.fashion}"), "train")
    fonts = sorted(options.fonts.glob("*.woff2"))
    kept_fonts = held_out(fonts)
    with np.load(options.sketches) as file:
        pixels, labels, names = file["pixels"], file["labels"], file["names"]
    held = np.arange(len(names)) % 5 == 0
    things = sorted(photos.iterdir()) if photos else []
    drawn = _icons(icons) if icons else {"train": [], "val": []}
    like = LIKE_DIGITS if known == "digits" else LIKE_CLOTHES
    fit = np.array([name not in like for name in names])
    return {
        "train": Material(
            digits.pixels[train],
            [digits.labels[row] for row in train],
            clothes.pixels[:-2000],
            list(clothes.labels[:-2000]),
            [font for font in fonts if font not in kept_fonts],
            pixels[(fit & ~held)[labels]],
            [file for row, file in enumerate(things) if row % 5],
            drawn["train"],
        ),
        "val": Material(
            digits.pixels[kept],
            [digits.labels[row] for row in kept],
            clothes.pixels[-2000:],
            list(clothes.labels[-2000:]),
            kept_fonts,
            pixels[(fit & held)[labels]],
            things[::5],
            drawn["val"],
        ),
    }


def write(
    part: str, name: str, options: argparse.Namespace, count: int, number: int, chunk: int
) -> None:
    """Write ``count`` pictures of one kind."""
    material = MATERIAL[part]
    random = np.random.default_rng([options.seed, part == "val", number, chunk])
    for picture in range(count):
        pixels, label = MAKERS[options.known][name][0](material, random)
        if pixels is not None:
            file = options.out / part / label / f"{name}-{chunk:03d}-{picture:04d}.png"
            Image.fromarray(pixels).save(file, compress_level=1)


MATERIAL: dict[str, Material] = {}


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--hold-out", type=Path, required=True, help="dataset of these digits")
    parser.add_argument("--fashion", type=Path, required=True)
    parser.add_argument("--fonts", type=Path, required=True)
    parser.add_argument("--sketches", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="folder of photographs of things")
    parser.add_argument("--icons", type=Path, help="directory of @iconify/json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--known", choices=list(MAKERS), default="digits")
    parser.add_argument("--only", nargs="+", help="kinds of pictures; all by default")
    parser.add_argument("--share", type=float, default=1.0, help="of the numbers of each kind")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    MATERIAL.update(
        load(options, options.known, options.photos, options.icons)
    )  # workers are forked, and share it
    for part, label in itertools.product(MATERIAL, [*map(str, range(10)), UNKNOWN]):
        (options.out / part / label).mkdir(parents=True, exist_ok=True)
    for part, material in MATERIAL.items():
        if options.only:
            break
        known = (
            (material.digits, material.labels)
            if options.known == "digits"
            else (material.clothes, material.garments)
        )
        for row, (pixels, label) in enumerate(zip(*known, strict=True)):
            Image.fromarray(pixels).save(options.out / part / label / f"plain-{row:05d}.png")
    with ProcessPoolExecutor(options.workers) as pool:
        waiting = []
        for number, (name, (_, *counts)) in enumerate(MAKERS[options.known].items()):
            if name not in (options.only or [name]) or (
                (name == "thing" and not options.photos) or (name == "icon" and not options.icons)
            ):
                continue
            for part, full in zip(MATERIAL, counts, strict=True):
                left = round(full * options.share)
                for chunk in range(0, left, 1000):
                    size = min(1000, left - chunk)
                    waiting.append(
                        pool.submit(write, part, name, options, size, number, chunk // 1000)
                    )
        for one in waiting:
            one.result()


if __name__ == "__main__":
    main()
