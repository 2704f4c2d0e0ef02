"""All that is measured of one model: figures, how sure, beside which floors, what breaks it, why.

``look_closer`` adds to an evaluation what its samples tell and takes no time; ``study`` with
``full`` also asks the baselines, breaks the pictures and seeks the cells that spoke for an answer.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.console import progress_bar, say
from glyphsight.dataset import Record
from glyphsight.dataset.split import stratified_sample
from glyphsight.dataset.storage import checksum, sources_file
from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.evaluate.attribution.maps import Attribution, gradient, occlusion
from glyphsight.evaluate.baselines import MOST_RECORDS, Baseline, Grids, baselines
from glyphsight.evaluate.robustness import Condition, robustness
from glyphsight.evaluate.scoring.judged import Reading, look_at
from glyphsight.evaluate.scoring.result import Evaluation, Sample
from glyphsight.evaluate.scoring.run import evaluate
from glyphsight.evaluate.scoring.workers import Model, Where
from glyphsight.evaluate.statistics.calibration import Calibration, calibrate
from glyphsight.evaluate.statistics.paired import Paired, paired
from glyphsight.evaluate.statistics.replies import ReplyCounts, sort_replies
from glyphsight.models import LoadedModel
from glyphsight.models.tokens import EMBEDDED, count_tokens, load_tokenizer
from glyphsight.sources import Pictures, open_source, read_split
from glyphsight.sources.spec import is_spec

SHOWN = 12
"""Most pictures that any part of a report shows."""

_LABELS = 100_000  # of which the first sample is kept
_COUNTED = 256  # texts whose tokens are counted
_EXPLAINED = 4  # right answers, and as many mistakes, that are attributed
_BROKEN = 2000  # pictures that are broken
_NAMED = 10_000  # records that baselines are asked
_TRAIN = "train"


@dataclass(frozen=True)
class Selection:
    """Which records an evaluation judged; equal for two evaluations of the same, in one order.

    Attributes:
        data: Dataset or source.
        split: Its split; None for a file.
        limit: At most so many were asked for; None for all.
        seed: Of the choice under a limit.
        n: How many were judged.
        labels_sha256: Of their right answers, in order.
        items_sha256: Of the list of pictures that the split was made of (``*.sources.txt`` beside
            its files), in order and before the limit; None where there is none.
    """

    data: str
    split: str | None
    limit: int | None
    seed: int
    n: int
    labels_sha256: str
    items_sha256: str | None = None


@dataclass(frozen=True)
class Study:
    """What is known of one model, after one evaluation.

    Attributes:
        evaluation: Its answers and their figures.
        selection: Which records it judged.
        calibration: How far its probabilities are what they say, of the records it could read.
        replies: What its free writing gave; None where it was not asked to.
        tokens: Mean tokens of a picture, alone, by tokenizer: SmolLM2's and the model's own.
        profile: How the model's pictures become text.
        shown: The first sample of each label that it could read, at most a dozen.
        mistakes: The wrong answers it was surest of, at most a dozen.
        baselines: Floors and ceilings on the same text; empty where none were asked.
        against: The model's difference to a baseline on the same records, by its name.
        robustness: What is left when pictures and texts are broken.
        attributions: Which cells spoke for an answer.
        notes: What was left out and why, and what a reader of the baselines must know.
        seconds: What each part took.
    """

    evaluation: Evaluation
    selection: Selection
    calibration: Calibration
    replies: ReplyCounts | None
    tokens: dict[str, float]
    profile: Profile
    shown: list[Sample]
    mistakes: list[Sample]
    baselines: list[Baseline] = field(default_factory=list)
    against: dict[str, Paired] = field(default_factory=dict)
    robustness: list[Condition] = field(default_factory=list)
    attributions: list[tuple[Sample, Attribution]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def ceiling(self) -> Baseline | None:
        """The best baseline; None without baselines."""
        return max(self.baselines, key=lambda one: one.share.accuracy, default=None)

    def of_ceiling(self, ceiling: Baseline) -> float | None:
        """The model's accuracy as a share of a baseline's on the same records; may exceed 1."""
        best, own = ceiling.share.accuracy, self.evaluation.score.accuracy
        if ceiling.name in self.against:
            own = best + self.against[ceiling.name].difference
        return own / best if best else None

    def as_json(self) -> dict[str, Any]:
        """Everything but samples and attributions; ``accuracy``, ``n``, ``interval`` at the top."""
        ceiling = self.ceiling
        return self.evaluation.as_json() | {
            "selection": asdict(self.selection),
            "tokens": self.tokens,
            "profile": asdict(self.profile),
            "calibration": asdict(self.calibration),
            "replies": self.replies and asdict(self.replies),
            "baselines": [
                _flat(one.as_json())
                | {
                    "of": self.of_ceiling(one),
                    "paired": asdict(self.against[one.name]) if one.name in self.against else None,
                }
                for one in self.baselines
            ],
            "ceiling": ceiling
            and {
                "name": ceiling.name,
                "accuracy": ceiling.share.accuracy,
                "of_ceiling": self.of_ceiling(ceiling),
            },
            "robustness": [_flat(asdict(one)) for one in self.robustness],
            "notes": self.notes,
            "study_seconds": self.seconds,
        }


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    """With the keys of its share instead of the share."""
    share = value.pop("share")
    return value | (share or {"accuracy": None, "n": 0, "interval": None})


def look_closer(
    evaluation: Evaluation, *, loaded: LoadedModel | None = None, limit: int | None = None
) -> Study:
    """What an evaluation's samples tell, in one pass over them and with a dozen of them kept.

    Args:
        evaluation: The answers.
        loaded: The model, for its profile and what a picture costs in its own tokens; None stands
            for the published profile and leaves the tokens out.
        limit: What the evaluation was limited to.
    """
    digest = hashlib.sha256()
    confidence, right, read = array("f"), array("b"), array("b")
    first: dict[str, Sample] = {}
    surest: list[tuple[float, int, Sample]] = []
    texts: list[str] = []
    written: list[tuple[str, str]] = []
    for number, sample in enumerate(evaluation.samples):
        digest.update(json.dumps(sample.truth).encode() + b"\n")
        right.append(sample.answer == sample.truth)
        if sample.generated is not None:
            written.append((sample.generated, sample.truth))
        if number < _COUNTED:
            texts.append(sample.ascii_image)
        if sample.too_long:
            continue
        confidence.append(sample.probability)
        read.append(right[-1])
        if sample.truth not in first and len(first) < _LABELS:
            first[sample.truth] = sample
        if sample.answer != sample.truth:
            push = heapq.heappush if len(surest) < SHOWN else heapq.heappushpop
            push(surest, (sample.probability, -number, sample))
    tokens = {EMBEDDED: _mean_length(count_tokens(texts, load_tokenizer()))}
    if loaded is not None:
        own = loaded.tokenizer(texts, add_special_tokens=False)["input_ids"]
        tokens["model"] = _mean_length([len(ids) for ids in own])
    return Study(
        evaluation,
        Selection(
            evaluation.data,
            evaluation.split,
            limit,
            evaluation.seed,
            len(right),
            digest.hexdigest(),
        ),
        calibrate(confidence, np.asarray(read, dtype=np.bool_)),
        sort_replies(*_columns(written), evaluation.labels) if written else None,
        tokens,
        _profile(loaded),
        [first[label] for label in sorted(first)][:SHOWN],
        [sample for _, _, sample in sorted(surest, reverse=True)],
    )


def _columns(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


def _mean_length(counts: Sequence[int]) -> float:
    return sum(counts) / max(1, len(counts))


def study(
    model: str | Path | LoadedModel | Model,
    data: str,
    *,
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    generate: int = 200,
    zero_shot: int = 100,
    full: bool = False,
    train_data: str | None = None,
    directory: Path | None = None,
    where: Where | None = None,
    quiet: bool = False,
) -> Study:
    """Measure a model, as :func:`evaluate` does, and look closer.

    Args:
        model: As :func:`evaluate` takes it.
        data: Dataset directory, dataset file or source SPEC.
        split: Which split; a dataset file has none.
        limit: Judge at most so many records, stratified by label.
        seed: Of that choice, of the baselines and of what breaks pictures.
        batch_size: Pictures a forward pass; changes speed alone.
        generate: Also let the model write freely on so many of the records.
        zero_shot: Also ask the base model so many of the records, as it was before training.
        full: Also baselines, robustness and attributions: minutes.
        train_data: What the baselines learn from; None for the split ``train`` of ``data``.
        directory: Where ``samples.jsonl`` is written as the answers come; None keeps them in
            memory.
        where: Where the scoring is done; None for this process.
        quiet: Show no progress bars.

    Raises:
        DatasetError: The data cannot be read.
        ModelError: The model cannot be loaded or does not take the pictures.
    """
    asks = model if isinstance(model, Model) else Model(model)
    loaded = asks.get()
    started = time.monotonic()
    evaluation = evaluate(
        asks,
        data,
        split=split,
        limit=limit,
        seed=seed,
        batch_size=batch_size,
        generate=generate,
        zero_shot=zero_shot,
        directory=directory,
        where=where,
        quiet=quiet,
    )
    found = look_closer(evaluation, loaded=loaded, limit=limit)
    selection = replace(found.selection, items_sha256=_items_digest(data, split))
    seconds = {"evaluate": time.monotonic() - started}
    measured = replace(found, selection=selection, seconds=seconds)
    if not full:
        return measured
    for name, part in (
        ("baselines", partial(_with_baselines, seed=seed, train_data=train_data)),
        ("robustness", partial(_with_robustness, seed=seed, batch_size=batch_size)),
        ("attributions", _with_attributions),
    ):
        began = time.monotonic()
        try:
            measured = part(measured, loaded, quiet=quiet)
        except GlyphsightError as error:  # the rest of the study stands
            measured = _noted(measured, f"{name} left out: {error}")
        seconds[name] = time.monotonic() - began
    return measured


def _noted(measured: Study, *notes: str) -> Study:
    """With these notes too, which are said."""
    for note in notes:
        say(f"glyphsight: warning: {note}")
    return replace(measured, notes=[*measured.notes, *notes])


def _items_digest(data: str, split: str) -> str | None:
    """SHA-256 of what a dataset's split says it was made of; None where it does not say."""
    if is_spec(data):
        return None
    lists = [sources_file(file) for file in Reading(data, split, PUBLISHED).files]
    return checksum(lists) if all(file.is_file() for file in lists) else None


