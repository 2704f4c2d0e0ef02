"""A digit in hard shadows teaches a digit only where the ink that is found is the digit's."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = list(sys.path)
is_where = runpy.run_path(str(Path(__file__).parents[2] / "scripts/clear_eyes.py"))["is_where"]
sys.path[:] = PATH  # the script puts the benchmarks first


@pytest.mark.parametrize(("moved", "expected"), [(0, True), (15, True), (90, False)])
def test_ink_is_where_it_was_drawn(moved, expected):
    drawn = np.zeros((300, 300))
    drawn[100:200, 60:90] = 1
    photograph = (230 - 190 * np.roll(drawn, moved, axis=1)).astype(np.uint8)
    assert is_where(drawn, photograph) is expected


def test_blank_paper_has_no_ink():
    drawn = np.zeros((300, 300))
    drawn[100:200, 60:90] = 1
    assert not is_where(drawn, np.full((300, 300), 230, np.uint8))
