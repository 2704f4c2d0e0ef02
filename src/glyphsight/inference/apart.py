"""Name several things apart, or one without its frame, where a model is surer so."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from glyphsight.codec.gaps import in_lines
from glyphsight.errors import PictureError
from glyphsight.inference.answer import Answer
from glyphsight.inference.reading import PictureText
from glyphsight.models.runs import UNKNOWN

_APART = 0.5  # log-probability that two sides of a gap may have less than the whole; a frame none
_FRAMED = "left out the frame around it"
_CERTAIN = 0.95  # probability of a whole that is not parted


def all_halves(text: PictureText) -> Iterator[PictureText]:
    """Yield a text, its halves, and theirs."""
    yield text
    for half in text.halves:
        yield from all_halves(half)


def apart(text: PictureText, found: Iterator[Answer | PictureError]) -> Answer | PictureError:
    """Answer a picture as a whole, or each of its things where the model is surer of them."""
    _, things = _likeliest(text, found)
    for one in things:
        if isinstance(one, PictureError):
            return one
        if len(things) == 1:
            framed = one.found == _FRAMED
            return replace(one, found=f"{text.found or 'one thing'}, {_FRAMED}") if framed else one
    parts = [one for one in things if not isinstance(one, PictureError)]
    boxes = np.array([one.box for one in parts])
    sizes = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    ordered = tuple(parts[row] for row in in_lines(boxes))
    return replace(parts[int(sizes.argmax())], found=text.found, parts=ordered)


def _likeliest(
    text: PictureText, found: Iterator[Answer | PictureError]
) -> tuple[float, list[Answer | PictureError]]:
    """Choose between a text and its halves; return how sure the model is, and the answers."""
    own = next(found)
    sides = [_likeliest(half, found) for half in text.halves]
    known = {} if isinstance(own, PictureError) or own.empty else own.probabilities  # bare bar
    sure = max((chance for label, chance in known.items() if label != UNKNOWN), default=0.0)
    alone = math.log(max(sure, 1e-30))
    together = sum(weight for weight, _ in sides) + _APART * (len(sides) > 1)
    parts = [one for _, some in sides for one in some]
    if len(sides) == 1:
        parts = [
            one if isinstance(one, PictureError) else replace(one, found=_FRAMED) for one in parts
        ]
    named = any(not isinstance(one, PictureError) and one.known for one in parts)
    if named and sure < _CERTAIN and together > alone:
        return together, parts
    return alone, [own]
