"""A picture is parted where it is empty."""

import numpy as np
import pytest

from glyphsight.codec.gaps import part_box, trim_box

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