def _codes(judged: Evaluation) -> NDArray[np.int32]:
    """The number of each right answer among the labels, int32[N]."""
    place = {label: number for number, label in enumerate(judged.labels)}
    numbers = (place[sample.truth] for sample in judged.samples)
    return np.fromiter(numbers, dtype=np.int32, count=len(judged.samples))


def _chosen(judged: Evaluation, rows: NDArray[np.int64]) -> list[Sample]:
    """The outcomes at ``rows``, ascending."""
    wanted = set(rows.tolist())
    return [sample for row, sample in enumerate(judged.samples) if row in wanted]


def _profile(loaded: LoadedModel | None) -> Profile:
    return loaded.run.profile if loaded and loaded.run else PUBLISHED


def _with_baselines(
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
    measured = _noted(measured, *_doubts(measured, asked, train, source, seed))
    texts, truth = [one.ascii_image for one in asked], [one.truth for one in asked]
    found = baselines(
        Grids.read([r.ascii_image for r in train], [r.response for r in train], profile, source),
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
    learnt = {(record.ascii_image, record.response) for record in train}
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


def _with_robustness(
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
        else [Record("", one.ascii_image, one.truth) for one in _chosen(judged, rows)],
        seed=seed,
        batch_size=batch_size,
        quiet=quiet,
    )
    if judged.too_long:
        measured = _noted(
            measured, f"robustness: without the {judged.too_long} records too long to read"
        )
    return replace(measured, robustness=found)


def _pictures(selection: Selection, chosen: NDArray[np.int64]) -> list[Pictures]:
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


def _with_attributions(measured: Study, loaded: LoadedModel, *, quiet: bool) -> Study:
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
    return _noted(replace(measured, attributions=found), *left_out)
