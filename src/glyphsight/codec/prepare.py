"""Prepare gray pictures for the resize: ink, polarity, centring as MNIST's digits have it, crop."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.ink import SMALLEST, Images, Ink, find_ink
from glyphsight.codec.profile import Profile
from glyphsight.codec.resample import resize
from glyphsight.codec.sound import trim
from glyphsight.codec.things import Inks, find_inks, find_on_paper

Box = tuple[int, int, int, int]  # top, bottom, left, right, ends excluded

FAINT = 16  # smallest range of gray values of a picture with content; a smaller range is noise
_SIDE, _BOX = 28, 20  # MNIST's pictures, and the box that a digit fills
CENTRED = (_SIDE, _SIDE)
_MIDDLE = 14.5 / _SIDE  # the centre of pixel (14, 14), where MNIST's centres of mass lie


@dataclass(frozen=True)
class Prepared:
    """A picture after its ink was found, after polarity and centring."""

    pixels: Images  # uint8[H, W]; uint8[28, 28] where ``centred``
    inverted: bool  # True where bright and dark were exchanged
    centred: bool  # True where the content was scaled and moved to the middle
    ink: Ink | None = None  # ink that was found; None where none was sought or there is none

    def in_picture(self, box: Box) -> Box:
        """Return a box of ``pixels`` in pixels of the picture, from which ink may be cut out."""
        if self.ink is None:
            return box
        margin = (self.pixels.shape[0] - self.ink.mask.shape[0]) // 2
        step = (self.ink.box[1] - self.ink.box[0]) // self.ink.mask.shape[0]
        y, x = self.ink.box[0] - margin * step, self.ink.box[2] - margin * step
        top, bottom, left, right = (step * edge for edge in box)
        return y + top, y + bottom, x + left, x + right


def prepare(pixels: Images, profile: Profile) -> Prepared:
    """Apply a profile's ink, polarity and centring to one picture, uint8[H, W]."""
    if _seeks_ink(pixels.shape, profile):
        if profile.ink:
            return _prepared(find_ink(pixels), pixels, profile)
        if (found := find_on_paper(pixels)) is not None:
            return _prepared((*found.things, None)[0], pixels, profile)
    turned = _to_invert(pixels[None], profile.invert)
    image = exchange(pixels[None], turned)
    moved, centred = centre_content(image) if profile.centre else (np.zeros(1, bool), image)
    return Prepared((centred if moved[0] else image)[0], bool(turned[0]), bool(moved[0]))


def prepare_things(pixels: Images, profile: Profile) -> tuple[list[Prepared], Inks]:
    """Apply a profile to each thing of one picture, uint8[H, W], in reading order.

    One thing alone, or a picture in which no ink is sought, is as :func:`prepare` makes it.
    """
    found = None
    if _seeks_ink(pixels.shape, profile):
        found = find_inks(pixels) if profile.ink else find_on_paper(pixels)
    if found is None:
        return [prepare(pixels, replace(profile, ink=False, paper=False))], Inks()
    return [_prepared(ink, pixels, profile) for ink in found.things or (None,)], found


def _seeks_ink(shape: tuple[int, ...], profile: Profile) -> bool:
    return profile.seeks_ink and max(shape) >= SMALLEST


def _prepared(ink: Ink | None, pixels: Images, profile: Profile) -> Prepared:
    """Apply the rest of a profile to ink; a picture without is black."""
    found = np.zeros_like(pixels) if ink is None else ink.pixels
    done = prepare(found, replace(profile, ink=False, paper=False))
    return replace(done, inverted=ink is not None and ink.dark, ink=ink)


def remaining(profile: Profile) -> Profile:
    """Return a profile without what :func:`prepare` has done: ink, polarity and centring."""
    return replace(profile, ink=False, paper=False, invert="no", centre=False)


