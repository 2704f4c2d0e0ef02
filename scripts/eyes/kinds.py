"""Many kinds of simple pictures, drawn or read, each with its answer: for ``open_eyes.py``.

A kind is a function from a part (``train``, ``validation`` or ``test``) and a random generator to
one picture and its answer. Fonts, designers of icons, fonts of text art and sketches are split
before anything is drawn, so that nobody who drew for one part drew for another.
"""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import art
import icons
import numpy as np
import pyfiglet
import resvg_py
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from glyphsight.dataset.questions import LARGE
from glyphsight.models.runs import UNKNOWN

Pixels = NDArray[np.uint8]
Random = np.random.Generator
SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
NO_BARS = "ABCDEFGHKLMNOPQRSTUVWXYZ023456789"
"""Signs that leave something of themselves where a line is cut."""
_CLOTHES = "t-shirt,trousers,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot"
CLOTHES = _CLOTHES.split(",")
_THINGS = (
    "airplane,apple,axe,banana,bicycle,bird,book,butterfly,cactus,candle,car,cat,chair,church,"
    "cloud,clock,crab,crown,cup,diamond,dog,door,duck,ear,elephant,envelope,eyeglasses,fish,flower,"
    "fork,giraffe,guitar,hammer,hand,house,ice cream,key,ladder,leaf,light bulb,moon,mushroom,"
    "octopus,rabbit,sailboat,scissors,snail,snowman,sun,umbrella"
)
THINGS = _THINGS.split(",")
"""Fifty things of QuickDraw."""
SKETCHES = {"train": (0, 75), "validation": (75, 80), "test": (80, 100)}
"""Sketches of each thing, by number, that each part has."""
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
_BRANDS = (
    "twitter facebook github instagram youtube linkedin google apple android dribbble pinterest "
    "telegram paypal bitcoin figma reddit whatsapp discord gitlab behance slack windows twitch "
    "spotify tiktok npm dropbox skype codepen snapchat chrome wordpress medium tumblr vimeo amazon "
    "rss bluetooth usb command cursor text x"
)
BRANDS = set(_BRANDS.split())
"""Names that are no things, or that say little about the drawing."""
SAME = {
    "home": "house",
    "person": "user",
    "mic": "microphone",
    "mail": "envelope",
    "bulb": "light bulb",
    "lightbulb": "light bulb",
    "cart": "shopping cart",
    "flame": "fire",
    "plane": "airplane",
    "x": "close",
    "add": "plus",
    "cut": "scissors",
    "print": "printer",
    "pen": "pencil",
    "edit": "pencil",
    "cog": "settings",
    "gear": "settings",
    "alarm": "alarm clock",
    "music note": "music",
    "chat": "comment",
    "message": "comment",
    "picture": "image",
    "lock open": "unlock",
    "document": "file",
    "delete": "trash",
    "alert": "warning",
    "help": "question",
    "reload": "refresh",
    "sync": "refresh",
    "group": "users",
    "chart bar": "bar chart",
    "chart pie": "pie chart",
    "attachment": "paperclip",
    "earth": "globe",
    "mute": "volume off",
    "volume mute": "volume off",
    "map pin": "pin",
    "location": "pin",
    "shop": "store",
    "tv": "monitor",
    "desktop": "monitor",
}
"""Names of icons to the name that means the same."""
VALIDATION_SETS = ("jam", "iconamoon", "gg", "bytesize", "basil", "mynaui", "charm")
NAMES = 200
ART_WAYS = {
    "filled": 0.18,
    "toned": 0.12,
    "outlined": 0.2,
    "shadowed": 0.08,
    "cut": 0.04,
    "framed": 0.04,
    "drawn": 0.34,
}
"""Ways to type a sign as text art, with their shares."""
FILLS = "#@%&*8XO$MWH+=o:.|/\\<>~^\"'"
PENS = (
    "|/\\_-",
    "|_",
    "|/\\_-'.,`()",
    "/_\\|<>",
    "-|+.:'",
    "_/|\\=~",
    "!\"'()*+,-./:;<=>[]^_`{|}~",
)
"""Characters that lines are drawn with."""
FRAMES = ("_||_", "-||-", "_()_", "-()-", "_/\\_", "~{}~", "=[]=", ".::.", "*<>*")
"""Top, left, right and bottom of a frame."""
REACH = 6.0
"""Degrees that a picture is turned by at most."""


