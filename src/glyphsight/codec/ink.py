"""Find the ink in a photograph: shadows, paper, ruled lines and the desk around it are taken away.

The ground behind the ink is estimated twice (grayscale closing or opening, Serra 1982, and a local
median), so that neither a shadow nor the inside of a 0 is taken for ink; Otsu's threshold and
connected components follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from glyphsight.codec.levels import otsu_thresholds

Images = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

SMALLEST = 48
"""Smallest longer side, in pixels, of a picture in which ink is sought."""
_SIDE = 256  # the search works on a copy of about as many pixels on the longer side
_FAINTEST = 10.0  # gray values between the faintest ink and its ground
_CLEAR = 0.15  # on uneven ground: contrast of the ink as a share of the ground's brightness
_BLOB = 0.3  # widest stroke as a share of the longest side of its part
_WIDE = 0.15  # width of a stroke, likewise, above which a part is doubtful
_SMALL = 0.03  # longest side of a speck as a share of the picture's
_STROKE = 0.10  # width of an even stroke as a share of the ink's longer side, as in MNIST's digits
_NEAR = 0.12  # largest gap between parts of one thing, as a share of its longer side


@dataclass(frozen=True)
class Ink:
    """One thing drawn or written, by itself.

    Attributes:
        pixels: uint8[h, w], ink bright on black, strokes of an even width, a margin around it.
        box: Top, bottom, left, right in pixels of the picture, ends excluded.
        dark: True where the ink is darker than its ground.
        shaded: True where the ground is uneven: a shadow, paper, noise.
        ruled: True where lines of ruled or squared paper were taken away.
        sheet: True where the ink stands on a sheet that lies on something else.
    """

    pixels: Images
    box: tuple[int, int, int, int]
    dark: bool
    shaded: bool
    ruled: bool
    sheet: bool

    def __str__(self) -> str:
        """Say in a line what was found and what was taken away."""
        mark, ground = ("dark", "light") if self.dark else ("light", "dark")
        found = f"a {mark} mark on {ground} ground" + ", on a sheet" * self.sheet
        done = ["uneven ground evened out"] * self.shaded + ["ruled lines left out"] * self.ruled
        return "; ".join([found, *done])


@dataclass(frozen=True)
class _Parts:
    """Connected components of the ink: a label per pixel, and per component mass and box."""

    labels: NDArray[np.int64]  # [H, W], 0 outside
    mass: NDArray[Any]  # [n], contrast summed over the pixels
    boxes: NDArray[np.int64]  # [n, 4]: top, bottom, left, right
    frames: Mask  # [n], hollow and about as large as the picture
    widths: NDArray[Any]  # [n], width of the strokes as a share of the longest side


@dataclass(frozen=True)
class _Guess:
    """Ink as one polarity has it."""

    dark: bool
    shaded: bool
    mask: Mask
    lines: Mask
    parts: _Parts
    main: int
    score: float


def find_ink(pixels: Images) -> Ink | None:
    """Find the main thing drawn or written in a picture, of either polarity.

    Args:
        pixels: uint8[H, W].

    Returns:
        The ink, or None where nothing stands out from the ground, as on blank paper.
    """
    gray, step = _reduce(pixels)
    sheet, ink = _on_a_sheet(gray)
    if not sheet:
        ink = _search(gray)
    if ink is None:
        return None
    top, bottom, left, right = (int(edge) * step for edge in ink.box)
    return replace(ink, box=(top, bottom, left, right))


def _reduce(pixels: Images) -> tuple[Floats, int]:
    """Average blocks of pixels until the longer side has fewer than twice ``_SIDE``."""
    step = max(1, max(pixels.shape) * 2 // (3 * _SIDE))
    height, width = (side // step for side in pixels.shape)
    blocks = pixels[: height * step, : width * step].reshape(height, step, width * step)
    sums = blocks.sum(axis=1, dtype=np.uint16).reshape(height, width, step)  # step is below 257
    return sums.sum(axis=2, dtype=np.float32) / step**2, step


def _extreme(image: NDArray[Any], size: int, operation: np.ufunc) -> NDArray[Any]:
    """Take the extreme of square windows of an odd size; edges are repeated outside."""
    for axis in (0, 1):
        around = [(0, 0), (0, 0)]
        around[axis] = (size // 2, size // 2)
        image = np.moveaxis(np.pad(image, around, mode="edge"), axis, 0)
        done = 1
        while done < size:  # windows double until they reach the size
            more = min(done, size - done)
            image = operation(image[: len(image) - more], image[more:])
            done += more
        image = np.moveaxis(image, 0, axis)
    return image


def grow(image: NDArray[Any], size: int) -> NDArray[Any]:
    """Take the maximum of square windows of an odd size; edges are repeated outside."""
    return _extreme(image, size, np.maximum)


def shrink(image: NDArray[Any], size: int) -> NDArray[Any]:
    """Take the minimum of square windows of an odd size; edges are repeated outside."""
    return _extreme(image, size, np.minimum)


def window_mean(image: NDArray[Any], size: int) -> NDArray[np.float64]:
    """Take the mean of square windows of an odd size; edges are repeated outside."""
    result = image.astype(np.float64)
    for axis in (0, 1):
        around = [(0, 0), (0, 0)]
        around[axis] = (size // 2 + 1, size // 2)
        total = np.moveaxis(np.pad(result, around, mode="edge"), axis, 0).cumsum(axis=0)
        result = np.moveaxis((total[size:] - total[:-size]) / size, 0, axis)
    return np.asarray(result, dtype=np.float64)


def _odd(size: float) -> int:
    return int(size) | 1


def _border(gray: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])


def _threshold(values: NDArray[Any]) -> float:
    """Return Otsu's threshold of values of 0 to 255."""
    found = otsu_thresholds(np.clip(np.round(values), 0, 255).astype(np.uint8), 2)
    return 255.0 if found is None else found[0] - 0.5


