"""Ink is found in photographs, whatever lies around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from glyphsight.codec import Profile, encode_batch, ink, prepare
from glyphsight.codec.things import find_inks, find_on_paper
from glyphsight.codec.windows import label_components
from glyphsight.errors import FormatError
from glyphsight.sources import load_split, open_source

Pixels = NDArray[np.uint8]
HEIGHT, WIDTH = 300, 280
WEDGE = pytest.mark.xfail(strict=True, reason="an even wedge of shadow is taken for a mark")
BOX = 80, 220, 90, 190  # top, bottom, left, right of the strokes drawn below


def strokes(width: int = 13) -> NDArray[np.bool_]:
    """Draw a 4 in BOX."""
    image = Image.new("L", (WIDTH, HEIGHT))
    half = width // 2
    top, bottom, left, right = BOX
    draw = ImageDraw.Draw(image)
    line = [(left + half, top), (left + half, 160), (right - half, 160)]
    draw.line(line, fill=255, width=width)
    draw.line([(160, top), (160, bottom)], fill=255, width=width)
    return np.asarray(image) > 0


def written(ground: NDArray[np.float64], width: int = 13, darker: float = 150) -> Pixels:
    """Write the strokes darker than a ground (brighter, where that is negative), with noise."""
    noise = np.random.default_rng(0).normal(scale=3, size=ground.shape)
    return np.clip(ground - darker * strokes(width) + noise, 0, 255).astype(np.uint8)


def paper() -> NDArray[np.float64]:
    return np.full((HEIGHT, WIDTH), 225.0)


def shadow() -> NDArray[np.float64]:
    across = np.linspace(-8, 8, WIDTH)
    return paper() * (1 - 0.5 / (1 + np.exp(-across)))


def ruled() -> NDArray[np.float64]:
    ground = paper()
    ground[20::30] -= 120
    ground[21::30] -= 120
    return ground


def desk() -> Pixels:
    picture = np.full((2 * HEIGHT, 2 * WIDTH), 60, np.uint8)
    picture[150 : 150 + HEIGHT, 140 : 140 + WIDTH] = written(paper())
    return picture


def hard_shadows(kind: str) -> NDArray[np.float64]:
    """Light a page through bands as narrow as strokes, slanted blinds, a hole, or by a wedge."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    dark = {
        "bands": (0.55, x % 56 < 22),
        "blinds": (0.5, (x + 0.6 * y) % 40 < 20),
        "hole": (0.5, (x - 40) ** 2 + (y - 60) ** 2 > 100**2),
        "wedge": (0.6, (x <= 120) & (y >= 140 + x / 2) & (y <= 299 - 0.8 * x)),
    }
    lit, where = dark[kind]
    return np.where(where, lit, 1) * paper()


def in_hard_shadows(kind: str) -> Pixels:
    noise = np.random.default_rng(0).normal(scale=3, size=(HEIGHT, WIDTH))
    ground = hard_shadows(kind)
    return np.clip(np.where(strokes(), 0.2, 1) * ground + noise, 0, 255).astype(np.uint8)


GROUNDS = {
    "in bands of shadow": in_hard_shadows("bands"),
    "in the shadow of blinds": in_hard_shadows("blinds"),
    "half in a patch of light": in_hard_shadows("hole"),
    "beside a shadow": in_hard_shadows("wedge"),
    "clean": np.where(strokes(), 20, 250).astype(np.uint8),
    "light on dark": np.where(strokes(), 250, 20).astype(np.uint8),
    "paper": written(paper()),
    "shadow": written(shadow()),
    "ruled": written(ruled()),
    "chalk": written(paper() - 165, darker=-120),
    "thin": written(paper(), width=4),
    "faint": written(paper(), width=8, darker=45),
}


def overlap(found: ink.Ink, where: tuple[int, int] = (0, 0)) -> float:
    """Compare a box with BOX: the area of both over the area of either."""
    a = np.array(found.box) - np.repeat(where, 2)
    common = max(0, min(a[1], BOX[1]) - max(a[0], BOX[0])) * max(
        0, min(a[3], BOX[3]) - max(a[2], BOX[2])
    )
    size = [(box[1] - box[0]) * (box[3] - box[2]) for box in (a, BOX)]
    return float(common / (sum(size) - common))


@pytest.mark.parametrize("kind", GROUNDS)
def test_ink_is_found_whatever_its_ground(kind: str) -> None:
    found = ink.find_ink(GROUNDS[kind])
    assert found is not None
    assert found.dark == (kind not in ("light on dark", "chalk"))
    assert overlap(found) > 0.85
    if kind in ("clean", "light on dark", "shadow"):
        assert found.shaded == (kind == "shadow")


def test_ink_on_a_sheet_on_a_desk_is_the_ink_and_not_the_sheet() -> None:
    found = ink.find_ink(desk())
    assert found is not None
    assert found.sheet
    assert found.dark
    assert overlap(found, (150, 140)) > 0.85