@dataclass(frozen=True)
class Drawn:
    """A picture or a text, its answer, and who drew it.

    Attributes:
        pixels: uint8[H, W], or text art as it is typed.
        answer: What it shows.
        by: Font, designer or number.
    """

    pixels: Pixels | str
    answer: str
    by: str


def part_of(name: str, test: int, validation: int) -> str:
    """Deal a name to a part: ``test`` and ``validation`` of a hundred go to these."""
    number = int(sha256(name.encode()).hexdigest(), 16) % 100
    return "test" if number < test else "validation" if number < test + validation else "train"


@lru_cache(maxsize=4000)
def _font(file: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


def write(written: str, file: Path, random: Random, *, light: bool) -> Pixels | None:
    """Draw text, bright on black or, with ``light``, dark on a page; None without ink."""
    font = _font(file, 64 if light else 36)
    stroke = 0 if light else int(random.integers(0, 3))
    left, top, right, bottom = font.getbbox(written, stroke_width=stroke)
    if min(right - left, bottom - top) < 3:
        return None
    pad = int(random.integers(2, 16))
    image = Image.new("L", (int(right - left) + 2 * pad, int(bottom - top) + 2 * pad), 255 * light)
    ImageDraw.Draw(image).text(
        (pad - left, pad - top), written, 255 * (not light), font, stroke_width=stroke
    )
    return np.asarray(image)


def joined(write_line: Callable[[str], Pixels | None], random: Random) -> Drawn | None:
    """Draw what is no sign: two or three signs, or one and a piece of another."""
    signs = "".join(random.choice(list(NO_BARS), int(random.integers(2, 4))))
    pixels = write_line(signs)
    if pixels is None or "VV" in signs:  # as good as a W
        return None
    if random.random() < 0.5:
        width = int(pixels.shape[1] * random.uniform(1 - 0.6 / len(signs), 1))
        pixels = pixels[:, :width] if random.random() < 0.5 else pixels[:, -width:]
    return Drawn(pixels, UNKNOWN, "joined") if pixels.size else None


def bold(pixels: Pixels) -> Pixels:
    """Widen the pen of a sketch by two of its pixels."""
    return np.asarray(Image.fromarray(np.pad(pixels, 2)).filter(ImageFilter.MaxFilter(3)))


def penned(pixels: Pixels, *, wider: bool) -> Pixels:
    """Draw with a pen that is two pixels wider or one pixel thinner; what vanishes stays."""
    image = Image.fromarray(pixels)
    if wider:
        return np.asarray(image.filter(ImageFilter.MaxFilter(3)))
    thin = np.minimum(pixels[:-1, :-1], pixels[1:, 1:])
    return thin if thin.max() > 0.7 * pixels.max() else pixels


def turned(pixels: Pixels, random: Random, reach: float = REACH, sides: float = 0.0) -> Pixels:
    """Turn bright ink on black by up to ``reach`` degrees, shear it a little, scale its sides."""
    lean, turn = random.uniform(-0.1, 0.1), np.deg2rad(random.uniform(-reach, reach))
    image = Image.fromarray(np.pad(pixels, 3))
    middle = np.array(image.size) / 2
    matrix = np.array([[np.cos(turn), np.sin(turn) + lean], [-np.sin(turn), np.cos(turn)]])
    if sides:
        matrix = matrix * random.uniform(1 - sides, 1 + sides, 2)
    moved = middle - matrix @ middle
    values = (*matrix[0], moved[0], *matrix[1], moved[1])
    return np.asarray(
        image.transform(image.size, Image.Transform.AFFINE, values, Image.Resampling.BILINEAR)
    )


def letters_of(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Deal families of fonts, whose capital letters and digits all differ, to the parts."""
    found: dict[str, list[Path]] = {"train": [], "validation": [], "test": []}
    for file in sorted(files):
        try:
            masks = {bytes(_font(file, 36).getmask(sign)) for sign in SIGNS}
        except OSError:
            continue
        if len(masks) < len(SIGNS) - 2:  # signs that it lacks look the same
            continue
        found[part_of(file.name.partition("-latin")[0], 12, 4)].append(file)
    return found


def _lines(text: str) -> str:
    """Return text art without empty lines around it and spaces at the ends of lines."""
    lines = [line.rstrip() for line in text.expandtabs(1).splitlines()]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[indent:] for line in lines)


@lru_cache(maxsize=1)
def text_fonts(vitc: Path) -> dict[str, list[Callable[[str], str]]]:
    """Deal fonts of text art, none of which draws any picture of ViTC-S, to the parts."""
    tests = json.loads((vitc / "vitc-s.json").read_text("utf-8"))
    known = {_lines(one["art_text"]) for one in tests}
    makers: dict[str, Callable[[str], str]] = {}
    for name in sorted(pyfiglet.FigletFont.getFonts()):
        makers[f"pyfiglet {name}"] = pyfiglet.Figlet(name, width=2000).renderText
    for name in art.FONT_NAMES:
        makers[f"art {name}"] = lambda text, name=name: art.text2art(text, font=name)  # type: ignore[misc]
    found: dict[str, list[Callable[[str], str]]] = {"train": [], "validation": [], "test": []}
    seen: set[tuple[str, ...]] = set()
    for name, maker in makers.items():
        try:
            drawn = tuple(_lines(maker(sign)) for sign in SIGNS)
        except Exception:  # a font without that sign; each package has errors of its own
            continue
        lines = sorted(one.count("\n") + 1 for one in drawn)[len(drawn) // 2]
        pictures = {one.encode("latin-1", "replace") for one in drawn}  # as picture_of draws them
        if lines < 3 or len(pictures) < 34 or drawn in seen or known.intersection(drawn):
            continue
        seen.add(drawn)
        found[part_of(name, 12, 8)].append(maker)
    print({part: len(own) for part, own in found.items()}, "fonts of text art")
    return found


def typed(maker: Callable[[str], str], text: str, most: int) -> str:
    """Write text art; "" where a sign is missing or the art is longer than ``most`` signs."""
    try:
        drawn = _lines(maker(text))
    except Exception:
        return ""
    return drawn + "\n" if 0 < len(drawn) <= most else ""


def as_art(sign: str, file: Path, random: Random) -> str:
    """Type a sign of a font as text art, in one of the ways in which people do.

    Filled, in two tones, in its outline, with a shadow, cut out of a block, set in a frame, or as
    its stroke or contour drawn with whatever characters look like it.
    A character has 6x11 pixels, so that a sign needs 11/6 columns per row. "" where nothing but a
    blot or a piece of the sign is left.
    """
    way = random.choice(list(ART_WAYS), p=list(ART_WAYS.values()))
    if way == "framed":
        return _framed(sign, random)
    pixels = write(sign, file, random, light=False)
    if pixels is None:
        return ""
    image = Image.fromarray(pixels)
    image = image.crop(image.getbbox())
    rows = int(random.integers(3 if way == "drawn" else 4, 12))
    columns = rows * 11 / 6 * image.width / image.height * random.uniform(0.8, 1.3)
    columns = max(2, round(columns))
    if way == "drawn":
        return _lined(_drawn(image, rows, columns, random))
    small = np.asarray(image.resize((columns, rows), Image.Resampling.BOX))
    ink = small > random.integers(70, 160)
    edges = (ink[0], ink[-1], ink[:, 0], ink[:, -1])
    if (ink.mean() > 0.85 and sign not in "I1") or not all(edge.any() for edge in edges):
        return ""
    cells = np.full(ink.shape, " ")
    fill = sign if random.random() < 0.3 else random.choice(list(FILLS))
    if way in ("filled", "toned"):
        cells[ink] = fill
        if way == "toned":  # a lighter character where the ink is half
            cells[~ink & (small > 35)] = random.choice(list(".-:'\""))
    elif way == "shadowed":
        down, right = random.integers(0, 2), random.integers(1, 3)
        cells = np.full((rows + down, columns + right), " ")
        cells[down:, right:][ink] = random.choice(list(".:/\\-+_"))
        cells[:rows, :columns][ink] = fill
    elif way == "cut":
        cells = np.pad(np.where(ink, random.choice([" ", "."]), fill), 1, constant_values=fill)
    else:
        around = np.pad(ink, 1)
        left, right = ~around[1:-1, :-2], ~around[1:-1, 2:]
        above, below = ~around[:-2, 1:-1], ~around[2:, 1:-1]
        cells[ink & (above | below)] = random.choice(list("_-="))
        cells[ink & (left | right)] = "|"
        cells[ink & ((left & above) | (right & below))] = "/"
        cells[ink & ((right & above) | (left & below))] = "\\"
    return _lined(cells)


def _lined(cells: NDArray[Any]) -> str:
    return "\n".join("".join(line).rstrip() for line in cells) + "\n"


def _framed(sign: str, random: Random) -> str:
    """Type a sign between the sides of a box, a bubble or a key."""
    top, left, right, bottom = FRAMES[random.integers(len(FRAMES))]
    pad = " " * int(random.integers(0, 2))
    wide = len(pad) * 2 + 1
    return f" {top * wide}\n{left}{pad}{sign}{pad}{right}\n {bottom * wide}\n"


def _drawn(image: Image.Image, rows: int, columns: int, random: Random) -> NDArray[Any]:
    """Draw the stroke of a sign, or its contour, with the characters that look most like it."""
    from skimage.morphology import skeletonize

    size = columns * 6, rows * 11
    ink = np.pad(np.asarray(image.resize(size, Image.Resampling.BILINEAR)) > 127, 2)
    if random.random() < 0.5:
        lines = skeletonize(ink)
    else:
        lines = ink & ~np.asarray(Image.fromarray(ink).filter(ImageFilter.MinFilter(3)))
    soft = ImageFilter.GaussianBlur(random.uniform(0.8, 1.6))
    seen = Image.fromarray((lines[2:-2, 2:-2] * 255).astype(np.uint8)).filter(soft)
    cells = np.asarray(seen).reshape(rows, 11, columns, 6).swapaxes(1, 2).reshape(-1, 66)
    pens = [*PENS[random.integers(len(PENS))]]
    drawn = []
    for pen in pens:
        one = Image.new("L", (6, 11))
        ImageDraw.Draw(one).text((0, 0), pen, 255, _typewriter())
        drawn.append(np.asarray(one.filter(soft)).ravel())
    known = np.stack([np.zeros(66), *drawn])
    far = (known**2).sum(1) - 2 * cells.astype(float) @ known.T
    far[:, 0] += 0.5 * (cells.astype(float) ** 2).sum(1)  # a space loses what is there
    return np.array([" ", *pens])[far.argmin(1)].reshape(rows, columns)


@lru_cache(maxsize=1)
def _typewriter() -> Any:
    return ImageFont.load_default_imagefont()


def picture_of(text: str) -> Pixels:
    """Draw text art, bright on black, with strokes thick enough to last, 6x11 pixels a sign."""
    lines = text.rstrip("\n").split("\n")
    image = Image.new("L", (6 * max(map(len, lines)) + 6, 11 * len(lines) + 6), 0)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        plain = line.encode("latin-1", "replace").decode("latin-1")
        draw.text((3, 3 + 11 * number), plain, 255, _typewriter())
    return np.asarray(image.filter(ImageFilter.MaxFilter(3)))


def icon_names(
    sets: Sequence[dict[str, Any]], ranks: slice = slice(NAMES)
) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Find icons of the commonest names: part to name to (designer, SVG)."""
    tests = [one.partition("@")[0] for one in icons.TEST.split()]
    author = {one["prefix"]: one["info"]["author"]["name"] for one in sets}
    held = {author[name]: "test" for name in tests if name in author}
    held |= {author[name]: "validation" for name in VALIDATION_SETS if name in author} | held
    drawn: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in sets:
        by = author[one["prefix"]]
        for name, icon in one["icons"].items():
            plain = icons.plain_name(name)
            if not plain or plain in BRANDS:
                continue
            svg = icons.svg_of(one, icon, side=48, margin=2)
            drawn[SAME.get(plain, plain)].append((by, svg))
    common = sorted(drawn, key=lambda name: (-len({by for by, _ in drawn[name]}), name))[ranks]
    parts: dict[str, dict[str, list[tuple[str, str]]]] = {
        part: {name: [] for name in common} for part in ("train", "validation", "test")
    }
    for name in common:
        for by, svg in drawn[name]:
            parts[held.get(by, "train")][name].append((by, svg))
    return parts


def icon_sets(package: Path) -> list[dict[str, Any]]:
    """Read the one-colour sets under open licences of the npm package ``@iconify/json``."""
    sets = []
    for file in sorted((package / "json").glob("*.json")):
        one = json.loads(file.read_text(encoding="utf-8"))
        info = one["info"]
        kind = info.get("category", "")
        wanted = info["license"].get("spdx") in icons.LICENCES | {"MPL-2.0"}
        if wanted and not info.get("palette") and not re.search("Brand|Flag|Logo|Emoji", kind):
            sets.append(one)
    return sets


@lru_cache(maxsize=30000)
def render(svg: str) -> Pixels:
    """Draw an SVG text, gray pixels."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def _outline(shape: str, x: float, y: float, r: float) -> list[tuple[float, float]]:
    if shape == "square":
        return [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]
    if shape == "triangle":
        return [(x, y - r), (x + r, y + r), (x - r, y + r)]
    if shape == "cross":
        t, a = r * 0.4, []
        for u, v in [(1, 0), (0, 1), (-1, 0), (0, -1)]:
            p, q = (-v, u), (u, v)
            a += [(x + q[0] * r - p[0] * t, y + q[1] * r - p[1] * t)]
            a += [(x + q[0] * r + p[0] * t, y + q[1] * r + p[1] * t)]
            a += [(x + q[0] * t + p[0] * t, y + q[1] * t + p[1] * t)]
        return a
    reach = [r if n % 2 == 0 else 0.42 * r for n in range(10)]
    turns = np.pi * np.arange(10) / 5
    return [
        (float(x + d * np.sin(t)), float(y - d * np.cos(t)))
        for d, t in zip(reach, turns, strict=True)
    ]


def scene(random: Random) -> Drawn:
    """Draw one to four different shapes in a row, one of several larger than the others."""
    count = int(random.integers(1, 5))
    shapes = [str(one) for one in random.choice(SHAPES, count, replace=False)]
    sizes = random.uniform(8, 13, count)
    big = int(random.integers(count))
    sizes[big] = random.uniform(18, 22)
    image = Image.new("L", (200, 60), 0)
    draw, at = ImageDraw.Draw(image), 4.0
    for shape, r in zip(shapes, sizes, strict=True):
        x, y = at + r, 30 + float(random.uniform(-1, 1)) * (28 - r)
        at = x + r + float(random.uniform(4, 9))
        if shape in ("circle", "ring"):
            box = (x - r, y - r, x + r, y + r)
            draw.ellipse(box, fill=255 * (shape == "circle"), outline=255, width=max(3, int(r / 4)))
        else:
            draw.polygon(_outline(shape, x, y, r), fill=255)
    if count > 1:
        shapes[big] = LARGE + shapes[big]
    return Drawn(np.asarray(image), ", ".join(shapes), "shapes")
