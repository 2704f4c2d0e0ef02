"""Robustness: the same pictures, changed before and after they become text.

A change to a text takes the text, its level grid uint8[rows, columns], its profile, a strength and
a random generator, and gives the changed text. It raises a FormatError where the format cannot
carry the change, whatever the grid.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.codec.formats import get_format, row_lines
from glyphsight.codec.profile import palette_of_levels
from glyphsight.console import progress_bar
from glyphsight.dataset import Prompt, Record
from glyphsight.dataset.inspect.items import read_grids
from glyphsight.errors import DatasetError, FormatError, GlyphsightError, PictureError
from glyphsight.evaluate.result import Share
from glyphsight.extras import need
from glyphsight.inference import Model, Request
from glyphsight.inference.score import PromptTooLongError
from glyphsight.media import change, change_sound
from glyphsight.models import LoadedModel
from glyphsight.sampling import stratified_sample
from glyphsight.sources import Batch

Levels = NDArray[np.uint8]
Rng = np.random.Generator
Again = Callable[[Callable[[NDArray[np.float64]], NDArray[np.float64]]], list[Batch]]

_TAGGED = ("seed", "rows")
_RAMPS = ("ascii", "blocks", "digits")


def _write(levels: Levels, profile: Profile) -> str:
    return get_format(profile.format).render_batch(levels[None], profile.palette)[0]


def _other_palette(palette: str) -> str:
    """Find a named palette of as many glyphs that shares none but the darkest."""
    for name in _RAMPS:
        try:
            other = palette_of_levels(len(palette), name)
        except FormatError:  # too few glyphs
            continue
        if not set(other[1:]) & set(palette):
            return other
    raise FormatError(
        f"no named palette is without the glyphs of {palette!r}; take another palette"
    )


def other_glyphs(text: str, levels: Levels, profile: Profile, strength: float, rng: Rng) -> str:
    """Write the grid in glyphs the model was not trained on; the darkest may stay a space."""
    other = replace(profile, palette=_other_palette(profile.palette))
    probe = np.full(get_format(profile.format).cell, profile.levels - 1, dtype=np.uint8)
    if _write(probe, profile) == _write(probe, other):
        raise FormatError(
            f"format {profile.format} writes the same text whatever the glyphs; take another format"
        )
    return _write(levels, other)


def no_row_tags(text: str, levels: Levels, profile: Profile, strength: float, rng: Rng) -> str:
    """Write the grid in format ``plain``: one line per row, without tags or numbers."""
    if profile.format not in _TAGGED:
        raise FormatError(
            f"format {profile.format} has no row tags to leave out; take {' or '.join(_TAGGED)}"
        )
    return _write(levels, replace(profile, format="plain"))


def rows_dropped(text: str, levels: Levels, profile: Profile, strength: float, rng: Rng) -> str:
    """Drop a share ``strength`` of the lines with their tags, at random."""
    before, lines = row_lines(text, profile.format)
    lost = min(len(lines) - 1, max(1, round(strength * len(lines))))
    kept = np.sort(rng.permutation(len(lines))[lost:]).tolist()
    return "".join(before + [lines[row] for row in kept])


def rows_swapped(text: str, levels: Levels, profile: Profile, strength: float, rng: Rng) -> str:
    """Exchange ``strength`` pairs of neighbouring rows of glyphs, no row twice; tags stay."""
    tall = get_format(profile.format).cell[0]
    rows = len(levels) // tall
    order = np.arange(rows)
    free = np.ones(rows, dtype=bool)
    left = int(strength)
    for row in rng.permutation(max(0, rows - 1)).tolist():
        if left and free[row] and free[row + 1]:
            order[row], order[row + 1] = row + 1, row
            free[row] = free[row + 1] = False
            left -= 1
    return _write(levels.reshape(rows, tall, -1)[order].reshape(levels.shape), profile)


def cell_salt(text: str, levels: Levels, profile: Profile, strength: float, rng: Rng) -> str:
    """Set a share ``strength`` of the cells, drawn one by one, to the brightest level."""
    bright = np.uint8(profile.levels - 1)
    return _write(np.where(rng.random(levels.shape) < strength, bright, levels), profile)


LIFT = "LIFT/GPT-3"
"""Dinh et al. 2022, "LIFT: Language-Interfaced Fine-Tuning for Non-Language Machine Learning Tasks"
(NeurIPS; arXiv 2206.06565); all six figures stand in the results published with its code. The
noise is theirs, see :mod:`~glyphsight.media.change`; the rest is not: their GPT-3
(``ada``) was fine-tuned on 48,000 of MNIST's training digits, read the 18x18 pixels in the middle
as numbers 0 to 255 and wrote its answer freely, on all 10,000 test digits."""


@dataclass(frozen=True)
class Perturbation:
    """One way to change what the model reads."""

    name: str  # name in figures and tables
    unit: str  # unit of the strengths; "" without strengths
    strengths: tuple[float, ...]  # weakest first; empty for a change that is either made or not
    on: str  # ``picture``, ``sound``, ``text``, or ``hand`` for digits of other people
    change: Callable[..., Any] | None  # of media or of this module; None for ``hand``
    # Accuracies published by others, 0-1, by strength and by source
    published: Mapping[float | None, Mapping[str, float]] = field(default_factory=dict)


def _lift(*accuracies: float) -> dict[float | None, dict[str, float]]:
    """Give LIFT's accuracies at 0.01, 0.1 and 0.3."""
    return {eps: {LIFT: share} for eps, share in zip((0.01, 0.1, 0.3), accuracies, strict=True)}


