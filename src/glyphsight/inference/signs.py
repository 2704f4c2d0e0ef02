"""Read a line of letters and digits sign by sign: the model's own probabilities say where it parts.

A line is cut where a column has no ink or little. Every piece between two cuts is named, and the
likeliest row of pieces is taken, as readers of handwriting do (Viterbi over a lattice of segments).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import encode_batch
from glyphsight.codec.adjust import stretch_contrast
from glyphsight.codec.gaps import trim_box
from glyphsight.codec.ground import border, threshold_of
from glyphsight.codec.parts import box_around
from glyphsight.codec.prepare import prepare, remaining
from glyphsight.errors import ModelError, PictureError
from glyphsight.inference.answer import Answer, to_answer
from glyphsight.inference.reading import PictureText
from glyphsight.inference.score import Request
from glyphsight.media import PictureLike, load_gray
from glyphsight.models.runs import UNKNOWN, RunRecord

if TYPE_CHECKING:
    from glyphsight.inference.model import Model

_FEWEST = 20  # signs that a model knows at least
_NEAR = 0.2  # smallest distance of two cuts through ink, in heights of the line
_LITTLE = 0.6  # ink at a cut as a share of the most in any column
_WIDEST = 2.5  # width of a sign in heights of the line
_BROAD = 1.0  # width, likewise, from which a sign is less likely the wider it is
_GAP = 0.5  # weight of a gap inside a sign
_SIGN = 0.5  # weight of a sign, so that few are likelier than many
_THIN = 0.2  # width, likewise, of what can be but an I or a 1
_LOW = 0.5  # height, likewise, below which a piece is no letter and no digit
_SKIPPED = math.log(0.05)  # weight of a low piece that is passed over
_SPAN = 12  # ends and cuts that one sign reaches over
_MOST = 120  # cuts and ends of a line
_MARGIN = 3  # pixels around a piece


@dataclass(frozen=True)
class _Piece:
    """A part of a line between two cuts."""

    start: int  # number of the cut that it begins at
    end: int  # number of the cut that it ends at
    box: tuple[int, int, int, int]  # top, bottom, left, right of its ink
    gaps: int = 0  # columns without ink, or runs of them, inside it


def require_signs(model: Model) -> None:
    """Raise ModelError for a model that cannot read a line of signs."""
    if model.trained.profile.trim is not None:
        raise ModelError(f"{model.name} hears sounds; give --model nano-names")
    if (count := len(_signs(model.trained))) < _FEWEST:
        raise ModelError(
            f"{model.name} names {count} letters and digits, too few to read by; "
            "give --model nano-names, or a run trained on letters"
        )


def read_signs(model: Model, picture: PictureLike) -> Answer:
    """Read one line of letters and digits in a picture.

    Args:
        model: A model that names single letters or digits, such as ``nano-names``.
        picture: A picture of one line, of either polarity; on an uneven ground, a photograph, where
            the model's profile seeks ink.

    Returns:
        An answer whose ``written`` is the line and whose ``parts`` are the signs with their boxes.
        Probabilities are among letters and digits alone, that of the line is the product; it is
        ``known`` where the model takes no sign for "unknown". Without ink it is the answer to an
        empty picture.

    Raises:
        ModelError: The model names fewer than 20 signs, or hears sounds.
        PictureError: The picture cannot be read, or is more than a line.
    """
    require_signs(model)
    pixels, run = load_gray(picture), model.trained
    if not pixels.size:
        raise PictureError("a picture of no pixels; give another")
    done = prepare(stretch_contrast(pixels[None])[0], replace(run.profile, ink=False, centre=False))
    shown, rest = done.pixels, remaining(run.profile)
    ground = 255 if np.median(border(shown)) > 127 else 0
    depth = np.abs(shown.astype(np.int16) - ground)
    ink = depth > threshold_of(depth)
    height, width = pixels.shape
    text = PictureText(encode_batch(shown[None], rest)[0], height, width, done.inverted, False)
    answer = to_answer(text, run, {}, UNKNOWN)
    pieces, last = _lattice(ink)
    if not pieces:
        return answer
    tall, signs = _tall(ink), _signs(run)
    texts = {}
    for piece in pieces:
        top, bottom, left, right = piece.box
        if bottom - top >= _LOW * tall:
            cut = np.pad(shown[top:bottom, left:right], _MARGIN, constant_values=ground)
            texts[piece] = encode_batch(cut[None], rest)[0]
    if not texts:
        return answer
    task = run.tasks[0]
    asked = [Request.about(run.prompt, one, task.labels, task.question) for one in texts.values()]
    found = np.array(model.score(asked))
    found -= np.logaddexp.reduce(found, axis=1, keepdims=True)
    scores = dict(zip(texts, found, strict=True))
    weights = dict.fromkeys(pieces, _SKIPPED)
    for piece, own in scores.items():
        wide = (piece.box[3] - piece.box[2]) / tall
        among = own[signs]
        if wide < _THIN:  # an upright bar; as text it is all ink, like a minus or a square
            among = among - np.logaddexp.reduce(among)
        weights[piece] = float(among.max()) - max(wide - _BROAD, 0) ** 2 - _GAP * piece.gaps
        weights[piece] -= _SIGN
    parts = [
        _part(
            replace(text, ascii_image=texts[piece]), run, scores[piece], done.in_picture(piece.box)
        )
        for piece in _likeliest(weights, last)
        if piece in texts
    ]
    if not parts:
        return answer
    written = "".join(part.label for part in parts)
    top, bottom, left, right = box_around(np.array([part.box for part in parts])).tolist()
    return replace(
        answer,
        label=written,
        name=written,
        probability=math.prod(part.probability or 0.0 for part in parts),
        empty=False,
        known=all(part.known for part in parts),
        box=(top, bottom, left, right),
        parts=tuple(parts),
        written=written,
    )


def _signs(run: RunRecord) -> list[int]:
    """Return the numbers of the labels that are one letter or digit."""
    return [row for row, label in enumerate(run.tasks[0].labels) if len(label) == 1]


def _part(
    text: PictureText, run: RunRecord, scores: NDArray[np.float64], box: tuple[int, int, int, int]
) -> Answer:
    """Make the answer to one sign from the logarithms of all labels' probabilities."""
    labels, signs = run.tasks[0].labels, _signs(run)
    own = np.exp(scores[signs] - np.logaddexp.reduce(scores[signs]))
    ranked = {labels[signs[place]]: float(own[place]) for place in np.argsort(-own)}
    label = next(iter(ranked))
    known = labels[int(scores.argmax())] != UNKNOWN
    shown = {"label": label, "name": label, "probability": ranked[label]}
    return replace(to_answer(text, run, ranked, label), **shown, empty=False, known=known, box=box)


