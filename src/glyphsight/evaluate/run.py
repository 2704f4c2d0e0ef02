"""One evaluation: a model's answers to labelled pictures, beside what chance and the base give."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.codec.formats import get_format
from glyphsight.dataset import Prompt, Record, load_dataset
from glyphsight.dataset.split import stratified_sample
from glyphsight.dataset.storage import checksum, split_files
from glyphsight.errors import DatasetError, FormatError, ModelError
from glyphsight.evaluate.metrics import ClassScore, confusion_matrix, per_class, wilson_interval
from glyphsight.files import replacing
from glyphsight.models import (
    LoadedModel,
    RunRecord,
    best_labels,
    generate_replies,
    load_model,
    score_labels,
)
from glyphsight.models.score import probabilities
from glyphsight.sources import open_source, read_split
from glyphsight.sources.spec import is_spec


@dataclass(frozen=True)
class Share:
    """A share of right answers.

    Attributes:
        accuracy: 0-1.
        n: Records judged.
        interval: 95 % Wilson interval.
    """

    accuracy: float
    n: int
    interval: tuple[float, float]

    @staticmethod
    def of(right: int, n: int) -> Share:
        """The share ``right`` of ``n``."""
        return Share(right / n, n, wilson_interval(right, n))


@dataclass(frozen=True)
class Sample:
    """One record's outcome.

    Attributes:
        ascii_image: What the model read.
        truth: The right answer.
        answer: The label with the highest log-likelihood.
        probability: Its probability among the labels, 0-1.
        probabilities: Of every label.
        generated: What the model wrote freely; None where it was not asked to.
    """

    ascii_image: str
    truth: str
    answer: str
    probability: float
    probabilities: dict[str, float]
    generated: str | None


@dataclass(frozen=True)
class Evaluation:
    """All figures of one evaluation.

    Attributes:
        model: What was evaluated.
        base: The model it was trained from; None for a plain base model.
        data: Dataset or source.
        split: Split of it; None where the data is a single file.
        warnings: What a reader of the figures must know, such as that the records are the ones the
            model was trained on.
        seed: Of the choice under a limit.
        score: Accuracy by label log-likelihood.
        generation: Accuracy of free generation, exact match; None when not asked for.
        unreadable: Freely generated answers that are none of the labels.
        majority: Accuracy of always giving the commonest label.
        majority_label: That label.
        zero_shot: The base model on a part of the same records, before training; None if skipped.
        classes: Precision and recall a label.
        labels: Rows and columns of ``confusion``.
        confusion: Counts, true label by answer.
        scoring_seconds: Of scoring by log-likelihood.
        samples: Every record's outcome.
    """

    model: str
    base: str | None
    data: str
    split: str | None
    warnings: list[str]
    seed: int
    score: Share
    generation: Share | None
    unreadable: int
    majority: Share
    majority_label: str
    zero_shot: Share | None
    classes: list[ClassScore]
    labels: list[str]
    confusion: list[list[int]]
    scoring_seconds: float
    samples: list[Sample]

    @property
    def pictures_per_second(self) -> float:
        """Speed of scoring by log-likelihood."""
        return self.score.n / self.scoring_seconds

    def as_json(self) -> dict[str, Any]:
        """Everything but the samples, ``accuracy``, ``n`` and ``interval`` at the top."""
        whole = asdict(self)
        whole.pop("samples")
        score: dict[str, Any] = whole.pop("score")
        whole["pictures_per_second"] = self.pictures_per_second
        return score | whole

    def save(self, directory: Path) -> None:
        """Write ``metrics.json`` and ``samples.jsonl``."""
        with replacing(directory / "metrics.json") as stream:
            json.dump(self.as_json(), stream, ensure_ascii=False, indent=2)
            stream.write("\n")
        with replacing(directory / "samples.jsonl") as stream:
            for sample in self.samples:
                stream.write(json.dumps(asdict(sample), ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class Judged:
    """The records of an evaluation.

    Attributes:
        records: At least one.
        labels: Every label of the whole split, sorted, whatever the limit left of it.
        files: The dataset files they come from; none for a source.
        split: Its split; None where a file was named.
    """

    records: list[Record]
    labels: list[str]
    files: list[Path]
    split: str | None


def _part(records: list[Record], count: int, seed: int) -> list[Record]:
    """At most ``count`` of the records, stratified by label."""
    chosen = stratified_sample([record.response for record in records], count, seed)
    return [records[index] for index in chosen.tolist()]


def read_judged(data: str, split: str, limit: int | None, seed: int, profile: Profile) -> Judged:
    """Read a dataset directory, a dataset file or a source SPEC.

    Args:
        data: Where; a file has no splits.
        split: Which split of a directory or source.
        limit: At most so many records, stratified by label; None for all.
        seed: Of that choice.
        profile: How a source's pictures are encoded.

    Raises:
        DatasetError: The data cannot be read or is empty.
    """
    if is_spec(data):
        source = open_source(data)
        if split not in source.splits:
            raise DatasetError(f"{data}: has no split {split!r}; it has {', '.join(source.splits)}")
        records = [
            Record(str(profile.width), text, label)
            for pictures in read_split(source, split)
            for text, label in zip(
                encode_batch(pictures.pixels, profile), pictures.labels, strict=True
            )
        ]
        labels = sorted({record.response for record in records})
        if limit is not None:
            records = _part(records, limit, seed)
        judged = Judged(records, labels, [], split)
    else:
        [files] = split_files(Path(data), split).values()
        records = load_dataset(data, split)
        labels = sorted({record.response for record in records})
        if limit is not None:
            records = _part(records, limit, seed)
        judged = Judged(records, labels, files, split if Path(data).is_dir() else None)
    if not judged.records:
        where = f"{data}: split {judged.split}" if judged.split else data
        raise DatasetError(f"{where} holds no record")
    return judged


def _doubts(judged: Judged, run: RunRecord) -> list[str]:
    """Why the figures may not say what they seem to."""
    doubts = []
    other_width, unreadable = [], []
    form = get_format(run.profile.format)
    for number, record in enumerate(judged.records, start=1):
        try:
            grid = form.read(record.ascii_image, run.profile.palette)
        except FormatError as error:
            unreadable.append(f"record {number}: {error}")
            continue
        columns = grid.shape[1] // form.cell[1]
        if columns != run.profile.width:
            other_width.append(f"record {number}: {columns}")
    count = len(judged.records)
    if other_width:
        doubts.append(
            f"{len(other_width)} of {count} records are not {run.profile.width} columns wide, "
            f"as the model was taught ({other_width[0]})"
        )
    if unreadable:
        doubts.append(
            f"{len(unreadable)} of {count} records are not in the glyphs {run.profile.palette!r} "
            f"the model was taught ({unreadable[0]})"
        )
    taught = run.training.get("data_sha256")
    if judged.files and taught == checksum(judged.files):
        doubts.append(
            f"{judged.files[0]}: these are the records it was trained on; "
            "accuracy on them says little about other pictures"
        )
    return doubts


def _bar(total: int, what: str, quiet: bool) -> tqdm[NoReturn]:
    return tqdm(total=total, desc=what, unit="pic", disable=quiet)


def _zero_shot(
    run: RunRecord,
    records: list[Record],
    labels: list[str],
    n: int,
    *,
    seed: int,
    batch_size: int,
    quiet: bool,
) -> Share:
    """The base model before training on a stratified part of the records."""
    base = load_model(run.base, seed=run.seed)
    part = _part(records, n, seed)
    with _bar(len(part), "before training", quiet) as bar:
        said = best_labels(
            base,
            [record.ascii_image for record in part],
            labels,
            run.prompt,
            batch_size=batch_size,
            progress=bar.update,
        )
    right = sum(answer == r.response for answer, r in zip(said, part, strict=True))
    return Share.of(right, len(part))


def evaluate(
    model: str | Path | LoadedModel,
    data: str,
    *,
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    generate: int = 200,
    zero_shot: int = 100,
    quiet: bool = False,
) -> Evaluation:
    """Measure how well a model recognises labelled pictures it reads as text.

    Args:
        model: Name, run directory, path, hub id or a loaded model.
        data: Dataset directory, dataset file or source SPEC.
        split: Which split; a dataset file has none.
        limit: Judge at most so many records, stratified by label.
        seed: Of that choice.
        batch_size: Pictures a forward pass; changes speed alone.
        generate: Also let the model write freely on so many of the records.
        zero_shot: Also ask the base model so many of the records, as it was before training.
        quiet: Show no progress bars.

    Raises:
        DatasetError: The data cannot be read.
        ModelError: The model cannot be loaded or does not take the pictures.
    """
    loaded = model if isinstance(model, LoadedModel) else load_model(model)
    run = loaded.run
    judged = read_judged(data, split, limit, seed, run.profile if run else PUBLISHED)
    records = judged.records
    warnings = _doubts(judged, run) if run else []
    prompt = run.prompt if run else Prompt()
    labels = sorted({*(run.labels if run else []), *judged.labels})
    asked = [prompt.ask(record.ascii_image) for record in records]

    started = time.monotonic()
    with _bar(len(records), "score", quiet) as bar:
        scores = score_labels(
            loaded, asked, labels, prompt, batch_size=batch_size, progress=bar.update
        )
    seconds = time.monotonic() - started
    chances = probabilities(scores)
    truth = [record.response for record in records]
    said = [labels[index] for index in scores.argmax(axis=1).tolist()]

    written: dict[int, str] = {}
    if generate > 0:
        rows = stratified_sample(truth, generate, seed).tolist()
        with _bar(len(rows), "generate", quiet) as bar:
            replies = generate_replies(
                loaded,
                [asked[row] for row in rows],
                labels,
                prompt,
                batch_size=batch_size,
                progress=bar.update,
            )
        written = dict(zip(rows, replies, strict=True))
    before = None
    if run is not None and zero_shot > 0:
        try:
            before = _zero_shot(
                run, records, labels, zero_shot, seed=seed, batch_size=batch_size, quiet=quiet
            )
        except ModelError as error:  # a run outlives its base; its own figures stand
            warnings.append(f"no figure from before its training: {error}")
    commonest, count = Counter(truth).most_common(1)[0]
    matrix = confusion_matrix(truth, said, labels)
    return Evaluation(
        model=loaded.name,
        base=run.base if run else None,
        data=data,
        split=judged.split,
        warnings=warnings,
        seed=seed,
        score=Share.of(sum(t == s for t, s in zip(truth, said, strict=True)), len(records)),
        generation=Share.of(sum(written[r] == truth[r] for r in written), len(written))
        if written
        else None,
        unreadable=sum(text not in labels for text in written.values()),
        majority=Share.of(count, len(records)),
        majority_label=commonest,
        zero_shot=before,
        classes=per_class(matrix, labels),
        labels=labels,
        confusion=matrix.tolist(),
        scoring_seconds=seconds,
        samples=[
            Sample(
                record.ascii_image,
                record.response,
                said[row],
                float(chances[row].max()),
                {label: float(p) for label, p in zip(labels, chances[row], strict=True)},
                written.get(row),
            )
            for row, record in enumerate(records)
        ],
    )