def _local_median(gray: NDArray[Any]) -> NDArray[Any]:
    """Take the median of windows of 0.45 of the longer side, on a small copy."""
    step = max(1, -(-max(gray.shape) // 40))
    padded = np.pad(gray, [(0, -side % step) for side in gray.shape], mode="edge")
    rows, columns = padded.shape[0] // step, padded.shape[1] // step
    small = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    size = _odd(0.45 * max(small.shape))
    windows = sliding_window_view(np.pad(small, size // 2, mode="edge"), (size, size))
    result: NDArray[Any] = np.median(windows.reshape(rows, columns, -1), axis=-1)
    for axis, side in enumerate(gray.shape):  # bilinear, back to the size of the picture
        where = np.clip((np.arange(side) + 0.5) / step - 0.5, 0, result.shape[axis] - 1)
        below = where.astype(int)
        above = np.minimum(below + 1, result.shape[axis] - 1)
        share = (where - below).reshape([-1, 1] if axis == 0 else [1, -1])
        result = result.take(below, axis) * (1 - share) + result.take(above, axis) * share
    return result


def _is_even(gray: NDArray[Any]) -> bool:
    """Say whether the ground is even at the border, as in a scan or a drawing."""
    off = np.abs(_border(gray) - np.median(_border(gray)))
    return bool(1.4826 * np.median(off) <= 2.5 and (off > 12).mean() < 0.5)


def _contrasts(gray: NDArray[Any]) -> tuple[bool, list[tuple[bool, NDArray[np.float64]]]]:
    """Compute how far pixels stand out from the ground, dark ink or light.

    Returns:
        True where the ground is uneven, and pairs of polarity (True for dark ink) and contrast.
    """
    if _is_even(gray):
        level = float(np.median(_border(gray)))
        dark = 2 * level > float(gray.min()) + float(gray.max())
        return False, [(dark, np.maximum(level - gray if dark else gray - level, 0))]
    median = _local_median(gray)
    size = max(_odd(0.3 * min(gray.shape)), _odd(0.12 * max(gray.shape)))
    closed, opened = shrink(grow(gray, size), size), grow(shrink(gray, size), size)
    return True, [
        (True, np.maximum(np.minimum(closed, median) - gray, 0)),
        (False, np.maximum(gray - np.maximum(opened, median), 0)),
    ]


def _run_lengths(mask: Mask) -> NDArray[np.int64]:
    """Count, for each pixel of a mask, the pixels of its run up and down."""
    rows = np.arange(len(mask))[:, None]
    above = np.maximum.accumulate(np.where(mask, -1, rows), axis=0)
    below = np.minimum.accumulate(np.where(mask, len(mask), rows)[::-1], axis=0)[::-1]
    lengths: NDArray[np.int64] = np.where(mask, below - above - 1, 0)
    return lengths


def _ruled_lines(mask: Mask) -> Mask:
    """Find thin lines, nearly level or upright, that cross most of the picture."""
    return _level_lines(mask) | _level_lines(mask.T).T


def _level_lines(mask: Mask) -> Mask:
    height, width = mask.shape
    found = np.zeros_like(mask)
    thin = mask & (_run_lengths(mask) <= max(3, height / 45))
    if thin.sum() < width / 2:
        return found
    columns, span = np.arange(width), max(1, int(0.6 * width))
    for degrees in np.arange(-7.5, 8, 1.5):  # a sheared copy has the lines of this slope level
        shift = np.round(np.tan(np.deg2rad(degrees)) * (columns - width / 2)).astype(np.int64)
        rows = np.arange(height)[:, None] + shift
        inside = (rows >= 0) & (rows < height)
        sheared = thin[np.clip(rows, 0, height - 1), columns] & inside
        near = sheared.copy()
        near[1:] |= sheared[:-1]
        near[:-1] |= sheared[1:]
        able = np.flatnonzero(near.sum(axis=1) > 0.85 * span)
        total = np.pad(near[able].cumsum(axis=1, dtype=np.int32), ((0, 0), (1, 0)))
        hits = (total[:, span:] - total[:, :-span]).max(axis=1) > 0.85 * span
        for row in able[hits]:
            here = inside[row]
            found[rows[row][here], columns[here]] = True
    lines: Mask = thin & grow(found, 5)
    return lines


def label_components(mask: Mask) -> tuple[NDArray[np.int64], int]:
    """Number the 8-connected components of a mask from 1; 0 elsewhere.

    Runs of each row are joined with the runs of the row above that they touch, until no number
    changes (two-pass labelling, Rosenfeld & Pfaltz 1966, over runs).
    """
    height, width = mask.shape
    change = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(change == 1)
    end = np.nonzero(change == -1)[1]
    stride = width + 2
    first = np.searchsorted(row * stride + end, (row - 1) * stride + start)
    last = np.searchsorted(row * stride + start, (row - 1) * stride + end, side="right")
    count = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(row)), count)
    within = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    upper = np.repeat(first, count) + within
    parent = np.arange(len(row))
    while True:
        joined = parent.copy()
        smaller = np.minimum(parent[lower], parent[upper])
        np.minimum.at(joined, parent[lower], smaller)
        np.minimum.at(joined, parent[upper], smaller)
        joined = joined[joined]
        if (joined == parent).all():
            break
        parent = joined
    numbers, which = np.unique(parent, return_inverse=True)
    edges = np.zeros((height, width + 1), dtype=np.int64)
    np.add.at(edges, (row, start), which + 1)
    np.add.at(edges, (row, end), -(which + 1))
    return edges.cumsum(axis=1)[:, :width], len(numbers)


def _parts(mask: Mask, contrast: NDArray[np.float64]) -> _Parts:
    """Measure the connected components of a mask that is not empty."""
    labels, count = label_components(mask)
    mass = np.bincount(labels.ravel(), weights=contrast.ravel(), minlength=count + 1)[1:]
    rows, columns = np.nonzero(labels)
    which = labels[rows, columns] - 1
    boxes = np.empty((count, 4), dtype=np.int64)
    boxes[:, ::2], boxes[:, 1::2] = max(mask.shape), 0
    for side, values in ((0, rows), (2, columns)):
        np.minimum.at(boxes[:, side], which, values)
        np.maximum.at(boxes[:, side + 1], which, values + 1)
    area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    frames = (area > 0.35 * mask.size) & (mass < 0.12 * area * (contrast.max() + 1))
    outline = labels * ~shrink(mask, 3)
    size, length = (np.bincount(one.ravel(), minlength=count + 1)[1:] for one in (labels, outline))
    longest = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2])
    widths = 2 * size / np.maximum(length, 1) / longest
    return _Parts(labels, mass, boxes, frames, widths)