def _tall(ink: NDArray[np.bool_]) -> int:
    """Return the height of all ink."""
    rows = np.flatnonzero(ink.any(axis=1))
    return int(rows[-1] - rows[0]) + 1


def _lattice(ink: NDArray[np.bool_]) -> tuple[list[_Piece], int]:
    """Return the pieces of a line, bool[H, W], and the number of its last cut.

    A gap without ink is one cut; so is a column with little ink in its neighbourhood.

    Raises:
        PictureError: There are more than ``_MOST`` cuts.
    """
    amount = ink.sum(axis=0)
    runs = np.flatnonzero(np.diff(np.concatenate([[0], amount > 0, [0]]))).reshape(-1, 2)
    if not len(runs):
        return [], 0
    tall = _tall(ink)
    near, least = max(2, int(_NEAR * tall)), _LITTLE * amount.max()
    cuts = [(int(runs[0, 0]),) * 2]  # where ink ends, and where it begins again
    for number, (first, end) in enumerate(runs.tolist()):
        for column in range(first + near, end - near):
            around = amount[column - near : column + near + 1]
            if amount[column] <= min(least, around.min()) and column - cuts[-1][1] > near:
                cuts.append((column, column))
        following = runs[number + 1, 0] if number + 1 < len(runs) else end
        cuts.append((int(end), int(following)))
        if len(cuts) > _MOST:
            raise PictureError(f"more than {_MOST} places to part it: crop it to one line of signs")
    pieces = []
    for start, (_, left) in enumerate(cuts):
        for end in range(start + 1, min(start + _SPAN, len(cuts) - 1) + 1):
            right = cuts[end][0]
            if right - left > _WIDEST * tall:
                break
            box = trim_box(ink, (0, len(ink), left, right))
            gaps = sum(first < after for first, after in cuts[start + 1 : end])
            pieces.append(_Piece(start, end, box, gaps))
    return pieces, len(cuts) - 1


def _likeliest(weights: dict[_Piece, Any], last: int) -> list[_Piece]:
    """Return the row of pieces from the first cut to the last with the largest sum of weights."""
    best: dict[int, tuple[float, list[_Piece]]] = {0: (0.0, [])}
    for cut in range(1, last + 1):
        ways = [
            (best[piece.start][0] + weight, [*best[piece.start][1], piece])
            for piece, weight in weights.items()
            if piece.end == cut and piece.start in best
        ]
        if ways:
            best[cut] = max(ways, key=lambda way: way[0])
    return best[last][1] if last in best else []