_PX = "px of 28"
_TONE = "of 0-1"
_NOISE = (0.01, 0.1, 0.3, 0.5)

PERTURBATIONS: tuple[Perturbation, ...] = (
    Perturbation("shift", _PX, (1, 2, 3, 4), "picture", change.shift),
    Perturbation("rotation", "degrees", (10, 20, 30, 45), "picture", change.rotation),
    Perturbation("scale", "times", (0.6, 0.8, 1.2, 1.4), "picture", change.scale),
    Perturbation("thickness", _PX, (-1, -0.5, 0.5, 1, 2), "picture", change.thickness),
    Perturbation("inversion", "", (), "picture", change.inversion),
    Perturbation("salt", "share of pixels", (0.02, 0.05, 0.1, 0.2), "picture", change.salt),
    Perturbation(
        *("Gaussian noise", _TONE, _NOISE, "picture", change.gaussian),
        published=_lift(0.9828, 0.8838, 0.5480),
    ),
    Perturbation(
        *("signed constant noise", _TONE, _NOISE, "picture", change.signed_constant),
        published=_lift(0.8805, 0.6880, 0.2968),
    ),
    Perturbation("other glyphs", "", (), "text", other_glyphs),
    Perturbation("no row tags", "", (), "text", no_row_tags),
    Perturbation("rows dropped", "share of rows", (0.1, 0.2, 0.4), "text", rows_dropped),
    Perturbation("rows swapped", "pairs", (1, 2, 4), "text", rows_swapped),
    Perturbation("salt on cells", "share of cells", (0.01, 0.02, 0.05, 0.1), "text", cell_salt),
    Perturbation("another hand", "", (), "hand", None),
)

SOUNDS: tuple[Perturbation, ...] = (
    Perturbation("gain", "dB", (-40, -20, 20), "sound", change_sound.gain),
    Perturbation("hiss", "dB below", (20, 10, 0), "sound", change_sound.hiss),
    Perturbation("speed", "times", (0.9, 0.95, 1.05, 1.1), "sound", change_sound.speed),
    Perturbation("clipping", "of the peak", (0.5, 0.2, 0.05), "sound", change_sound.clipping),
    Perturbation("telephone", "", (), "sound", change_sound.telephone),
    Perturbation("leading silence", "s", (0.2, 1), "sound", change_sound.leading_silence),
    *(one for one in PERTURBATIONS if one.on == "text"),
)
"""Ways to change a sound, or the text of one."""

CLEAN = "clean"


@dataclass(frozen=True)
class Condition:
    """One perturbation at one strength."""

    name: str  # name of the perturbation; ``clean`` for none
    strength: float | None  # strength in the unit of the perturbation; None without strengths
    share: Share | None  # right answers; None where the condition is left out
    # Accuracies published by others for the same condition, 0-1, by source
    published: dict[str, float] = field(default_factory=dict)
    skipped: str = ""  # reason why the condition is left out; "" where it is not


class _Items(NamedTuple):
    """Judged pictures, none of a dataset; texts, grids or None, answers, questions."""

    batches: list[Batch]
    texts: list[str]
    grids: list[NDArray[np.uint8] | None]
    truth: list[str]
    questions: list[str]


def _items(judged: Batch | Sequence[Batch] | Sequence[Record], profile: Profile) -> _Items:
    several = [judged] if isinstance(judged, Batch) else judged
    batches = [one for one in several if isinstance(one, Batch)]
    rows: list[tuple[str, str, str]] = []
    for one in several:
        if isinstance(one, Batch):
            rows += zip(encode_batch(one.pixels, profile), one.labels, one.questions, strict=True)
        else:
            rows.append((one.picture, one.answer, one.question))
    texts, truth, questions = ([row[column] for row in rows] for column in range(3))
    grids = [None if isinstance(grid, FormatError) else grid for grid in read_grids(texts, profile)]
    return _Items(batches, texts, grids, truth, questions)


def _other_hands(labels: Sequence[str], most: int, seed: int) -> Batch:
    """Load some of the 1,797 digits of scikit-learn, by 43 people, 8x8 (Alpaydin & Kaynak 1998)."""
    if not set(labels) >= set("0123456789"):
        raise GlyphsightError(
            "the model does not name all digits; take one whose labels are 0 to 9"
        )
    with need("train", "sklearn"):
        from sklearn.datasets import load_digits
    found = load_digits()
    pixels = np.round(found.images * (255 / 16)).astype(np.uint8)
    names = [str(label) for label in found.target.tolist()]
    whole = Batch(pixels, names, [f"sklearn-digits:{i}" for i in range(len(names))])
    return whole.take(stratified_sample(names, most, seed))