def _guess(gray: NDArray[Any], noise: float) -> _Guess | None:
    """Find the ink of the polarity whose main part weighs most."""
    best: _Guess | None = None
    shaded, contrasts = _contrasts(gray)
    for dark, contrast in contrasts:
        mask = contrast > max(_threshold(contrast), 4 * noise, _FAINTEST)
        lines = _ruled_lines(mask) if min(gray.shape) > 60 else np.zeros_like(mask)
        mask &= ~lines
        if not mask.any():
            continue
        parts = _parts(mask, contrast)
        top, bottom, left, right = parts.boxes.T
        cut = (top == 0) | (left == 0) | (bottom == gray.shape[0]) | (right == gray.shape[1])
        scores = parts.mass * np.where(cut, 0.25, 1) * np.where(parts.frames, 0.05, 1)
        if shaded:
            # Wide parts are rather a lit part of the ground or a corner of a sheet.
            scores *= np.minimum(1, _WIDE / parts.widths) ** 3
        main = int(scores.argmax())
        if best is None or scores[main] > best.score:
            best = _Guess(dark, shaded, mask, lines, parts, main, float(scores[main]))
    return best


def _neighbours(parts: _Parts, main: int) -> NDArray[np.int64]:
    """Gather the parts of one thing: the main one, and what lies near, again and again."""
    boxes = parts.boxes
    size = max(boxes[main, 1] - boxes[main, 0], boxes[main, 3] - boxes[main, 2])
    able = ~parts.frames & (parts.mass >= 0.02 * parts.mass[main])
    chosen = np.arange(len(boxes)) == main
    while True:
        top, left = boxes[chosen][:, [0, 2]].min(axis=0)
        bottom, right = boxes[chosen][:, [1, 3]].max(axis=0)
        down = np.maximum(boxes[:, 0] - bottom, top - boxes[:, 1])
        across = np.maximum(boxes[:, 2] - right, left - boxes[:, 3])
        more = chosen | (able & (np.maximum(down, across) <= _NEAR * size))
        if (more == chosen).all():
            return np.flatnonzero(chosen)
        chosen = more


