"""Part ink into things: each digit of a number by itself, one of several strokes as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.ground import is_even
from glyphsight.codec.ink import BLOB, SMALL, Images, Ink, View, cut_out, look, reduce
from glyphsight.codec.parts import Parts, box_around, longer
from glyphsight.codec.windows import Mask, grow, label_components, members, odd

MOST = 12  # largest number of things that are told apart; more are text or texture
_TOUCH = 0.06  # largest gap inside a stroke, as a share of the longer side of the main part
_DASH = 4.0  # longest side of a dash in widths of its stroke
_APART = 2.4  # largest gap between dashes of one stroke, likewise
_CORNER = 1.2  # largest gap between parts that follow each other, in widths of their stroke
_ALIKE = 1.6  # ratio of the widths of such parts' strokes
_BARS = 1.25  # area of one or two bars, over width and height of their box times their width
_MANY = 100  # parts that are compared, each with each
_JOIN = 0.12  # largest gap of a small part, as a share of the larger one's longer side
_LOW = 0.5  # height of a small part as a share of the larger one's
_BAR = 0.35  # height of a bar above or below as a share of the rest's
_BAR_GAP = 0.25  # largest gap of a bar as a share of the rest's longer side
_BESIDE = 0.2, 0.6  # share of its height that a stroke of one thing lies beside another
_STROKES = 24  # largest number of separate strokes in a picture that is no text
_DOTS = 6  # fewest dots of a dotted thing
_INSIDE = 0.3  # share of a box that lies in another's, from which both are one thing
_LEAST = 0.4  # size of a thing as a share of the main one's
_PENS = 2.5  # ratio of the widths of strokes of one pen
_SHEET = 0.6  # smallest dark sheet on which all ink is sought, as a share of the picture
_FLAT = 5.0  # width of a line as a multiple of its height


@dataclass(frozen=True)
class Inks:
    """All things drawn or written in a picture."""

    things: tuple[Ink, ...] = ()  # in reading order; the main one alone where there are ``many``
    main: int = 0  # number of the main one, which :func:`~glyphsight.codec.ink.find_ink` finds
    many: bool = False  # True where there are more than ``MOST``, as on a page of text
    alone: bool = True  # False where the one thing is all ink of the picture

    def __str__(self) -> str:
        """Say in a line what was found, and what was done to the ground; "" for nothing."""
        if not self.things:
            return ""
        main, count = self.things[self.main], len(self.things)
        kind, ground = ("dark", "light paper") if main.dark else ("light", "a dark ground")
        number = f"{count} {kind} marks" if count > 1 else f"one {kind} mark"
        if not self.alone:
            number = f"{kind} ink"
        if self.many:
            number = f"more than {MOST} marks, as in a text, and read only the main {kind} one"
        said = f"{number} on {ground}" + ", on a sheet" * main.sheet
        done = ["evened out a shadow"] * main.shadow
        done += ["smoothed out the grain"] * (main.shaded and not main.shadow)
        done += ["left out ruled lines"] * main.ruled
        return ", ".join([said, *(" and ".join(done),) * bool(done)])


def find_inks(pixels: Images) -> Inks:
    """Find all things drawn or written in a picture, uint8[H, W], with one pen on one ground.

    One thing alone is what :func:`~glyphsight.codec.ink.find_ink` finds, unless it is dotted or
    broken.
    """
    view = look(*reduce(pixels))
    if view is None:
        return Inks()
    if view.ink is None:  # dots, perhaps, that are one thing together
        dots = [group for group in _groups(view) if len(group) >= _DOTS and _whole(group, view)]
        whole = _cut(view, max(dots, key=len)) if dots else None
        return Inks() if whole is None else Inks((whole,))
    groups = _groups(view)
    if len(groups) > MOST or view.guess.strokes > _STROKES:
        return Inks((view.ink,), many=True)
    alone = Inks((view.ink,))
    if len(groups) == 1:
        groups = [np.union1d(groups[0], view.chosen)]
        if len(groups[0]) == len(view.chosen):
            return alone
    elif longer(view.guess.parts.boxes[view.chosen]) <= SMALL * max(view.smooth.shape):
        return alone  # specks
    inks = [(_cut(view, group), view.guess.main in group) for group in groups]
    kept = [(ink, is_main) for ink, is_main in inks if ink is not None]
    main = [is_main for _, is_main in kept]
    if True not in main or len(kept) == 1 < len(groups):
        return alone
    return Inks(tuple(ink for ink, _ in kept), main.index(True))


def find_on_paper(pixels: Images) -> Inks | None:
    """Find all ink on an uneven ground, such as photographed paper, as one thing, as it is drawn.

    Takes uint8[H, W]. The things are none where nothing stands out; the result is None where the
    ground is even, as in a drawing.
    """
    gray, step = reduce(pixels)
    if is_even(gray):
        return None
    view = look(gray, step, _SHEET)
    if view is None:
        return Inks()
    parts, main = view.guess.parts, view.guess.main
    near = grow(view.guess.lines, 5) if view.guess.lines.any() else None
    groups = [
        group
        for group in _joined(_near(parts, main), parts, main)
        if _whole(group, view) and not _left_over(group, view, near)
    ]
    ink = _cut(view, np.unique(np.concatenate([*groups, view.chosen])), even=False)
    ink = ink or _cut(view, view.chosen, even=False)
    return Inks((ink,) if ink else (), alone=False)


def _left_over(group: NDArray[np.int64], view: View, near: Mask | None) -> bool:
    """Say whether a group is a speck beside a line that was taken away, as where two cross."""
    parts = view.guess.parts
    if near is None or longer(parts.boxes[group]) > SMALL * max(view.smooth.shape):
        return False
    return bool((members(parts.labels, group + 1, len(parts.boxes)) & near).any())


def _cut(view: View, group: NDArray[np.int64], *, even: bool = True) -> Ink | None:
    ink = cut_out(view.smooth, view.guess, group, even=even)
    return ink and view.placed(ink)


def _groups(view: View) -> list[NDArray[np.int64]]:
    """Return the components of each thing, in reading order; of more than ``MOST`` in any."""
    parts, main = view.guess.parts, view.guess.main
    groups = _joined(_near(parts, main), parts, main)
    things = [group for group in groups if main in group or _like(group, view)]
    if len(things) > MOST:
        return things
    boxes = np.array([box_around(parts.boxes[group]) for group in things])
    return [things[row] for row in reading_order(boxes)]


def _near(parts: Parts, main: int) -> list[NDArray[np.int64]]:
    """Gather components that almost touch, and the dashes of a stroke."""
    boxes = parts.boxes
    longest = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2])
    pens = parts.widths * longest
    able = ~parts.frames & (parts.mass >= 0.005 * parts.mass[main])
    dash = able & (longest <= _DASH * pens) & (pens > pens[main] / _PENS)
    count = len(boxes)
    grown = grow(
        members(parts.labels, np.flatnonzero(able) + 1, count), odd(_TOUCH * longest[main])
    )
    if dash.any():
        dashes = members(parts.labels, np.flatnonzero(dash) + 1, count)
        grown |= grow(dashes, odd(_APART * float(np.median(pens[dash]))))
    labels, _ = label_components(grown)
    where = np.zeros(count + 1, dtype=np.int64)
    inside = parts.labels > 0
    where[parts.labels[inside]] = labels[inside]
    owner = where[1:]
    sides = boxes[:, 1] - boxes[:, 0] + boxes[:, 3] - boxes[:, 2]
    some = np.flatnonzero(able & (parts.area <= _BARS * pens * sides))
    for one, other in _corners(boxes[some], pens[some]) if len(some) <= _MANY else ():
        owner[owner == owner[some[other]]] = owner[some[one]]
    return [np.flatnonzero(able & (owner == one)) for one in np.unique(owner[able])]


def _corners(boxes: NDArray[np.int64], pens: NDArray[Any]) -> NDArray[np.intp]:
    """Find pairs of bars that follow each other as the segments of a display do.

    One ends where the other begins, above it, below it or at a corner. Bars side by side may be two
    digits. Takes boxes int64[n, 4] and the widths of their strokes in pixels, float[n], gives the
    numbers of the bars, intp[pairs, 2], each pair once.
    """
    top, bottom, left, right = boxes.T
    down = np.maximum(top[:, None] - bottom, top - bottom[:, None])
    across = np.maximum(left[:, None] - right, left - right[:, None])
    pen = np.minimum(pens[:, None], pens)
    alike = np.maximum(pens[:, None], pens) <= _ALIKE * pen
    near = (np.maximum(down, across) <= _CORNER * pen) & (down >= -_CORNER * pen)
    return np.argwhere(np.triu(alike & near, 1))


def _joined(groups: list[NDArray[np.int64]], parts: Parts, main: int) -> list[NDArray[np.int64]]:
    """Join small parts with what they lie near, and parts whose boxes overlap."""
    groups = sorted(groups, key=lambda group: -parts.mass[group].sum())
    done: list[NDArray[np.int64]] = []
    boxes: list[NDArray[np.int64]] = []
    for group in groups[:200]:
        box = box_around(parts.boxes[group])
        into = next((row for row, one in enumerate(boxes) if _one_thing(one, box)), None)
        if into is None:
            done.append(group)
            boxes.append(box)
        else:
            done[into] = np.concatenate([done[into], group])
            boxes[into] = box_around(np.stack([boxes[into], box]))
    return done


def _one_thing(large: NDArray[np.int64], small: NDArray[np.int64]) -> bool:
    """Say whether two boxes hold parts of one thing."""
    down = max(small[0] - large[1], large[0] - small[1])
    across = max(small[2] - large[3], large[2] - small[3])
    tall, wide = small[1] - small[0], small[3] - small[2]
    height = large[1] - large[0]
    if down < 0 and across < 0 and min(-down, tall) * min(-across, wide) >= _INSIDE * tall * wide:
        return True
    size = max(height, large[3] - large[2])
    if across < 0 and tall < _BAR * height and wide > tall:  # such as that of a 5
        return bool(down <= _BAR_GAP * size)
    if max(down, across) > _JOIN * size:
        return False
    beside = -down / min(tall, height)  # share of the lower one's height
    return bool(tall < _LOW * height or _BESIDE[0] < beside < _BESIDE[1])


def _like(group: NDArray[np.int64], view: View) -> bool:
    """Say whether a group is a thing like the main one, and neither cut off nor a line."""
    parts, main = view.guess.parts, view.guess.main
    heaviest = group[parts.mass[group].argmax()]
    top, bottom, left, right = box_around(parts.boxes[group])
    tall, wide, size = bottom - top, right - left, longer(parts.boxes[[main]])
    pens = parts.widths[heaviest] * longer(parts.boxes[[heaviest]]) / (parts.widths[main] * size)
    if max(tall, wide) < _LEAST * size or wide > _FLAT * tall or not 1 / _PENS < pens < _PENS:
        return False
    if view.guess.ground.shaded and parts.widths[heaviest] > BLOB:
        return False
    return _whole(group, view)


def _whole(group: NDArray[np.int64], view: View) -> bool:
    """Say whether a group is not cut off: by the edge of a photograph, or of a sheet in it."""
    parts = view.guess.parts
    (top, bottom, left, right), (height, width) = box_around(parts.boxes[group]), parts.labels.shape
    if view.guess.ground.shaded and (top == 0 or left == 0 or bottom == height or right == width):
        return False
    if view.rim is None:
        return True
    return bool((members(parts.labels, group + 1, len(parts.boxes)) & view.rim).sum() <= 2)


def reading_order(boxes: NDArray[np.int64]) -> list[int]:
    """Order boxes, int64[n, 4], in lines from above, each from the left.

    A box whose middle lies between the top and the bottom of a line's first box is in that line.
    """
    order: list[int] = []
    left = sorted(range(len(boxes)), key=lambda row: boxes[row, 0])
    while left:
        top, bottom = boxes[left[0], :2]
        line = [row for row in left if 2 * top <= boxes[row, :2].sum() < 2 * bottom]
        order += sorted(line, key=lambda row: boxes[row, 2])
        left = [row for row in left if row not in line]
    return order
