"""Things in one picture are told apart; one of several strokes stays one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from glyphsight.codec.ink import find_ink
from glyphsight.codec.things import MOST, find_inks, reading_order

Pixels = NDArray[np.uint8]
Stroke = list[tuple[int, int]]  # x, y

ANGLE: Stroke = [(70, 60), (60, 130), (118, 130)]
UPRIGHT: Stroke = [(120, 90), (120, 190)]
ONE: Stroke = [(220, 60), (220, 190)]
BELOW: Stroke = [(90, 240), (60, 340), (120, 340)]


def photo(*strokes: Stroke, shadow: float = 0.4, light: bool = False) -> Pixels:
    """Draw strokes in half a shadow, with noise."""
    image = Image.new("L", (300, 400))
    draw = ImageDraw.Draw(image)
    for stroke in strokes:
        draw.line(stroke, fill=255, width=11)
    mask = np.asarray(image) / 255
    ground = 220 * (1 - shadow / (1 + np.exp(-np.linspace(-6, 6, 300)))) * np.ones_like(mask)
    noise = np.random.default_rng(0).normal(scale=3, size=mask.shape)
    shown = np.where(mask > 0, 40, ground) + noise
    return np.clip(255 - shown if light else shown, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("light", [False, True])
def test_two_side_by_side_are_two_in_reading_order(light: bool) -> None:
    found = find_inks(photo(ANGLE, UPRIGHT, ONE, light=light))
    assert len(found.things) == 2
    first, second = found.things
    assert first.box[3] < second.box[2]
    assert find_ink(photo(ANGLE, UPRIGHT, ONE, light=light)) is not None
    assert str(found).startswith("2 light marks" if light else "2 dark marks")


def test_lines_are_read_from_above() -> None:
    found = find_inks(photo(ONE, BELOW, ANGLE))
    assert [ink.box[2] // 100 for ink in found.things] == [0, 2, 0]
    assert found.things[2].box[0] > 220


def test_one_thing_is_what_find_ink_finds_to_the_bit() -> None:
    picture = photo(ANGLE, UPRIGHT)
    [ink], main = find_inks(picture).things, find_ink(picture)
    assert main is not None
    assert ink.box == main.box
    assert (ink.pixels == main.pixels).all()


@pytest.mark.parametrize(
    "strokes",
    [
        [[(70, 130), (75, 190), (130, 220), (75, 250)], [(75, 105), (135, 100)]],
        [ANGLE, [(132, 100), (132, 190)]],
        [[(100, y), (100, y + 14)] for y in range(60, 260, 26)],
    ],
    ids=["a bar apart", "an upright apart", "dots"],
)
def test_a_thing_of_several_strokes_stays_one(strokes: list[Stroke]) -> None:
    [ink] = find_inks(photo(*strokes, shadow=0.1)).things
    every = np.array([point for stroke in strokes for point in stroke])
    reach = [every[:, 1].min(), every[:, 1].max(), every[:, 0].min(), every[:, 0].max()]
    assert np.abs(np.array(ink.box) - reach).max() < 12


def bars(*boxes: tuple[int, int, int, int]) -> Pixels:
    """Fill boxes, top, bottom, left, right, dark on light."""
    picture = np.full((230, 200), 250, np.uint8)
    for top, bottom, left, right in boxes:
        picture[top:bottom, left:right] = 20
    return picture


# Gaps of nine tenths of a stroke.
SEGMENTS = [
    (20, 30, 60, 130),
    (39, 94, 139, 149),
    (103, 113, 60, 130),
    (122, 177, 41, 51),
    (186, 196, 60, 130),
]


def test_the_segments_of_a_display_are_one_thing() -> None:
    [ink] = find_inks(bars(*SEGMENTS)).things
    assert np.abs(np.array(ink.box) - (20, 196, 41, 149)).max() < 6


def test_uprights_side_by_side_are_two_things_as_close_as_segments() -> None:
    assert len(find_inks(bars((40, 160, 60, 70), (40, 160, 79, 89))).things) == 2


def test_specks_are_no_things() -> None:
    specks = [[(x, 350), (x + 3, 350)] for x in range(20, 290, 50)]
    assert len(find_inks(photo(ANGLE, UPRIGHT, *specks)).things) == 1


def test_a_page_of_marks_is_not_read_one_by_one() -> None:
    marks = [[(x, y), (x, y + 28)] for x in range(30, 280, 34) for y in range(30, 360, 50)]
    found = find_inks(photo(*marks, shadow=0.1))
    assert found.many
    assert len(found.things) <= 1
    assert f"more than {MOST} marks" in str(found)


def test_blank_paper_has_no_things() -> None:
    assert find_inks(photo()).things == ()
    assert str(find_inks(photo())) == ""


def test_reading_order_goes_by_lines() -> None:
    boxes = np.array([[52, 90, 0, 20], [0, 40, 60, 90], [8, 44, 10, 30], [55, 95, 50, 70]])
    assert reading_order(boxes) == [2, 1, 0, 3]
