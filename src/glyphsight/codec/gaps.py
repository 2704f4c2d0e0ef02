"""Find where a picture of several things is empty between them, and what a frame holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.prepare import Box
from glyphsight.codec.windows import label_components, members

_FRAME = 0.12  # farthest that a tilted frame lies from the edge of its box, as a share of the side
_SIDES = 0.9  # least share of a side along which it lies so near
_GAP = 0.04  # narrowest gap between two things, as a share of the longer side of all ink


@dataclass(frozen=True)
class Piece:
    """A piece of a picture."""

    box: Box
    # The two sides of its widest gap; where it has none, what its frame holds, if it has one
    halves: tuple[Piece, ...]


def pieces(ink: NDArray[np.bool_], most: int) -> Piece | None:
    """Part a picture, bool[H, W], at its gaps, and the sides likewise.

    Returns:
        The whole; None without ink, or where it would come into more than ``most``.
    """
    if not ink.any():
        return None
    gaps = 0

    def parted(box: Box) -> Piece:
        nonlocal gaps
        sides = part_box(ink, box) if gaps < most else None
        gaps += sides is not None
        held = None if sides else inside_frame(ink, box)
        return Piece(box, tuple(map(parted, sides or (() if held is None else (held,)))))

    whole = parted(trim_box(ink, (0, ink.shape[0], 0, ink.shape[1])))
    return whole if gaps < most else None


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


def inside_frame(ink: NDArray[np.bool_], box: Box) -> Box | None:
    """Return the smallest box around what a frame in a box of bool[H, W] holds; None without."""
    top, bottom, left, right = box
    inside = ink[top:bottom, left:right]
    labels, boxes = label_components(inside)
    whole = (0, bottom - top, 0, right - left)
    [frames] = np.nonzero((np.abs(boxes - whole) <= _GAP * max(inside.shape)).all(axis=1))
    if not len(frames) or len(boxes) == 1:
        return None
    frame = members(labels, frames + 1, len(boxes))
    for side in (frame, frame[::-1], frame.T, frame.T[::-1]):  # lines from the edge inwards
        near = side[: max(1, round(_FRAME * len(side)))].any(axis=0)
        if near.mean() < _SIDES:
            return None
    held = inside & ~frame
    first, last, start, end = trim_box(held, whole)
    if frame[first:last, start:end].any():
        return None
    return top + first, top + last, left + start, left + end


def in_lines(boxes: NDArray[np.int64], rows: NDArray[np.intp] | None = None) -> list[int]:
    """Order boxes, int64[n, 4], as one reads: parted by bands that no box crosses, lines first."""
    rows = np.arange(len(boxes)) if rows is None else rows
    for first in (0, 2):  # lines, then columns
        order = rows[boxes[rows, first].argsort(kind="stable")]
        ends = np.maximum.accumulate(boxes[order, first + 1])
        breaks = np.flatnonzero(boxes[order[1:], first] >= ends[:-1]) + 1
        if len(breaks):
            return [row for some in np.split(order, breaks) for row in in_lines(boxes, some)]
    return [int(row) for row in rows[boxes[rows, 2].argsort(kind="stable")]]
