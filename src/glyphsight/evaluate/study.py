"""Everything known of one model after one evaluation, with ``full`` also floors and limits."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.console import progress_bar, say
from glyphsight.dataset import Record
from glyphsight.dataset.storage import sources_file
from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.evaluate.attribution import Attribution, gradient, occlusion
from glyphsight.evaluate.baselines import ALL, MOST_RECORDS, Baseline, Grids, baselines
from glyphsight.evaluate.evaluation import DEFAULTS, evaluate
from glyphsight.evaluate.result import Evaluation, Sample, pick
from glyphsight.evaluate.robustness import Condition, robustness
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.statistics import (
    Calibration,
    Paired,
    ReplyCounts,
    calibrate,
    paired,
    sort_replies,
)
from glyphsight.evaluate.tasks import Task, open_task
from glyphsight.evaluate.tasks.records import records_task
from glyphsight.files import checksum
from glyphsight.inference.model import Model
from glyphsight.models import LoadedModel
from glyphsight.models.tokens import EMBEDDED, count_tokens, load_tokenizer
from glyphsight.parallel import HERE, Workers
from glyphsight.sampling import stratified_sample
from glyphsight.sources import Batch, is_spec, open_source, read_split

SHOWN = 12  # most pictures that any part of a report shows
_LEARNED = 20  # records that baselines learn from at most, for each that --limit leaves to judge
MOST_ASKED = 10_000  # most records that baselines are asked, by default
_EXPLAINED = 4  # right answers, and as many mistakes, that are attributed
_BROKEN = 2000  # pictures that are broken
_COUNTED = 256  # texts whose tokens are counted


@dataclass(frozen=True)
class Selection:
    """Records that an evaluation judged; equal for two evaluations of the same, in one order."""

    data: str  # dataset, source or task
    split: str | None  # split of the data; None where it has none
    limit: int | None  # largest number of records that was asked for; None for all
    seed: int  # random seed for the choice under a limit
    n: int  # number of records judged
    labels_sha256: str  # SHA-256 of the right answers, in order
    # SHA-256 of the list of pictures that the split was made of (``*.sources.txt`` beside its
    # files), in order and before the limit; None where there is none
    items_sha256: str | None = None


@dataclass(frozen=True)
class Study:
    """Everything known of one model after one evaluation."""

    evaluation: Evaluation  # answers of the model and their figures
    selection: Selection  # records that were judged
    calibration: Calibration  # of the answers that were chosen
    replies: ReplyCounts | None  # freely written answers by kind; None where none was asked for
    tokens: dict[str, float]  # mean per picture, alone, by tokenizer: SmolLM2's and the model's own
    profile: Profile  # profile of the model's pictures
    shown: list[Sample]  # first of each label that the model could read, at most a dozen
    mistakes: list[Sample]  # wrong answers with the highest probability, at most a dozen
    baselines: list[Baseline] = field(default_factory=list)  # floors and ceilings on the same text
    against: dict[str, Paired] = field(default_factory=dict)  # difference to each, by its name
    robustness: list[Condition] = field(default_factory=list)  # when pictures and texts are broken
    attributions: list[tuple[Sample, Attribution]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # parts left out and why; doubts on baselines
    seconds: dict[str, float] = field(default_factory=dict)  # that each part took

    @property
    def ceiling(self) -> Baseline | None:
        """The best baseline; None without baselines."""
        return max(self.baselines, key=lambda one: one.share.accuracy, default=None)

    def of_ceiling(self, ceiling: Baseline) -> float | None:
        """Return the model's accuracy over a baseline's on the same records; it may exceed 1."""
        best, own = ceiling.share.accuracy, self.evaluation.score.accuracy
        if ceiling.name in self.against:
            own = best + self.against[ceiling.name].difference
        return own / best if best else None

    def as_json(self) -> dict[str, Any]:
        """Return all but samples and attributions, with ``accuracy`` and ``n`` at the top."""
        ceiling = self.ceiling
        floors = []
        for one in self.baselines:
            against = self.against.get(one.name)
            own = {"of": self.of_ceiling(one), "paired": against and asdict(against)}
            floors.append(_flat(one.as_json()) | own)
        return self.evaluation.as_json() | {
            "selection": asdict(self.selection),
            "tokens": self.tokens,
            "profile": asdict(self.profile),
            "calibration": asdict(self.calibration),
            "replies": self.replies and asdict(self.replies),
            "baselines": floors,
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

    def noted(self, *notes: str) -> Study:
        """Return the study with further notes, and say them."""
        for note in notes:
            say(f"glyphsight: warning: {note}")
        return replace(self, notes=[*self.notes, *notes])


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    """Replace the share by its keys."""
    share = value.pop("share")
    return value | (share or {"accuracy": None, "n": 0, "interval": None})


def run_study(
    model: str | Path | LoadedModel | Model,
    data: str,
    settings: EvaluateSettings = DEFAULTS,
    *,
    directory: Path | None = None,
    workers: Workers = HERE,
    quiet: bool = False,
) -> Study:
    """Measure a model and look closer, with ``full`` at baselines, robustness and attributions too.

    Arguments and errors are those of :func:`~glyphsight.evaluate.evaluate`; ``data`` is a dataset
    directory, dataset file, source SPEC or ``KIND:FILE`` of a task.
    """
    asks = model if isinstance(model, Model) else Model(model)
    started = time.monotonic()
    task = open_task(data, asks.run, settings)
    evaluation = evaluate(asks, task, settings, directory=directory, workers=workers, quiet=quiet)
    found = describe(evaluation, asks.get(), settings.limit, task.files)
    seconds = found.seconds
    seconds["evaluate"] = time.monotonic() - started
    if not settings.full:
        return found
    for name, part in (
        ("baselines", partial(with_baselines, task=task, settings=settings)),
        ("robustness", partial(_with_robustness, asks.get(), task=task, settings=settings)),
        ("attributions", partial(with_attributions, loaded=asks.get())),
    ):
        began = time.monotonic()
        try:
            found = part(study=found, quiet=quiet)
        except GlyphsightError as error:  # the rest of the study stands
            found = found.noted(f"{name} left out: {error}")
        seconds[name] = time.monotonic() - began
    return found


def describe(
    evaluation: Evaluation,
    loaded: LoadedModel | None = None,
    limit: int | None = None,
    files: Sequence[Path] = (),
) -> Study:
    """Describe an evaluation, with this ``limit`` of these dataset files, by its samples alone.

    Without ``loaded`` the profile is the published one, and the model's own tokens are left out.
    """
    digest = hashlib.sha256()
    sure, right, replies = [], [], []
    first: dict[str, Sample] = {}
    mistakes: list[Sample] = []
    for sample in evaluation.samples:
        digest.update(json.dumps(sample.truth).encode() + b"\n")
        if (said := sample.read or sample.generated) is not None:
            replies.append((said, sample.truth))
        if not sample.probabilities:
            continue
        sure.append(sample.probability)
        right.append(sample.right)
        first.setdefault(sample.truth, sample)
        if len(first) > SHOWN:
            del first[max(first)]  # as many as are shown, whatever the number of labels
        if not sample.right:  # a stable sort: of mistakes as sure the first stays
            mistakes = sorted([*mistakes, sample], key=lambda one: -one.probability)[:SHOWN]
    texts = [sample.ascii_image for sample in islice(evaluation.samples, _COUNTED)]
    tokens = {EMBEDDED: float(np.mean(count_tokens(texts, load_tokenizer())))}
    if loaded is not None:
        tokens["model"] = float(np.mean(count_tokens(texts, loaded.tokenizer)))
    written, truth = [said for said, _ in replies], [one for _, one in replies]
    known = evaluation.labels or sorted(set(truth))
    lists = [sources_file(file) for file in files]
    items = checksum(lists) if lists and all(file.is_file() for file in lists) else None
    chosen = evaluation.data, evaluation.split, limit, evaluation.seed, evaluation.score.n
    return Study(
        evaluation,
        Selection(*chosen, digest.hexdigest(), items),
        calibrate(np.array(sure, dtype=np.float32), right),
        sort_replies(written, truth, known) if replies else None,
        tokens,
        loaded.run.profile if loaded and loaded.run else PUBLISHED,
        [first[label] for label in sorted(first)],
        mistakes,
    )


def with_baselines(
    study: Study,
    task: Task,
    settings: EvaluateSettings,
    *,
    names: Sequence[str] = ALL,
    most: int = MOST_ASKED,
    quiet: bool = False,
) -> Study:
    """Add floors and ceilings that learn from the training split and read the same texts.

    They are asked ``most`` records at most, stratified.

    Raises:
        DatasetError: They cannot learn, or would learn from the records that are judged.
    """
    if settings.train_data is None and task.split is None:
        raise DatasetError(
            f"{task.data} is a single file; name other records to learn from with --train-data"
        )
    source = settings.train_data or task.data
    limit = min(MOST_RECORDS, _LEARNED * (settings.limit or MOST_RECORDS))
    own = replace(settings, split="train", limit=limit)
    train = records_task(source, None, own, study.profile)
    if len(train.items) == limit < MOST_RECORDS:
        study = study.noted(f"with --limit baselines learn from {limit:,} records at most")
    files = {file.resolve() for file in train.files}
    if (not files and (task.data, task.split) == (train.data, train.split)) or not (
        files.isdisjoint(file.resolve() for file in task.files)
    ):
        raise DatasetError(
            f"{source}: to learn from it holds the records that are judged; give other records "
            "with --train-data"
        )
    rows = stratified_sample(task.truth, most, settings.seed).tolist()
    asked = pick(study.evaluation.samples, rows)
    study = study.noted(*_doubts(asked, train, len(task.items), settings.seed))
    texts, truth = [one.ascii_image for one in asked], [one.truth for one in asked]
    found = baselines(
        Grids.read([one.ascii_image for one in train.items], train.truth, study.profile, source),
        Grids.read(texts, truth, study.profile, task.data),
        seed=settings.seed,
        names=names,
        quiet=quiet,
    )
    right = [sample.right for sample in asked]
    theirs = {one.name: np.equal(one.answers, truth).tolist() for one in found}
    against = {name: paired(right, own) for name, own in theirs.items()}
    return replace(study, baselines=found, against=against)


def _doubts(asked: Sequence[Sample], train: Task, total: int, seed: int) -> list[str]:
    """Say what a reader must know of the records that baselines are asked; refuse known ones."""
    doubts = []
    if len(asked) < total:
        doubts.append(
            f"baselines were asked {len(asked):,} of the {total:,} records, "
            f"stratified, seed {seed}; the model is compared with them on these"
        )
    learnt = {(item.ascii_image, item.answers[0]) for item in train.items}
    known = sum((sample.ascii_image, sample.truth) in learnt for sample in asked)
    said = f"{known:,} of the {len(asked):,} records have text and answer of one in {train.data}"
    if 2 * known > len(asked):
        raise DatasetError(
            f"{said}: learning them by heart would do; give other records with --train-data"
        )
    if known:
        doubts.append(
            f"{said}, from which baselines learn: the same pictures, or others that look alike in "
            "so few cells"
        )
    return doubts


def _with_robustness(
    loaded: LoadedModel, *, study: Study, task: Task, settings: EvaluateSettings, quiet: bool
) -> Study:
    """Add the accuracy that is left when pictures, or texts where there are none, are broken."""
    read = [row for row, one in enumerate(study.evaluation.samples) if not one.too_long]
    kept = stratified_sample([task.truth[row] for row in read], _BROKEN, settings.seed)
    rows = [read[row] for row in kept.tolist()]
    numbers = [task.rows[row] if task.rows else row for row in rows]
    at = np.array(numbers)
    sounds = is_spec(task.data) and getattr(open_source(task.data), "sounds", False)
    found = robustness(
        loaded,
        pictures_at(task.data, task.split or "", at)
        if is_spec(task.data)
        else [
            Record((task.items[row].ascii_image,), task.truth[row], task.items[row].group)
            for row in rows
        ],
        seed=settings.seed,
        batch_size=settings.batch_size,
        again=partial(pictures_at, task.data, task.split or "", at) if sounds else None,
        quiet=quiet,
    )
    if count := study.evaluation.too_long:
        study = study.noted(f"robustness: without the {count} records too long to read")
    return replace(study, robustness=found)


def pictures_at(spec: str, split: str, rows: NDArray[np.int64], change: Any = None) -> list[Batch]:
    """Read the pictures of a source at ``rows``, ascending; sounds changed by ``change``."""
    found, start = [], 0
    source: Any = open_source(spec, sys.maxsize)  # read under a limit before
    if change is not None:
        source.change = change
    for batch in read_split(source, split):
        inside = rows[(rows >= start) & (rows < start + len(batch))] - start
        found += [batch.take(inside)] if len(inside) else []
        start += len(batch)
    return found


def with_attributions(study: Study, loaded: LoadedModel, *, quiet: bool) -> Study:
    """Add the cells that spoke for some right answers and for the surest mistakes."""
    right = [sample for sample in study.shown if sample.right]
    chosen = right[:: max(1, len(right) // _EXPLAINED)][:_EXPLAINED]
    chosen += study.mistakes[:_EXPLAINED]
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
                one = methods[name](loaded, sample.ascii_image, label, question=sample.group)
                found.append((sample, one))
            except GlyphsightError as error:  # the others stand
                left_out[f"{name} left out: {error}"] = None
    return replace(study, attributions=found).noted(*left_out)