def test_every_ground_gives_about_the_same_text() -> None:
    profile = Profile(ink=True, centre=True, invert="auto")
    texts = {kind: encode_batch(pixels[None], profile)[0] for kind, pixels in GROUNDS.items()}
    for kind, text in texts.items():
        same = sum(a == b for a, b in zip(text, texts["clean"], strict=True))
        assert same / len(text) > 0.9, kind


@pytest.mark.parametrize("ground", [paper, shadow, ruled])
def test_blank_paper_in_a_photograph_holds_no_ink(
    ground: Callable[[], NDArray[np.float64]],
) -> None:
    assert ink.find_ink(written(ground(), darker=0)) is None


def test_ink_on_a_dark_plate_is_the_ink_and_not_the_plate() -> None:
    image = Image.new("L", (370, 190), 230)
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 60, 310, 130), fill=40)
    draw.line([(174, 78), (174, 97), (202, 97)], fill=225, width=5)
    draw.line([(194, 78), (194, 112)], fill=225, width=5)
    noise = np.random.default_rng(0).normal(scale=3, size=(190, 370))
    found = ink.find_ink(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    assert found is not None
    assert not found.dark
    assert np.abs(np.array(found.box) - [78, 113, 172, 203]).max() <= 3


def in_thick_strokes(width: int, tops: tuple[int, ...] = (60, 170)) -> Pixels:
    """Draw thick rings above each other, as an 8, on grainy paper."""
    image = Image.new("L", (300, 340), 210)
    draw = ImageDraw.Draw(image)
    for top in tops:
        draw.ellipse((85, top, 215, top + 115), outline=50, width=width)
    noise = np.random.default_rng(0).normal(scale=3, size=(340, 300))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("width", [40, 46])
def test_the_hole_of_a_thick_stroke_is_no_ink_on_a_sheet(width: int) -> None:
    found = ink.find_ink(in_thick_strokes(width))
    assert found is not None
    assert found.dark
    assert np.abs(np.array(found.box) - [60, 285, 85, 215]).max() <= 4


def test_ink_into_which_the_local_ground_falls_is_found_whole() -> None:
    image = Image.new("L", (240, 200), 225)
    draw = ImageDraw.Draw(image)
    draw.line([(50, 50), (110, 40), (150, 80), (60, 155), (190, 160)], fill=70, width=42)
    noise = np.random.default_rng(0).normal(scale=3, size=(200, 240))
    found = ink.find_ink(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    drawn = np.argwhere(np.asarray(image) < 100)
    assert found is not None
    ends = [drawn[:, 0].min(), drawn[:, 0].max() + 1, drawn[:, 1].min(), drawn[:, 1].max() + 1]
    assert np.abs(np.array(found.box) - ends).max() <= 4


@pytest.mark.parametrize("hole", [0, 36])
@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_a_dark_square_is_looked_at_too(hole: int, noise: float) -> None:
    page = np.full((100, 100), 230.0)
    page[20:80, 20:80] = 20
    page[50 - hole // 2 : 50 + hole // 2, 50 - hole // 2 : 50 + hole // 2] = 230
    page += np.random.default_rng(0).normal(scale=noise, size=page.shape)
    found = ink.find_ink(np.clip(page, 0, 255).astype(np.uint8))
    assert found is None or found.box[1] - found.box[0] >= 58


def test_a_blank_sheet_on_a_desk_holds_no_ink() -> None:
    grainy = np.random.default_rng(0).normal(60, 6, (2 * HEIGHT, 2 * WIDTH))
    picture = np.clip(grainy, 0, 255).astype(np.uint8)
    picture[150 : 150 + HEIGHT, 140 : 140 + WIDTH] = written(paper(), darker=0)
    assert ink.find_ink(picture) is None


@pytest.mark.parametrize("kind", ["bands", "blinds", "hole", pytest.param("wedge", marks=WEDGE)])
def test_blank_paper_in_hard_shadows_holds_no_ink(kind: str) -> None:
    assert ink.find_ink(written(hard_shadows(kind), darker=0)) is None


@pytest.mark.parametrize(("written", "stroke"), [("2", 16), ("3", 10), ("5", 16)])
def test_light_ink_with_a_drop_shadow_is_no_dark_ink(written: str, stroke: int) -> None:
    image = Image.new("L", (260, 260), 120)
    font = ImageFont.load_default(180)
    for off, level in ((6, 30), (0, 240)):
        where = 60 + off, 30 + off
        ImageDraw.Draw(image).text(where, written, level, font, stroke_width=stroke)
    found = ink.find_ink(np.asarray(image))
    assert found is not None
    assert not found.dark


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_paper_holds_no_ink(level: int) -> None:
    assert ink.find_ink(np.full((300, 200), level, np.uint8)) is None
    noise = np.random.default_rng(1).normal(level, 2, (300, 200))
    assert ink.find_ink(np.clip(noise, 0, 255).astype(np.uint8)) is None


@pytest.mark.parametrize("width", [4, 36])
def test_thin_and_thick_strokes_come_out_as_wide_as_a_tenth_of_the_height(width: int) -> None:
    usual, other = (ink.find_ink(written(paper(), wide)) for wide in (13, width))
    assert usual is not None
    assert other is not None
    share = [(found.pixels > 127).mean() for found in (usual, other)]
    assert 0.75 < share[1] / share[0] < 1.3


def test_a_fine_stroke_beside_thick_ones_stays() -> None:
    picture = np.full((300, 300), 245, np.uint8)
    picture[60:240, 70:110] = picture[60:240, 190:230] = 20
    picture[140:150, 100:200] = 20
    found = ink.find_ink(picture)
    assert found is not None
    assert label_components(found.pixels > 127)[0].max() == 1


def test_pictures_of_a_dataset_of_thumbnails_stay_as_they_are() -> None:
    digits = load_split(open_source("bundled"), "validation").pixels[:300]
    profile = Profile(centre=True, invert="auto")
    assert encode_batch(digits, replace(profile, ink=True)) == encode_batch(digits, profile)


def test_prepare_tells_the_ink_and_gives_it_bright_on_black() -> None:
    done = prepare(GROUNDS["shadow"], Profile(ink=True, centre=True, invert="auto"))
    assert done.ink is not None
    assert done.inverted
    assert done.centred
    assert done.pixels.shape == (28, 28)
    assert done.pixels[0].max() == 0
    assert done.ink.dark


def test_a_digit_of_separate_segments_is_found_as_a_whole() -> None:
    zero = np.full((300, 200), 255, np.uint8)
    zero[66:130, 50:65] = zero[66:130, 135:150] = 0  # gaps of 6 % of the height
    zero[144:250, 50:65] = zero[144:250, 135:150] = 0
    zero[40:52, 65:135] = zero[262:274, 65:135] = 0
    found = ink.find_ink(zero)
    assert found is not None
    assert found.box == pytest.approx((40, 274, 50, 150), abs=6)


def test_a_part_near_by_belongs_to_the_ink_and_one_far_away_does_not() -> None:
    picture = GROUNDS["paper"].copy()
    picture[225:232, 100:180] = 70  # a line just below
    near = ink.find_ink(picture)
    assert near is not None
    assert near.box[1] > 228
    far = GROUNDS["paper"].copy()
    far[280:285, 20:40] = 70
    apart = ink.find_ink(far)
    assert apart is not None
    assert overlap(apart) > 0.85


@pytest.mark.parametrize("shape", [(1, 1000), (5, 4000), (3000, 2), (300, 100_000)])
def test_a_strip_is_looked_at_too(shape: tuple[int, int]) -> None:
    strip = np.full(shape, 250, np.uint8)
    assert ink.find_ink(strip) is None
    assert find_inks(strip).things == ()
    strip[shape[0] // 3 :, shape[1] // 3 :] = 20  # a part of it dark
    find_inks(strip)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=90)))
def test_any_picture_gives_ink_inside_it_or_none(pixels: Pixels) -> None:
    found = ink.find_ink(pixels)
    if found is not None:
        top, bottom, left, right = found.box
        assert 0 <= top < bottom <= pixels.shape[0]
        assert 0 <= left < right <= pixels.shape[1]
        assert found.pixels.max() > 127


@pytest.mark.parametrize("kind", GROUNDS)
def test_all_ink_on_paper_is_kept_as_it_is_drawn(kind: str) -> None:
    found = find_on_paper(GROUNDS[kind])
    if found is None:  # even at the border
        assert kind in ("clean", "light on dark")
        return
    [mark] = found.things
    assert overlap(mark) > 0.85
    wide = (mark.pixels > 127).sum() / (HEIGHT * WIDTH)
    assert wide < 1.3 * strokes(4 if kind == "thin" else 13).mean()


def test_several_marks_on_paper_stay_together() -> None:
    two = np.concatenate([GROUNDS["shadow"], GROUNDS["shadow"][:, ::-1]], axis=1)
    found = find_on_paper(two)
    assert found is not None
    [mark] = found.things
    assert mark.box[3] - mark.box[2] > WIDTH
    text = encode_batch(two[None], Profile(paper=True, invert="auto", crop=0.0))[0]
    assert text == encode_batch(mark.pixels[None], Profile(crop=0.0))[0]


def test_paper_without_ink_is_black() -> None:
    found = find_on_paper(written(shadow(), darker=0))
    assert found is not None
    assert found.things == ()
    text = encode_batch(written(shadow(), darker=0)[None], Profile(paper=True, format="plain"))[0]
    assert set(text) == {" ", "\n"}


def test_ink_and_paper_exclude_each_other() -> None:
    with pytest.raises(FormatError, match="leave one of them out"):
        Profile(ink=True, paper=True)
