"""Parts of ink: its connected components, the main one, and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.ground import border, threshold_of
from glyphsight.codec.windows import Mask, grow, label_components, members, odd, shrink

LONG = 0.25
"""Width of a stroke that is no dot, as a share of the longest side of its part."""
_WIDE = 0.15  # likewise, above which a part is doubtful
_NEAR = 0.12  # largest gap between parts of one thing, as a share of its longer side
_EVEN = 0.35  # range of grays in a shadow, over its distance from the ink
_SHADOW = 0.25  # least share of a shadow in what is taken for ink


@dataclass(frozen=True)
class Parts:
    """Connected components of the ink: a label per pixel, and per component mass and box."""

    labels: NDArray[np.int32]  # [H, W], 0 outside
    area: NDArray[Any]  # [n], pixels
    mass: NDArray[Any]  # [n], contrast summed over the pixels
    boxes: NDArray[np.int64]  # [n, 4]: top, bottom, left, right
    frames: Mask  # [n], hollow and about as large as the picture
    widths: NDArray[Any]  # [n], width of the strokes as a share of the longest side


def parts_of(mask: Mask, contrast: NDArray[np.float64]) -> Parts:
    """Measure the connected components of a mask that is not empty."""
    labels, boxes = label_components(mask)
    count, inside = len(boxes) + 1, labels[mask]
    mass = np.bincount(inside, weights=contrast[mask], minlength=count)[1:]
    size = np.bincount(inside, minlength=count)[1:]
    length = np.bincount(inside[~shrink(mask, 3)[mask]], minlength=count)[1:]
    tall, wide = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    frames = (tall * wide > 0.35 * mask.size) & (mass < 0.12 * tall * wide * (contrast.max() + 1))
    widths = 2 * size / np.maximum(length, 1) / np.maximum(tall, wide)
    return Parts(labels, size, mass, boxes, frames, widths)


def main_scores(parts: Parts, *, shaded: bool) -> tuple[NDArray[np.float64], Mask]:
    """Weigh parts as the main one, float64[n], and say which are cut off by the edge, bool[n]."""
    top, bottom, left, right = parts.boxes.T
    height, width = parts.labels.shape
    cut = (top == 0) | (left == 0) | (bottom == height) | (right == width)
    scores = parts.mass * np.where(cut, 0.25, 1) * np.where(parts.frames, 0.05, 1)
    if shaded:
        # Wide parts are rather a lit part of the ground or a corner of a sheet.
        scores *= np.minimum(1, _WIDE / parts.widths) ** 3
    return scores, cut


def neighbours(parts: Parts, main: int) -> NDArray[np.int64]:
    """Gather the parts of one thing: the main one, and what lies near, until nothing more does."""
    boxes = parts.boxes
    able = ~parts.frames & (parts.mass >= 0.02 * parts.mass[main])
    chosen = np.arange(len(boxes)) == main
    most = 2 * max(boxes[main, 1] - boxes[main, 0], boxes[main, 3] - boxes[main, 2])  # no row
    while True:
        top, bottom, left, right = box_around(boxes[chosen])
        down = np.maximum(boxes[:, 0] - bottom, top - boxes[:, 1])
        across = np.maximum(boxes[:, 2] - right, left - boxes[:, 3])
        size = min(max(bottom - top, right - left), most)  # of what is gathered so far
        more = chosen | (able & (np.maximum(down, across) <= _NEAR * size))
        if (more == chosen).all():
            return np.flatnonzero(chosen)
        chosen = more


def pen_of(parts: Parts, number: int) -> float:
    """Return the width of the strokes of a part in pixels."""
    return float(parts.widths[number] * longer(parts.boxes[[number]]))


def box_around(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the box around boxes, int64[n, 4]."""
    low, high = boxes.min(axis=0), boxes.max(axis=0)
    return np.array([low[0], high[1], low[2], high[3]])


def longer(boxes: NDArray[np.int64]) -> int:
    """Return the longer side of the box around boxes."""
    top, bottom, left, right = box_around(boxes)
    return int(max(bottom - top, right - left))


def without_shadow(
    mask: Mask, depth: NDArray[Any], parts: Parts, main: int, *, shaded: bool
) -> Mask | None:
    """Keep what is darker than a hard shadow that is taken for ink, bool[H, W]; None without one.

    Ink in a shadow is darker than ink beside it, so ``depth`` is gray itself, 0 for the lightest.
    A shadow is what is left without the darker part and its edges, if it is wider than the strokes
    and reaches the edge of the picture at such a width, or on uneven ground is far wider; and if it
    is even, unlike fur or leaves.
    """
    darker = mask & (depth > threshold_of(depth[mask]))
    if not darker.any():
        return None
    inner = parts_of(darker, depth)
    scores, cut = main_scores(inner, shaded=True)
    best = int(scores.argmax())
    if cut[best] or inner.widths[best] > LONG:
        return None
    pen = pen_of(inner, best)
    ours = members(parts.labels, neighbours(parts, main) + 1, len(parts.boxes))
    rest = ours & ~grow(darker, 5)
    if rest.sum() < _SHADOW * ours.sum():
        return None
    width = odd(1.5 * pen)
    wide = rest & grow(shrink(rest, width), width)
    if border(wide).sum() < width and not (shaded and shrink(rest, odd(2.5 * pen)).any()):
        return None
    inside = shrink(rest, 5)
    low, middle, high = np.percentile(depth[inside if inside.any() else rest], [10, 50, 90])
    return darker if high - low <= _EVEN * (np.median(depth[darker]) - middle) else None