def _search(gray: Floats) -> Ink | None:
    """Find ink on one ground."""
    smooth = window_mean(gray, 3) if min(gray.shape) > 60 else gray.astype(np.float64)
    guess = _guess(smooth, 1.4826 * float(np.median(np.abs(gray - smooth))))
    if guess is None:
        return None
    chosen = _neighbours(guess.parts, guess.main)
    top, left = guess.parts.boxes[chosen][:, [0, 2]].min(axis=0)
    bottom, right = guess.parts.boxes[chosen][:, [1, 3]].max(axis=0)
    size = max(bottom - top, right - left)
    around = size // 4 + 2
    y, x = max(top - around, 0), max(left - around, 0)
    region = slice(y, bottom + around), slice(x, right + around)
    ours = np.isin(guess.parts.labels[region], chosen + 1)
    if guess.shaded and (
        guess.parts.widths[guess.main] > _BLOB
        or not _stands_out(smooth[region], ours, guess.dark, max(gray.shape))
    ):
        return None
    soft = _soft_ink(smooth[region], ours, guess, region, _odd(0.6 * size))
    rows, columns = np.nonzero(soft > 0.5)
    if not len(rows):
        return None
    box = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    return Ink(
        pixels=_even_strokes(soft[box[0] : box[1], box[2] : box[3]]),
        box=(y + box[0], y + box[1], x + box[2], x + box[3]),
        dark=guess.dark,
        shaded=guess.shaded,
        ruled=bool(guess.lines.any()),
        sheet=False,
    )


