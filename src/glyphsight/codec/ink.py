"""Find the ink in a photograph: shadows, paper, ruled lines and the desk around it are taken away.

The ground behind the ink is estimated twice (grayscale closing or opening, Serra 1982, and a local
median), so that neither a shadow nor the inside of a 0 is taken for ink; Otsu's threshold and
connected components follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.ground import (
    Ground,
    border,
    darkest_grounds,
    find_ground,
    is_even,
    ruled_lines,
    threshold_of,
)
from glyphsight.codec.parts import (
    LONG,
    Parts,
    box_around,
    longer,
    main_scores,
    neighbours,
    parts_of,
    pen_of,
    without_shadow,
)
from glyphsight.codec.windows import (
    Mask,
    filled,
    grow,
    label_components,
    median,
    members,
    odd,
    positions,
    shrink,
    window_mean,
)

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]

SMALLEST = 48
"""Smallest longer side, in pixels, of a picture in which ink is sought."""
_SIDE = 256  # the search works on a copy of about as many pixels on the longer side
_FAINTEST = 10.0  # gray values between the faintest ink and its ground
_CLEAR = 0.15  # on uneven ground: contrast of the ink as a share of the ground's brightness
_CLEAR_CUT = 0.5  # likewise, of ink that reaches the edge of the picture or is its darkest part
_LIGHTER = 0.23  # gap between the grays of such ink and of all around it, over their distance
BLOB = 0.3  # widest stroke as a share of the longest side of its part
SMALL = 0.03  # longest side of a speck as a share of the picture's
_THICK = 0.15  # width of a stroke that is thinned, as a share of the ink's longer side
_LOST = 0.01  # largest share of the ink that is far from what thinning leaves
_STROKE = 0.10  # width of an even stroke as a share of the ink's longer side, as in MNIST's digits
_HOLE = 0.16  # widest stroke on a dark sheet that does not fill its rectangle, as BLOB
_FILLED = 0.8  # least share of the smallest rectangle around it that such a sheet fills
_GRAIN = 0.25  # least noise of a photograph, in gray values
_LACKS = 0.1  # least share of what is as dark as ink and was left out, in what was found
_COMMON = 0.8  # least share of such ink that was found on an uneven ground too
_MORE = 0.1  # least share of a shadow in what was found there
_BROADER = 1.5  # least width of a shadow over that of the strokes
_PEN = 0.12  # widest stroke beside a shadow, as a share of the longest side of both
_LEVELS = 3, 4, 5  # levels of gray, in the darkest of which ink is sought among hard shadows


@dataclass(frozen=True)
class Ink:
    """One thing drawn or written, by itself.

    Attributes:
        pixels: uint8[h, w], ink bright on black, a margin around it.
        mask: bool[h, w], the ink as it lies in the box, in fewer than 512 pixels a side.
        box: Top, bottom, left, right in pixels of the picture, ends excluded.
        dark: True where the ink is darker than its ground.
        shaded: True where the ground is uneven: a shadow, paper, noise.
        shadow: True where its light changes by more than a tenth.
        ruled: True where lines of ruled or squared paper were taken away.
        sheet: True where the ink stands on a sheet that lies on something else.
    """

    pixels: Images
    mask: Mask
    box: tuple[int, int, int, int]
    dark: bool
    shaded: bool
    shadow: bool
    ruled: bool
    sheet: bool


@dataclass(frozen=True)
class Guess:
    """Ink as one polarity has it."""

    dark: bool
    ground: Ground
    mask: Mask
    lines: Mask
    faint: Mask  # hard shadows beside darker ink
    parts: Parts
    main: int
    score: float
    strokes: int  # long parts; many on a page of text


@dataclass(frozen=True)
class View:
    """The main thing of a picture, and all that was seen on its ground.

    Attributes:
        ink: The main thing; None where it is a blob, or too faint.
        chosen: Numbers of its components.
        smooth: float64[H, W], the ground on which ink was sought, in steps of ``step`` pixels.
        guess: Ink of the better polarity.
        rim: bool[H, W], edge of the sheet that is the ground; None where it is no sheet.
        origin: Top and left of the ground in the picture, in steps.
        step: Pixels of the picture per pixel of the ground.
    """

    ink: Ink | None
    chosen: NDArray[np.int64]
    smooth: NDArray[np.float64]
    guess: Guess
    rim: Mask | None = None
    origin: tuple[int, int] = (0, 0)
    step: int = 1

    def placed(self, ink: Ink) -> Ink:
        """Return ink of this ground with its box in pixels of the picture."""
        (y, x), step = self.origin, self.step
        top, bottom, left, right = map(int, ink.box)
        box = (top + y) * step, (bottom + y) * step, (left + x) * step, (right + x) * step
        return replace(ink, box=box, sheet=self.rim is not None)


def find_ink(pixels: Images) -> Ink | None:
    """Find the main thing drawn or written in a picture, of either polarity.

    Args:
        pixels: uint8[H, W].

    Returns:
        The ink, or None where nothing stands out from the ground, as on blank paper.
    """
    view = look(*reduce(pixels))
    return None if view is None else view.ink


def look(gray: Floats, step: int, least: float = 0.0) -> View | None:
    """Find the main thing in a picture that was reduced, and keep what was seen on the way.

    What is dark and takes less than a share ``least`` of the picture is a solid mark and no sheet.
    """
    sheet, view = _on_a_sheet(gray)
    solid = view is not None and not view.guess.dark and view.smooth.size < least * gray.size
    if not sheet or solid:
        view = _search(gray)
    view = _without_light(view, gray)
    if view is None:
        return None
    view = replace(view, step=step)
    return replace(view, ink=view.ink and view.placed(view.ink))


def reduce(pixels: Images) -> tuple[Floats, int]:
    """Average blocks of pixels until the longer side has fewer than twice ``_SIDE``."""
    step = min(max(1, max(pixels.shape) * 2 // (3 * _SIDE)), *pixels.shape)  # a strip keeps a row
    height, width = (side // step for side in pixels.shape)
    blocks = pixels[: height * step, : width * step].reshape(height, step, width * step)
    fits = np.uint16 if step <= 65535 // 255 else np.uint32
    sums = blocks.sum(axis=1, dtype=fits).reshape(height, width, step)
    return sums.sum(axis=2, dtype=np.float32) / step**2, step


def _doubtful(view: View | None) -> bool:
    """Say whether there is no ink, or its main part may be light or a shadow: wide, or cut off."""
    if view is None or view.ink is None:
        return True
    guess = view.guess
    if guess.dark and not guess.ground.shaded:  # a scan
        return False
    _, cut = main_scores(guess.parts, shaded=True)
    return bool(cut[view.chosen].any() or guess.parts.widths[guess.main] > LONG)


def _without_light(view: View | None, gray: Floats) -> View | None:
    """Look among light and shadow with hard edges, where they may have been taken for ink."""
    doubtful = _doubtful(view)
    if view is not None and not doubtful:
        parts, main = view.guess.parts, view.guess.main
        pen = min(pen_of(parts, main), _PEN * longer(parts.boxes[[main]]))
        if view.rim is not None:
            return view  # on a sheet
        if not shrink(_with_cut(view), odd(2 * pen)).any() and not _lacks_ink(view):
            return view  # nothing is much wider than its strokes, and all as dark was found
    smooth, noise = _smoothed(gray)
    if noise <= _GRAIN:
        return view  # a drawing
    for ground in darkest_grounds(smooth, _LEVELS if doubtful else _LEVELS[:1]):
        darkest = _view(smooth, noise, ground)
        if darkest is None or _doubtful(darkest):
            continue
        if view is None or doubtful or _differs(view, darkest):
            return darkest
    return view


def _lacks_ink(view: View) -> bool:
    """Say whether much is as dark as the dark ink that was found, and was not."""
    if not view.guess.dark:
        return False
    ours = _with_cut(view)
    same = view.smooth <= np.percentile(view.smooth[ours], 60)
    return bool((same & ~grow(view.guess.mask, 3)).sum() > _LACKS * ours.sum())


def _with_cut(view: View) -> Mask:
    """Mark the parts of the main thing, and those that are cut off by the edge."""
    parts = view.guess.parts
    _, cut = main_scores(parts, shaded=True)
    return members(parts.labels, np.union1d(view.chosen, np.flatnonzero(cut)) + 1, len(cut))


def _differs(view: View, darkest: View) -> bool:
    """Say whether a view has but a part of the ink of the darkest gray, or all and a shadow.

    Of a part alone the ground fell into the rest. A shadow is wider than the strokes, and a part of
    the thing that was found, or cut off by the edge.
    """
    ours, parts = _with_cut(view), darkest.guess.parts
    ink = members(parts.labels, darkest.chosen + 1, len(parts.boxes))
    if (ours & grow(ink, 5)).sum() > _COMMON * ours.sum() and ours.sum() < _COMMON * ink.sum():
        return True
    more = ours & ~grow(ink, 5)
    if (ours & ink).sum() < _COMMON * ink.sum() or more.sum() < _MORE * ours.sum():
        return False
    wide = shrink(more, odd(_BROADER * pen_of(parts, darkest.guess.main))).any()
    return bool(wide) and _lighter(view.smooth[more], view.smooth[ink])


def _guess(gray: NDArray[Any], noise: float, ground: Ground) -> Guess | None:
    """Find the ink of the polarity whose main part weighs most."""
    best: Guess | None = None
    strokes, cut_off = [0], False
    for dark, contrast in ground.contrasts:
        mask = contrast > max(threshold_of(contrast), 4 * noise, _FAINTEST)
        lines = ruled_lines(mask) if min(gray.shape) > 60 else np.zeros_like(mask)
        mask &= ~lines
        if not mask.any():
            continue
        parts = parts_of(mask, contrast)
        scores, cut = main_scores(parts, shaded=ground.shaded)
        main = int(scores.argmax())
        faint = ~grow(mask, 3) if ground.darkest else np.zeros_like(mask)
        depth = gray.max() - gray if dark else gray - gray.min()
        if (ink := without_shadow(mask, depth, parts, main, shaded=ground.shaded)) is not None:
            faint |= mask & ~grow(ink, 3)
            mask, parts = ink, parts_of(ink, contrast)
            scores, cut = main_scores(parts, shaded=ground.shaded)
            main = int(scores.argmax())
        clear = (parts.widths < LONG) & ~parts.frames & (parts.mass > 0.05 * parts.mass.max())
        strokes.append(int(clear.sum()))
        if best is None or scores[main] > best.score:
            score = float(scores[main])
            best = Guess(dark, ground, mask, lines, faint, parts, main, score, strokes[-1])
            cut_off = bool(cut[main])
    # What is cut off may be the ground between the lines of a text.
    return replace(best, strokes=max(strokes)) if best and cut_off else best


def _smoothed(gray: Floats) -> tuple[NDArray[np.float64], float]:
    """Smooth a picture that is not tiny; return it and the standard deviation of its grain."""
    smooth = window_mean(gray, 3) if min(gray.shape) > 60 else gray.astype(np.float64)
    return smooth, 1.4826 * median(np.abs(gray - smooth))


def _search(gray: Floats) -> View | None:
    """Find ink on one ground."""
    smooth, noise = _smoothed(gray)
    return _view(smooth, noise, find_ground(smooth))


def _view(smooth: NDArray[np.float64], noise: float, ground: Ground) -> View | None:
    guess = _guess(smooth, noise, ground)
    if guess is None:
        return None
    chosen = neighbours(guess.parts, guess.main)
    blob = guess.ground.shaded and guess.parts.widths[guess.main] > BLOB
    ink = None if blob else cut_out(smooth, guess, chosen)
    return View(ink, chosen, smooth, guess)


def cut_out(
    smooth: NDArray[np.float64], guess: Guess, chosen: NDArray[np.int64], *, even: bool = True
) -> Ink | None:
    """Cut one thing out of its ground, the parts ``chosen``; None where it does not stand out.

    With ``even`` its strokes are brought to an even width.
    """
    top, bottom, left, right = box_around(guess.parts.boxes[chosen])
    size = max(bottom - top, right - left)
    around = size // 4 + 2
    y, x = max(top - around, 0), max(left - around, 0)
    region = slice(y, bottom + around), slice(x, right + around)
    ours = members(guess.parts.labels[region], chosen + 1, len(guess.parts.boxes))
    if guess.ground.shaded:
        height, width = smooth.shape
        edge = (top == 0) + (left == 0) + (bottom == height) + (right == width)
        least = _CLEAR_CUT if edge or guess.ground.darkest else _CLEAR  # it may be a shadow
        if not _stands_out(smooth[region], ours, guess.dark, max(smooth.shape), least):
            return None
        around = smooth[region][~grow(ours, 5)]
        if guess.ground.darkest and not _lighter(around, smooth[region][ours]):
            return None
    soft = _soft_ink(smooth[region], ours, guess, region, odd(0.6 * size))
    rows, columns = positions(soft > 0.5)
    if not len(rows):
        return None
    top, bottom = int(rows.min()), int(rows.max()) + 1
    left, right = int(columns.min()), int(columns.max()) + 1
    soft = soft[top:bottom, left:right]
    return Ink(
        pixels=_picture(soft, even=even),
        mask=soft > 0.5,
        box=(y + top, y + bottom, x + left, x + right),
        dark=guess.dark,
        shaded=guess.ground.shaded,
        shadow=guess.ground.shadow,
        ruled=bool(guess.lines.any()),
        sheet=False,
    )


def _stands_out(
    gray: NDArray[np.float64], ours: Mask, dark: bool, longest: int, least: float
) -> bool:
    """Tell ink from texture of paper, whose contrast is small, and from specks."""
    free = ~grow(ours, 5)
    if not free.any():
        return False
    ink, ground = median(gray[ours]), median(gray[free])
    contrast = (ground - ink) / max(ground, 1.0) if dark else (ink - ground) / 225
    rows, columns = positions(ours)
    return bool(contrast > least and max(np.ptp(rows), np.ptp(columns)) > SMALL * longest)


def _lighter(around: NDArray[np.float64], ink: NDArray[np.float64]) -> bool:
    """Say whether grays around dark ink are lighter by a gap, as in a shadow, unlike fur."""
    gap = np.percentile(around, 5) - np.percentile(ink, 90)
    return bool(gap >= _LIGHTER * (median(around) - median(ink)))


def _soft_ink(
    gray: NDArray[np.float64], ours: Mask, guess: Guess, region: tuple[slice, slice], size: int
) -> NDArray[np.float64]:
    """Weigh the pixels of a region, 0 ground to 1 ink, against the ground near by.

    The ground is the mean of what is not ink in windows of ``size`` (normalized convolution,
    Knutsson & Westin 1993), so that wide strokes and closed curves are filled.
    """
    mask, lines = guess.mask[region], guess.lines[region]
    free = ~grow(mask, 5)
    weight = window_mean(free, size)
    rest = gray[free] if free.any() else np.array([gray.max() if guess.dark else gray.min()])
    ground = np.where(
        weight > 0.02, window_mean(gray * free, size) / np.maximum(weight, 1e-9), median(rest)
    )
    contrast = np.maximum(ground - gray if guess.dark else gray - ground, 0)
    soft = np.clip(contrast / max(float(np.percentile(contrast[ours], 60)), 1.0), 0, 1)
    soft[(mask & ~ours) | guess.faint[region]] = 0  # another thing, or a shadow of one
    labels, boxes = label_components(ours | ((soft > 0.5) & ~lines))
    near = grow(ours, 3) | members(labels, labels[ours], len(boxes))
    return soft * near


def _picture(soft: NDArray[np.float64], *, even: bool) -> Images:
    """Add a margin; with ``even`` bring thin and thick strokes to a tenth of the longer side."""
    size = max(soft.shape)
    soft = np.pad(soft, int(0.15 * size) + 2)
    if even:
        ink = soft > 0.5
        outline = ink.sum() - shrink(ink, 3).sum()
        width = 2 * int(ink.sum()) / max(1, int(outline))
        if (missing := round(_STROKE * size - width)) > 0:
            soft = grow(soft, odd(missing + 1))
        elif width > _THICK * size:
            thin = shrink(soft, odd(1 - missing))
            lost = ink & ~grow(thin > 0.5, odd(3 - 2 * missing))
            if lost.sum() < _LOST * ink.sum():  # else a fine stroke beside thick ones goes
                soft = thin
    if size > 60:
        soft = window_mean(soft, 3)
    return np.round(np.clip(soft, 0, 1) * 255).astype(np.uint8)


def _on_a_sheet(gray: Floats) -> tuple[bool, View | None]:
    """Find a sheet that lies on something else, darker or lighter, and the ink on it.

    Returns:
        True where there is a sheet, and what is on it, if anything.
    """
    threshold = threshold_of(gray)
    for dark, mask in ((False, gray > threshold), (True, gray <= threshold)):
        if not mask.any() or border(mask).mean() > 0.25:
            continue
        labels, boxes = label_components(mask)
        areas = np.bincount(labels[mask])
        top, bottom, left, right = boxes[areas.argmax() - 1]
        if areas.max() <= max(0.6 * (bottom - top) * (right - left), 0.1 * gray.size):
            continue
        sheet = labels[top:bottom, left:right] == areas.argmax()
        inside = gray[top:bottom, left:right]
        size = odd(min(sheet.shape) // 3)  # wider than strokes, so that ink belongs to the sheet
        whole = shrink(grow(sheet, size), size)
        core = shrink(whole, odd(2 * max(2, min(sheet.shape) // 40)))
        level = median(inside[sheet])
        view = _search(np.where(core, inside, level).astype(np.float32))
        if view is None or view.ink is None:
            return not is_even(gray), view  # on even ground it is a solid mark
        wide = view.guess.parts.widths[view.guess.main] > _HOLE
        if dark and wide and filled(sheet) < _FILLED:
            continue  # a hole in a thick stroke
        box = view.ink.box
        part = slice(box[0], box[1]), slice(box[2], box[3])
        rim = core & ~shrink(core, 5)
        if (rim[part] & (np.abs(inside[part] - level) > 0.25 * level)).sum() > 2:
            continue  # ink that is cut off: the lit part of a sheet in shadow
        return True, replace(view, rim=rim, origin=(int(top), int(left)))
    return False, None