def prepare_batch(
    images: Images, profile: Profile, changed: Counter[str] | None = None
) -> Iterator[Images]:
    """Apply a profile's ink, polarity, centring, trim and crop to pictures uint8[N, H, W].

    The numbers of pictures ``inverted`` and ``centred`` are added to ``changed``. Yields
    uint8[n, h, w], pieces of one size each, in the order of the pictures.
    """
    changed = Counter() if changed is None else changed
    if _seeks_ink(images.shape[1:], profile):
        rest = remaining(profile)
        for image in images:
            done = prepare(image, profile)
            changed.update(inverted=done.inverted, centred=done.centred)
            yield from prepare_batch(done.pixels[None], rest)
        return
    turned = _to_invert(images, profile.invert)
    changed["inverted"] += int(turned.sum())
    images = exchange(images, turned)
    for whole in _centred(images, changed) if profile.centre else [images]:
        for piece in [whole] if profile.trim is None else trim(whole, profile.trim):
            if profile.crop is None:
                yield piece
            else:
                yield from (part[None] for part in crop_to_content(piece, profile.crop))


def dark_on_light(images: Images) -> NDArray[np.bool_]:
    """Find pictures whose background, the median of the outermost pixels, is the brighter side.

    Takes uint8[N, H, W], gives bool[N].
    """
    border = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    background = np.median(np.concatenate(border, axis=1), axis=1)
    low, high = _ends(images)
    dark: NDArray[np.bool_] = 2 * background > low + high
    return dark


def _ends(images: Images) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the darkest and the brightest gray of each picture, int64[N]."""
    flat = images.reshape(len(images), -1)
    return flat.min(axis=1).astype(np.int64), flat.max(axis=1).astype(np.int64)


def _to_invert(images: Images, invert: str) -> NDArray[np.bool_]:
    """Find the pictures that a profile's ``invert`` turns, bool[N]."""
    if invert == "auto":
        return dark_on_light(images)
    return np.full(len(images), invert == "yes")


def exchange(images: Images, turned: NDArray[np.bool_]) -> Images:
    """Exchange bright and dark in the pictures that ``turned``, bool[N], marks."""
    if not turned.any():
        return images
    return images ^ np.where(turned, 255, 0).astype(np.uint8)[:, None, None]


