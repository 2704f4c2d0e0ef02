"""A picture is parted where it is empty."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from glyphsight.codec.gaps import in_lines, part_box, pieces, trim_box

INK = np.zeros((60, 100), bool)
INK[10:30, 5:25] = INK[12:28, 40:60] = INK[44:58, 30:50] = True
ALL = (10, 58, 5, 60)


def test_the_box_of_all_ink_is_found():
    assert trim_box(INK, (0, 60, 0, 100)) == ALL
    assert trim_box(INK, (0, 35, 30, 100)) == (12, 28, 40, 60)


def test_the_widest_gap_parts_and_boxes_hold_each_side():
    upper, lower = part_box(INK, ALL)
    assert (upper, lower) == ((10, 30, 5, 60), (44, 58, 30, 50))
    assert part_box(INK, upper) == ((10, 30, 5, 25), (12, 28, 40, 60))
    assert part_box(INK, lower) is None


@pytest.mark.parametrize(("gap", "parts"), [(1, False), (5, True)])
def test_a_gap_narrower_than_a_share_of_the_ink_is_none(gap, parts):
    ink = np.zeros((100, 100), bool)
    ink[:, 10:50] = ink[:, 50 + gap : 100] = True
    assert (part_box(ink, trim_box(ink, (0, 100, 0, 100))) is not None) == parts


def test_the_sides_of_a_gap_are_parted_too_and_too_many_pieces_are_none():
    whole = pieces(INK, 3)
    assert whole.box == ALL
    upper, lower = whole.halves
    assert [one.box for one in upper.halves] == [(10, 30, 5, 25), (12, 28, 40, 60)]
    assert lower.halves == upper.halves[0].halves == ()
    assert pieces(INK, 2) is None
    assert pieces(np.zeros((5, 5), bool), 3) is None


def test_boxes_are_read_in_lines_also_where_they_are_not_level():
    line = [(30, 90, 0, 40), (0, 50, 60, 90), (40, 95, 110, 150)]
    below = [(100, 140, 80, 120), (100, 160, 10, 60)]
    boxes = np.array([below[0], line[2], line[0], below[1], line[1]])
    assert in_lines(boxes) == [2, 4, 1, 3, 0]
    assert in_lines(boxes[:1]) == [0]


def framed(shape):
    """Draw a 20-pixel mark in a frame: a rectangle, a ring, or a rectangle that touches it."""
    image = Image.new("1", (120, 100))
    draw = ImageDraw.Draw(image)
    draw.rectangle((50, 40, 69, 59), fill=1)
    if shape == "ring":
        draw.ellipse((10, 5, 109, 94), outline=1, width=3)
    else:
        draw.rectangle((10, 5, 109, 94), outline=1, width=3)
    if shape == "touching":
        draw.line((10, 50, 60, 50), fill=1, width=3)
    return np.asarray(image.rotate(3) if shape == "tilted" else image)


@pytest.mark.parametrize("shape", ["level", "tilted", "ring", "touching"])
def test_a_rectangle_around_all_else_is_a_frame(shape):
    ink = framed(shape)
    whole = pieces(ink, 3)
    held = [one.box for one in whole.halves]
    if shape in ("ring", "touching"):
        assert held == []
    else:
        assert np.abs(np.array(held) - [(40, 60, 50, 70)]).max() <= 2
