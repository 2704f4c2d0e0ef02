"""The same pictures, changed in many ways, each way judged by the one scorer."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.console import progress_bar
from glyphsight.dataset import Prompt, Record
from glyphsight.dataset.inspect.grids import GridReader
from glyphsight.errors import DatasetError, FormatError, GlyphsightError, PictureError
from glyphsight.evaluate.evaluation import Share
from glyphsight.evaluate.robustness.table import ALL, CLEAN, PERTURBATIONS, Perturbation
from glyphsight.inference.score import PromptTooLongError, best_labels
from glyphsight.models import LoadedModel
from glyphsight.sampling import stratified_sample
from glyphsight.sources import Pictures

_DIGITS = frozenset("0123456789")


@dataclass(frozen=True)
class Condition:
    """One perturbation at one strength.

    Attributes:
        name: Of the perturbation; ``clean`` for none.
        strength: In the unit of the perturbation; None where it has no strengths.
        share: Right answers; None where it was left out.
        published: Accuracies of others on the same perturbation, 0-1, by whose they are.
        skipped: Why it was left out; "" where it was not.
    """

    name: str
    strength: float | None
    share: Share | None
    published: dict[str, float] = field(default_factory=dict)
    skipped: str = ""


@dataclass(frozen=True)
class _Items:
    """What is judged.

    Attributes:
        batches: The pictures, none for a dataset.
        texts: What the model reads of them unchanged.
        grids: Their level grids; None for a text that the profile does not read.
        truth: The right answers.
    """

    batches: list[Pictures]
    texts: list[str]
    grids: list[NDArray[np.uint8] | None]
    truth: list[str]


def _items(judged: Pictures | Sequence[Pictures] | Sequence[Record], profile: Profile) -> _Items:
    several = [judged] if isinstance(judged, Pictures) else list(judged)
    batches = [one for one in several if isinstance(one, Pictures)]
    records = [one for one in several if isinstance(one, Record)]
    texts = [text for one in batches for text in encode_batch(one.pixels, profile)]
    texts += [record.picture for record in records]
    truth = [label for one in batches for label in one.labels]
    truth += [record.answer for record in records]
    grids = [
        None if isinstance(grid, FormatError) else grid for grid in GridReader(profile).read(texts)
    ]
    return _Items(batches, texts, grids, truth)


def _other_hands(labels: Sequence[str], most: int, seed: int) -> Pictures:
    """At most ``most`` of the 1,797 digits that come with scikit-learn, 8x8, written by others.

    Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits": 43 people, pen strokes
    counted into 8x8 areas, 0 to 16, here stretched to 0 to 255.

    Raises:
        GlyphsightError: scikit-learn is missing, or the labels are not digits.
    """
    if not set(labels) >= _DIGITS:
        raise GlyphsightError("these digits need a model whose labels are 0 to 9")
    try:
        found = importlib.import_module("sklearn.datasets").load_digits()
    except ImportError:
        raise GlyphsightError("not installed: scikit-learn; pip install scikit-learn") from None
    pixels = np.round(found.images * (255 / 16)).astype(np.uint8)
    names = [str(label) for label in found.target.tolist()]
    whole = Pictures(pixels, names, [f"sklearn-digits:{i}" for i in range(len(names))])
    return whole.take(stratified_sample(names, most, seed))


def _changed(
    one: Perturbation,
    strength: float | None,
    items: _Items,
    labels: Sequence[str],
    profile: Profile,
    seed: int,
) -> tuple[list[str], list[str]]:
    """What the model reads under one condition, and what is right.

    Raises:
        GlyphsightError: The condition cannot be made of these items.
    """
    rng = np.random.default_rng([seed, zlib.crc32(f"{one.name}:{strength}".encode())])
    value = 0.0 if strength is None else strength
    if one.on == "text":
        if any(grid is None for grid in items.grids):
            raise FormatError(
                f"{sum(grid is None for grid in items.grids)} of {len(items.texts)} texts are not "
                f"of format {profile.format} in glyphs {profile.palette!r}"
            )
        change = one.change
        assert change is not None
        changed = [
            change(text, grid, profile, value, rng)
            for text, grid in zip(items.texts, items.grids, strict=True)
        ]
        return changed, items.truth
    batches, truth = items.batches, items.truth
    if one.on == "hand":
        hands = _other_hands(labels, len(items.truth), seed)
        batches, truth = [hands], hands.labels
    if not batches:
        raise PictureError("a dataset holds texts, no pictures; judge the source they came from")
    texts: list[str] = []
    for batch in batches:
        pixels = batch.pixels if one.change is None else one.change(batch.pixels, value, rng)
        texts += encode_batch(pixels, profile)
    return texts, truth


def _chosen(names: Sequence[str]) -> list[tuple[Perturbation, float | None]]:
    """Perturbations by name, each with each of its strengths, in the order of the table.

    Raises:
        GlyphsightError: There is none of a name.
    """
    if unknown := sorted(set(names) - set(ALL)):
        raise GlyphsightError(f"no perturbation {unknown[0]!r}; there is {', '.join(ALL)}")
    return [
        (one, strength)
        for one in PERTURBATIONS
        if one.name in names
        for strength in one.strengths or (None,)
    ]


def robustness(
    loaded: LoadedModel,
    judged: Pictures | Sequence[Pictures] | Sequence[Record],
    *,
    names: Sequence[str] = ALL,
    seed: int = 0,
    batch_size: int = 64,
    quiet: bool = False,
) -> list[Condition]:
    """Accuracy on pictures as they are and changed in every way, the same pictures each time.

    Only ``another hand`` judges other pictures: at most as many digits of scikit-learn.

    Args:
        loaded: The model; a run reads pictures in its own profile, another in the published one.
        judged: Labelled pictures, in batches where they differ in size; or records of a dataset,
            which hold no pixels, so that only their texts are changed.
        names: Perturbations to try; see :data:`~glyphsight.evaluate.robustness.table.ALL`.
        seed: Of what is drawn; each condition draws its own, whichever others are tried.
        batch_size: Sequences a forward pass; changes speed alone.
        quiet: Show no progress bar.

    Returns:
        ``clean`` first, then every strength of every perturbation. What cannot be made of these
        items, or is not carried by the model's format, has no share and says why.

    Raises:
        DatasetError: There is nothing to judge.
        GlyphsightError: There is no perturbation of a name.
        ModelError: The model does not take the pictures as they are.
    """
    run = loaded.run
    profile, prompt = (run.profile, run.prompt) if run else (PUBLISHED, Prompt())
    tried = _chosen(names)
    items = _items(judged, profile)
    count = len(items.truth)
    if not count:
        raise DatasetError("robustness: no pictures to judge")
    labels = sorted({*(run.labels if run else []), *items.truth})
    bar = progress_bar(total=count * (1 + len(tried)), desc="robustness", unit="pic", disable=quiet)

    def share(texts: Sequence[str], truth: Sequence[str]) -> Share:
        said = best_labels(
            loaded, texts, labels, prompt, batch_size=batch_size, progress=bar.update
        )
        return Share.of(sum(a == t for a, t in zip(said, truth, strict=True)), len(truth))

    with bar:
        conditions = [Condition(CLEAN, None, share(items.texts, items.truth))]
        for done, (one, strength) in enumerate(tried, start=2):
            published = dict(one.published.get(strength, {})) if strength is not None else {}
            condition = Condition(one.name, strength, None, published)
            try:
                texts, truth = _changed(one, strength, items, labels, profile, seed)
                condition = replace(condition, share=share(texts, truth))
            except PromptTooLongError as error:
                condition = replace(condition, skipped=next(iter(error.reasons.values())))
            except GlyphsightError as error:
                condition = replace(condition, skipped=str(error))
            conditions.append(condition)
            bar.update(done * count - bar.n)
    return conditions