def _stands_out(gray: NDArray[np.float64], ours: Mask, dark: bool, longest: int) -> bool:
    """Tell ink from texture of paper, whose contrast is small, and from specks."""
    free = ~grow(ours, 5)
    if not free.any():
        return False
    ink, ground = np.median(gray[ours]), np.median(gray[free])
    contrast = (ground - ink) / max(float(ground), 1.0) if dark else (ink - ground) / 225
    rows, columns = np.nonzero(ours)
    return bool(contrast > _CLEAR and max(np.ptp(rows), np.ptp(columns)) > _SMALL * longest)


def _soft_ink(
    gray: NDArray[np.float64], ours: Mask, guess: _Guess, region: tuple[slice, slice], size: int
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
        weight > 0.02, window_mean(gray * free, size) / np.maximum(weight, 1e-9), np.median(rest)
    )
    contrast = np.maximum(ground - gray if guess.dark else gray - ground, 0)
    soft = np.clip(contrast / max(float(np.percentile(contrast[ours], 60)), 1.0), 0, 1)
    soft[mask & ~ours] = 0  # another thing, in the same region
    labels, _ = label_components(ours | ((soft > 0.5) & ~lines))
    near = grow(ours, 3) | np.isin(labels, np.unique(labels[ours]))
    return soft * near


def _even_strokes(soft: NDArray[np.float64]) -> Images:
    """Widen thin strokes to a tenth of the longer side and add a margin."""
    size = max(soft.shape)
    soft = np.pad(soft, int(0.15 * size) + 2)
    ink = soft > 0.5
    outline = ink.sum() - shrink(ink, 3).sum()
    missing = round(_STROKE * size - 2 * int(ink.sum()) / max(1, int(outline)))
    if missing > 0:
        soft = grow(soft, _odd(missing + 1))
    if size > 60:
        soft = window_mean(soft, 3)
    return np.round(np.clip(soft, 0, 1) * 255).astype(np.uint8)


def _on_a_sheet(gray: Floats) -> tuple[bool, Ink | None]:
    """Find a sheet that lies on something else, darker or lighter, and the ink on it.

    Returns:
        True where there is a sheet, and its ink, if any.
    """
    threshold = _threshold(gray)
    for mask in (gray > threshold, gray <= threshold):
        if not mask.any() or _border(mask).mean() > 0.25:
            continue
        labels, _ = label_components(mask)
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        sheet = labels == areas.argmax()
        rows, columns = np.nonzero(sheet)
        top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        if areas.max() <= max(0.6 * (bottom - top) * (right - left), 0.1 * gray.size):
            continue
        sheet, inside = sheet[top:bottom, left:right], gray[top:bottom, left:right]
        size = _odd(min(sheet.shape) // 3)  # wider than strokes, so that ink belongs to the sheet
        whole = shrink(grow(sheet, size), size)
        core = shrink(whole, _odd(2 * max(2, min(sheet.shape) // 40)))
        level = np.median(inside[sheet])
        ink = _search(np.where(core, inside, level).astype(np.float32))
        if ink is None:
            return not _is_even(gray), None  # on even ground it is a solid mark
        part = slice(ink.box[0], ink.box[1]), slice(ink.box[2], ink.box[3])
        rim = (core & ~shrink(core, 5))[part]
        if (rim & (np.abs(inside[part] - level) > 0.25 * level)).sum() > 2:
            continue  # ink that is cut off: the lit part of a sheet in shadow
        box = ink.box[0] + top, ink.box[1] + top, ink.box[2] + left, ink.box[3] + left
        return True, replace(ink, box=box, sheet=True)
    return False, None
