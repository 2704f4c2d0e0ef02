"""The slow parts of a study: each takes what is measured so far and gives it back with more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED
from glyphsight.console import progress_bar, say
from glyphsight.dataset import Record
from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.evaluate.attribution import Attribution, gradient, occlusion
from glyphsight.evaluate.baselines import MOST_RECORDS, Grids, baselines
from glyphsight.evaluate.result import Evaluation, Sample
from glyphsight.evaluate.robustness import robustness
from glyphsight.evaluate.selection import Reading, look_at
from glyphsight.evaluate.statistics import paired
from glyphsight.evaluate.study import Selection, Study
from glyphsight.models import LoadedModel
from glyphsight.sampling import stratified_sample
from glyphsight.sources import Batch, is_spec, open_source, read_split

_EXPLAINED = 4  # right answers, and as many mistakes, that are attributed
_BROKEN = 2000  # pictures that are broken
_NAMED = 10_000  # records that baselines are asked
_TRAIN = "train"


def with_baselines(
    measured: Study, loaded: LoadedModel, *, seed: int, train_data: str | None, quiet: bool
) -> Study:
    """Floors and ceilings that learn from the training split and read the same texts."""
    judged, profile = measured.evaluation, measured.profile
    if train_data is None and judged.split is None:
        raise DatasetError(
            f"{judged.data} is a single file; say with --train-data what they may learn from"
        )
    source = train_data or judged.data
    if _same_records(judged, Reading(source, _TRAIN, profile)):
        raise DatasetError(
            f"{source}: to learn from it holds the records that are judged; give other records "
            "with --train-data"
        )
    found_there = look_at(source, _TRAIN, MOST_RECORDS, seed, profile)
    train = found_there.picker().take(found_there.places)
    asked = _chosen(judged, stratified_sample(_codes(judged), _NAMED, seed))
    measured = noted(measured, *_doubts(measured, asked, train, source, seed))
    texts, truth = [one.ascii_image for one in asked], [one.truth for one in asked]
    found = baselines(
        Grids.of(train, profile, source),
        Grids.read(texts, truth, profile, judged.data),
        seed=seed,
        quiet=quiet,
    )
    right = [sample.answer == sample.truth for sample in asked]
    against = {
        one.name: paired(
            right, [said == label for said, label in zip(one.answers, truth, strict=True)]
        )
        for one in found
    }
    return replace(measured, baselines=found, against=against)


def _same_records(judged: Evaluation, learnt: Reading) -> bool:
    """Whether records to learn from are, by their place, those that were judged."""
    if is_spec(judged.data):
        return (judged.data, judged.split) == (learnt.data, learnt.split)
    own = Reading(judged.data, judged.split or "", learnt.profile).files
    return not {file.resolve() for file in own}.isdisjoint(file.resolve() for file in learnt.files)


def _doubts(
    measured: Study, asked: Sequence[Sample], train: Sequence[Record], source: str, seed: int
) -> list[str]:
    """What must be known of the records that baselines are asked.

    Raises:
        DatasetError: Most of them are among those to learn from.
    """
    doubts = []
    if len(asked) < measured.selection.n:
        doubts.append(
            f"baselines were asked {len(asked):,} of the {measured.selection.n:,} records, "
            f"stratified, seed {seed}; the model is compared with them on these"
        )
    learnt = {(record.picture, record.answer) for record in train}
    known = sum((sample.ascii_image, sample.truth) in learnt for sample in asked)
    told = f"{known:,} of the {len(asked):,} records have text and answer of one in {source}"
    if 2 * known > len(asked):
        raise DatasetError(
            f"{told}: learning them by heart would do; give other records with --train-data"
        )
    if known:
        doubts.append(
            f"{told}, from which baselines learn: the same pictures, or others that look alike in "
            "so few cells"
        )
    return doubts


def with_robustness(
    measured: Study, loaded: LoadedModel, *, seed: int, batch_size: int, quiet: bool
) -> Study:
    """What is left of the accuracy when pictures, or where there are none texts, are broken."""
    judged, selection = measured.evaluation, measured.selection
    read = (not one.too_long for one in judged.samples)
    rows = np.flatnonzero(np.fromiter(read, dtype=np.bool_, count=len(judged.samples)))
    rows = rows[stratified_sample(_codes(judged)[rows], _BROKEN, seed)]
    found = robustness(
        loaded,
        _pictures(selection, rows)
        if is_spec(judged.data)
        else [Record((one.ascii_image,), one.truth) for one in _chosen(judged, rows)],
        seed=seed,
        batch_size=batch_size,
        quiet=quiet,
    )
    if judged.too_long:
        measured = noted(
            measured, f"robustness: without the {judged.too_long} records too long to read"
        )
    return replace(measured, robustness=found)


def _pictures(selection: Selection, chosen: NDArray[np.int64]) -> list[Batch]:
    """The judged pictures of a source at ``chosen`` places, ascending, read anew."""
    source, split = open_source(selection.data), selection.split or ""
    if selection.limit is not None:
        judged = look_at(selection.data, split, selection.limit, selection.seed, PUBLISHED)
        chosen = judged.places[chosen]
    found, start = [], 0
    for batch in read_split(source, split):
        stop = start + len(batch)
        inside = chosen[(chosen >= start) & (chosen < stop)]
        if len(inside):
            found.append(batch.take(inside - start))
        start = stop
    return found


def with_attributions(measured: Study, loaded: LoadedModel, *, quiet: bool) -> Study:
    """Which cells spoke for some right answers and for the surest mistakes."""
    right = [sample for sample in measured.shown if sample.answer == sample.truth]
    chosen = right[:: max(1, len(right) // _EXPLAINED)][:_EXPLAINED]
    chosen += measured.mistakes[:_EXPLAINED]
    found, left_out = [], dict[str, None]()
    methods: dict[str, Callable[..., Attribution]] = {
        "occlusion": partial(occlusion, quiet=quiet),
        "gradient": gradient,
    }
    bar = progress_bar(len(chosen), "pic", "attributions", iterable=chosen, disable=quiet)
    for sample in bar:
        tried = [("occlusion", label) for label in dict.fromkeys((sample.answer, sample.truth))]
        for name, label in (*tried, ("gradient", sample.answer)):
            try:
                found.append((sample, methods[name](loaded, sample.ascii_image, label)))
            except GlyphsightError as error:  # the others stand
                left_out[f"{name} left out: {error}"] = None
    return noted(replace(measured, attributions=found), *left_out)


def noted(measured: Study, *notes: str) -> Study:
    """With these notes too, which are said."""
    for note in notes:
        say(f"glyphsight: warning: {note}")
    return replace(measured, notes=[*measured.notes, *notes])


def _codes(judged: Evaluation) -> NDArray[np.int32]:
    """The number of each right answer among the labels, int32[N]."""
    place = {label: number for number, label in enumerate(judged.labels)}
    numbers = (place[sample.truth] for sample in judged.samples)
    return np.fromiter(numbers, dtype=np.int32, count=len(judged.samples))


def _chosen(judged: Evaluation, rows: NDArray[np.int64]) -> list[Sample]:
    """The outcomes at ``rows``, ascending."""
    wanted = set(rows.tolist())
    return [sample for row, sample in enumerate(judged.samples) if row in wanted]