def _changed(
    one: Perturbation,
    strength: float | None,
    items: _Items,
    labels: Mapping[str, Sequence[str]],
    profile: Profile,
    seed: int,
    again: Again | None,
) -> tuple[list[str], list[str], list[str]]:
    """Make the texts of one condition, and give the right answers and the questions."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{one.name}:{strength}".encode())])
    value = 0.0 if strength is None else strength
    if one.on == "text":
        if lost := sum(grid is None for grid in items.grids):
            raise FormatError(
                f"{lost} of {len(items.texts)} texts are not of format {profile.format} in glyphs "
                f"{profile.palette!r}; build the dataset again"
            )
        assert one.change is not None
        pairs = zip(items.texts, items.grids, strict=True)
        texts = [one.change(*pair, profile, value, rng) for pair in pairs]
        return texts, items.truth, items.questions
    batches, truth, questions = items.batches, items.truth, items.questions
    if one.on == "hand":
        question = max(labels, key=lambda own: len({*labels[own]} & {*"0123456789"}))
        hands = _other_hands(labels[question], len(items.truth), seed)
        batches, truth, questions = [hands], hands.labels, [question] * len(hands)
    if one.on == "sound":
        assert again is not None
        assert one.change is not None
        batches = again(partial(one.change, strength=value, rng=rng))
    elif not batches:
        raise PictureError("a dataset holds texts, no pictures; judge the source they came from")
    texts = []
    for batch in batches:
        changed = one.on == "picture" and one.change
        pixels = changed(batch.pixels, value, rng) if changed else batch.pixels
        texts += encode_batch(pixels, profile)
    return texts, truth, questions


def robustness(
    loaded: LoadedModel,
    judged: Batch | Sequence[Batch] | Sequence[Record],
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
    batch_size: int = 64,
    again: Again | None = None,
    quiet: bool = False,
) -> list[Condition]:
    """Measure accuracy on the same pictures, unchanged and changed in every way.

    Only ``another hand`` judges other pictures: digits of scikit-learn, at most as many.

    Args:
        loaded: Model; a run reads pictures in its own profile, another model in the published one.
        judged: Labelled pictures, in batches where their sizes differ; or records of a dataset,
            which hold no pixels, so that only their texts are changed.
        names: Names of ``PERTURBATIONS``, or of ``SOUNDS``; None for all.
        seed: Random seed; each condition draws by itself, whichever others are tried.
        batch_size: Sequences per forward pass; changes speed alone.
        again: Function that reads the judged sounds again, each changed by a function of its
            samples; None where pictures are judged.
        quiet: True for no progress bar.

    Returns:
        ``clean`` first, then every strength of every perturbation. A condition that these items or
        the model's format cannot have has no share and gives the reason.

    Raises:
        DatasetError: There is nothing to judge.
        GlyphsightError: A name is none of those.
        ModelError: The model does not take the unchanged pictures.
    """
    model, run = Model(loaded), loaded.run
    profile, prompt = (run.profile, run.prompt) if run else (PUBLISHED, Prompt())
    known_ways = {one.name: one for one in (PERTURBATIONS if again is None else SOUNDS)}
    if unknown := sorted(set(names or ()) - set(known_ways)):
        ways = ", ".join(known_ways)
        raise GlyphsightError(f"no perturbation {unknown[0]!r}; give one of {ways}")
    wanted = [one for one in known_ways.values() if names is None or one.name in names]
    tried = [(one, strength) for one in wanted for strength in one.strengths or (None,)]
    items = _items(judged, profile)
    count = len(items.truth)
    if not count:
        raise DatasetError("robustness: no pictures to judge; give at least one")
    known = {task.question: task.labels for task in run.tasks} if run else {}
    labels = {
        question: sorted(
            {t for t, own in zip(items.truth, items.questions, strict=True) if own == question}
            | set(known.get(question, ()))
        )
        for question in dict.fromkeys(items.questions)
    }
    bar = progress_bar(total=count * (1 + len(tried)), desc="robustness", unit="pic", disable=quiet)

    def share(texts: Sequence[str], truth: Sequence[str], questions: Sequence[str]) -> Share:
        asked = [
            Request.about(prompt, text, labels[own], own)
            for text, own in zip(texts, questions, strict=True)
        ]
        said = model.best(asked, batch_size=batch_size, progress=bar.update)
        right = sum(labels[own][a] == t for own, a, t in zip(questions, said, truth, strict=True))
        return Share.of(right, len(truth))

    with bar:
        conditions = [Condition(CLEAN, None, share(items.texts, items.truth, items.questions))]
        for done, (one, strength) in enumerate(tried, start=2):
            condition = Condition(one.name, strength, None, dict(one.published.get(strength, {})))
            try:
                changed = _changed(one, strength, items, labels, profile, seed, again)
                condition = replace(condition, share=share(*changed))
            except PromptTooLongError as error:
                condition = replace(condition, skipped=next(iter(error.reasons.values())))
            except GlyphsightError as error:
                condition = replace(condition, skipped=str(error))
            conditions.append(condition)
            bar.update(done * count - bar.n)
    return conditions