def content(images: Images) -> NDArray[np.bool_]:
    """Mark what is brighter than a fifth of each picture's range, bool[N, H, W]."""
    low, high = _ends(images)
    return images > ((4 * low + high) // 5).astype(np.uint8)[:, None, None]


def content_boxes(images: Images) -> NDArray[np.int64]:
    """Find what is brighter than a fifth of each picture's range.

    Takes uint8[N, H, W], bright on dark, gives int64[N, 4]: top, bottom, left, right, ends
    excluded; all 0 for a flat picture.
    """
    low, high = _ends(images)
    ink = content(images)
    sides, lines = [], (np.asarray(ink.any(axis=axis)) for axis in (2, 1))
    for line in lines:
        sides += [line.argmax(axis=1), line.shape[1] - line[:, ::-1].argmax(axis=1)]
    boxes = np.stack(sides, axis=1)
    boxes[high - low < FAINT] = 0
    return boxes


def crop_to_content(images: Images, margin: float) -> Iterator[Images]:
    """Crop each picture, uint8[N, H, W], to what stands out from its background.

    The margin on each side is a share of the content's longer side, as far as the picture reaches.
    Yields views uint8[h, w]; the whole of a flat picture.
    """
    boxes = content_boxes(exchange(images, dark_on_light(images)))
    for image, (top, bottom, left, right) in zip(images, boxes.tolist(), strict=True):
        if not bottom:
            yield image
            continue
        extra = math.ceil(margin * max(bottom - top, right - left))
        yield image[max(0, top - extra) : bottom + extra, max(0, left - extra) : right + extra]


def centre_content(images: Images) -> tuple[NDArray[np.bool_], Images]:
    """Scale content to a 20x20 box and move its centre of mass to the middle of 28x28 pixels.

    So MNIST's digits were made (LeCun et al. 1998, section III-A); their centres of mass lie within
    pixel (14, 14). Content that lies so already, as every digit of MNIST does, stays as it is, and
    so does a flat picture. What is centred is stretched to the full range of gray values. A dark
    background counts as 0, a light one, whose pictures keep their polarity, as 255.

    Args:
        images: uint8[N, H, W].

    Returns:
        bool[N], which pictures had to be centred, and those, uint8[n, 28, 28].
    """
    light = dark_on_light(images)
    images = exchange(images, light)
    boxes = content_boxes(images)
    moved = boxes[:, 1] > 0
    moved[moved] = ~_lie_centred(images[moved], boxes[moved])
    images, boxes = images[moved], boxes[moved]
    centred = np.zeros((len(images), _SIDE, _SIDE), dtype=np.uint8)
    shapes, which = np.unique(boxes[:, [1, 3]] - boxes[:, [0, 2]], axis=0, return_inverse=True)
    for number in range(len(shapes)):  # one resize for each size
        rows = np.flatnonzero(which == number)
        found = zip(rows, boxes[rows], strict=True)
        content = np.stack([images[row, a:b, c:d] for row, (a, b, c, d) in found])
        low, high = (end[:, None, None] for end in _ends(images[rows]))
        scale = 255 / (high - low)
        _scale_into(
            np.round((content - low.astype(np.uint8)) * scale).astype(np.uint8), centred, rows
        )
    return moved, exchange(centred, light[moved])


def _lie_centred(images: Images, boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find content that lies about as MNIST's digits do, by its box or by its centre of mass."""
    count, height, width = images.shape
    if not 0.9 < width / height < 1.1:
        return np.zeros(count, dtype=bool)
    top, bottom, left, right = boxes.T
    longest = np.maximum(bottom - top, right - left) / max(height, width)
    off = np.maximum(np.abs(top + bottom - height) / height, np.abs(left + right - width) / width)
    lies: NDArray[np.bool_] = (longest >= 0.6) & (longest <= 0.8) & (off <= 0.3)
    # A few of MNIST's digits are smaller, or their box lies aside of their centre of mass.
    left_over = np.flatnonzero(~lies & (longest >= 0.5) & (longest <= 0.8))
    some = images[left_over]
    mass = (some - some.min(axis=(1, 2), keepdims=True)).astype(np.float64)
    down, across = _centres_of_mass(mass)
    far = np.maximum(np.abs(down / height - _MIDDLE), np.abs(across / width - _MIDDLE))
    lies[left_over] = far <= 0.6 / _SIDE
    return lies


def _centres_of_mass(mass: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take the mean row and column, in pixels from the edge, of mass float64[N, H, W]."""
    _, height, width = mass.shape
    total = np.maximum(mass.sum(axis=(1, 2)), 1.0)
    down = (mass.sum(axis=2) * (np.arange(height) + 0.5)).sum(axis=1) / total
    across = (mass.sum(axis=1) * (np.arange(width) + 0.5)).sum(axis=1) / total
    return down, across


def _scale_into(content: Images, centred: Images, rows: NDArray[np.intp]) -> None:
    """Scale content uint8[n, h, w] to the box and write it into ``centred[rows]``."""
    _, height, width = content.shape
    scale = _BOX / max(height, width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    small = resize(content, tall, wide)
    down, across = _centres_of_mass(small.astype(np.float64))
    tops = np.clip(np.ceil(_SIDE / 2 - down), 0, _SIDE - tall).astype(np.intp)
    lefts = np.clip(np.ceil(_SIDE / 2 - across), 0, _SIDE - wide).astype(np.intp)
    for row, picture, top, left in zip(rows, small, tops.tolist(), lefts.tolist(), strict=True):
        centred[row, top : top + tall, left : left + wide] = picture


def _centred(images: Images, changed: Counter[str]) -> Iterator[Images]:
    """Centre pictures; pieces of one size each, in order."""
    moved, centred = centre_content(images)
    changed["centred"] += int(moved.sum())
    if images.shape[1:] == (_SIDE, _SIDE):
        result = images.copy()
        result[moved] = centred
        yield result
        return
    done = iter(centred)
    for changed, some in itertools.groupby(range(len(images)), key=moved.__getitem__):
        rows = list(some)
        yield np.stack([next(done) for _ in rows]) if changed else images[rows]
