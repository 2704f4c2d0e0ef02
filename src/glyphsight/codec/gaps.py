"""Find where a picture of several things is empty between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.prepare import Box

_GAP = 0.04
"""Narrowest gap between two things, as a share of the longer side of all ink."""


def trim_box(ink: NDArray[np.bool_], box: Box) -> Box:
    """Return the smallest box around the ink, bool[H, W], in a box that has some."""
    top, bottom, left, right = box
    rows = np.flatnonzero(ink[top:bottom, left:right].any(axis=1)) + top
    columns = np.flatnonzero(ink[top:bottom, left:right].any(axis=0)) + left
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def part_box(ink: NDArray[np.bool_], box: Box) -> tuple[Box, Box] | None:
    """Part a box at its widest band without ink (an XY cut, Nagy et al. 1984).

    Args:
        ink: bool[H, W].
        box: Smallest box around the ink that is parted.

    Returns:
        The smallest boxes around both sides, the upper or left one first; None where no band is
        as wide as a gap.
    """
    top, bottom, left, right = box
    inside = ink[top:bottom, left:right]
    best, where = _GAP * max(inside.shape), None
    for axis in (0, 1):
        filled = np.flatnonzero(inside.any(axis=1 - axis))
        gaps = np.diff(filled) - 1
        if len(gaps) and gaps.max() >= max(best, 1):
            best, where = float(gaps.max()), (axis, int(filled[gaps.argmax()]) + 1)
    if where is None:
        return None
    axis, first = where
    if axis == 0:
        sides = (top, top + first, left, right), (top + first, bottom, left, right)
    else:
        sides = (top, bottom, left, left + first), (top, bottom, left + first, right)
    return trim_box(ink, sides[0]), trim_box(ink, sides[1])
