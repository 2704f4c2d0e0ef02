"""Read a line of letters and digits sign by sign: the model's own probabilities say where it parts.

A picture is cut at columns with little ink. Every piece between two cuts is named, and the most
likely row of pieces is taken, as readers of handwriting do (Viterbi over a lattice of segments).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import encode_batch
from glyphsight.codec.prepare import prepare, remaining
from glyphsight.errors import ModelError, PictureError
from glyphsight.inference.score import Request, probabilities
from glyphsight.inference.see import Answer, PictureText, to_answer
from glyphsight.media import PictureLike, load_gray
from glyphsight.models.runs import UNKNOWN

if TYPE_CHECKING:
    from glyphsight.inference.model import Model

_FEWEST = 20  # signs that a model knows at least
_NEAR = 0.2  # smallest distance of two cuts through ink, as a share of the line's height
_LITTLE = 0.6  # ink at a cut as a share of the most in any column
_WIDEST = 2.5  # width of a sign as a share of the line's height
_NARROWEST = 0.1  # likewise
_BROAD = 1.0  # width, likewise, from which a sign is less likely the wider it is
_MOST = 120  # cuts of a line
_MARGIN = 3  # pixels around a piece


def read_signs(model: Model, picture: PictureLike) -> Answer:
    """Read one line of letters and digits in a picture.

    Args:
        model: A model that names single letters or digits, such as ``nano-names``.
        picture: A picture of one line, of either polarity.

    Returns:
        An answer whose ``written`` is the line, its ``parts`` the signs with their boxes, and its
        probability the product of theirs; without ink an empty picture's answer.

    Raises:
        ModelError: The model names fewer than 20 signs.
        PictureError: The picture cannot be read, or is more than a line.
    """
    task = model.trained.tasks[0]
    signs = [row for row, label in enumerate(task.labels) if len(label) == 1]
    if len(signs) < _FEWEST:
        raise ModelError(
            f"{model.name} names {len(signs)} letters and digits, too few to read by; "
            "give --model nano-names, or a run trained on letters"
        )
    pixels, run = load_gray(picture), model.trained
    done, rest = (
        prepare(pixels, replace(run.profile, ink=False, centre=False)),
        remaining(run.profile),
    )
    height, width = pixels.shape
    bright = done.pixels
    ink = bright > max(int(bright.max()) // 2, 1)
    whole = PictureText(encode_batch(bright[None], rest)[0], height, width, done.inverted, False)
    answer = to_answer(whole, run, {}, UNKNOWN)
    cuts = _cuts(ink)
    if len(cuts) > _MOST:
        raise PictureError(f"more than {_MOST} places to part it: crop it to one line of signs")
    pieces = _pieces(ink, cuts)
    if answer.empty or not pieces:
        return answer
    texts = []
    for top, bottom, left, right in pieces.values():
        piece = np.pad(bright[top:bottom, left:right], _MARGIN)
        texts.append(encode_batch(piece[None], rest)[0])
    asked = [Request.about(run.prompt, text, task.labels, task.question) for text in texts]
    chances = np.array([probabilities(scores) for scores in model.score(asked)])
    boxes = np.array(list(pieces.values()))
    wide = (boxes[:, 3] - boxes[:, 2]) / _height(ink)
    weights = np.log(chances[:, signs].max(axis=1)) - np.maximum(wide - _BROAD, 0) ** 2
    parts = []
    for row in _likeliest(list(pieces), weights):
        own = chances[row, signs] / chances[row, signs].sum()
        order = np.argsort(-own)
        ranked = {task.labels[signs[place]]: float(own[place]) for place in order}
        label = next(iter(ranked))
        text = PictureText(texts[row], height, width, done.inverted, False)
        top, bottom, left, right = map(int, boxes[row])
        one = to_answer(text, run, ranked, label, label)
        parts.append(
            replace(one, label=label, name=label, known=True, box=(top, bottom, left, right))
        )
    written = "".join(part.label for part in parts)
    chance = math.prod(part.probability or 0.0 for part in parts)
    return replace(
        answer,
        label=written,
        name=written,
        probability=chance,
        known=True,
        parts=tuple(parts),
        written=written,
    )


def _runs(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return first and end of each run of True, intp[n, 2]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def _height(ink: NDArray[np.bool_]) -> int:
    """Return the height of all ink."""
    return int(np.ptp(np.flatnonzero(ink.any(axis=1)))) + 1


def _cuts(ink: NDArray[np.bool_]) -> list[int]:
    """Choose columns where a line of signs may be parted: its ends, gaps, and where ink is thin."""
    across = np.flatnonzero(ink.any(axis=0))
    if not len(across):
        return []
    first, end = int(across[0]), int(across[-1]) + 1
    tall = _height(ink)
    amount = ink.sum(axis=0)
    gaps = [int(a + b) // 2 for a, b in _runs(amount[first:end] == 0) + first]
    near, least = max(2, int(_NEAR * tall)), _LITTLE * amount.max()
    cuts = {first, end, *gaps}
    last = first
    for column in range(first + near, end - near):
        around = amount[column - near : column + near + 1]
        if amount[column] > least or amount[column] > around.min() or column - last <= near:
            continue
        if all(abs(column - gap) >= near for gap in gaps):
            cuts.add(column)
            last = column
    return sorted(cuts)


def _pieces(
    ink: NDArray[np.bool_], cuts: list[int]
) -> dict[tuple[int, int], tuple[int, int, int, int]]:
    """Return the box of the ink, top, bottom, left, right, between any two cuts not too far."""
    tall = _height(ink) if cuts else 0
    found = {}
    for i, left in enumerate(cuts):
        for j in range(i + 1, len(cuts)):
            wide = cuts[j] - left
            if wide > _WIDEST * tall:
                break
            rows = np.flatnonzero(ink[:, left : cuts[j]].any(axis=1))
            if wide < _NARROWEST * tall or not len(rows):
                continue
            columns = np.flatnonzero(ink[:, left : cuts[j]].any(axis=0)) + left
            found[i, j] = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
    return found


def _likeliest(ends: list[tuple[int, int]], weights: NDArray[np.float64]) -> list[int]:
    """Return the numbers of the pieces, from the first cut to the last, of the largest sum."""
    last = max(end for _, end in ends)
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for cut in range(1, last + 1):
        ways = [
            (best[start][0] + weights[row], [*best[start][1], row])
            for row, (start, end) in enumerate(ends)
            if end == cut and start in best
        ]
        if ways:
            best[cut] = max(ways)
    return best[last][1] if last in best else []
