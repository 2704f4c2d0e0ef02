"""One evaluation: a model's answers to labelled pictures, beside what chance and the base give."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from glyphsight.codec import PUBLISHED, encode_batch
from glyphsight.dataset import Prompt, Record, load_dataset
from glyphsight.dataset.split import stratified_sample
from glyphsight.errors import DatasetError
from glyphsight.evaluate.metrics import ClassScore, confusion_matrix, per_class, wilson_interval
from glyphsight.files import replacing
from glyphsight.models import LoadedModel, generate_replies, load_model, score_labels
from glyphsight.models.score import probabilities
from glyphsight.sources import open_source
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
        split: Split of it.
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
    split: str
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

    def as_json(self) -> dict[str, Any]:
        """Everything but the samples, ``accuracy``, ``n`` and ``interval`` at the top."""
        whole = asdict(self)
        whole.pop("samples")
        score: dict[str, Any] = whole.pop("score")
        whole["pictures_per_second"] = score["n"] / self.scoring_seconds
        return score | whole

    def save(self, directory: Path) -> None:
        """Write ``metrics.json`` and ``samples.jsonl``."""
        with replacing(directory / "metrics.json") as stream:
            json.dump(self.as_json(), stream, ensure_ascii=False, indent=2)
            stream.write("\n")
        with replacing(directory / "samples.jsonl") as stream:
            for sample in self.samples:
                stream.write(json.dumps(asdict(sample), ensure_ascii=False) + "\n")


def read_records(
    data: str, split: str, limit: int | None, seed: int, like: LoadedModel
) -> list[Record]:
    """The records of a dataset directory, a dataset file or a source SPEC.

    A source's pictures are encoded with the profile the model was taught with. Under a limit the
    choice is stratified by label.

    Raises:
        DatasetError: The data cannot be read or is empty.
    """
    if is_spec(data):
        source = open_source(data)
        if split not in source.splits:
            raise DatasetError(f"{data}: has no split {split!r}; it has {', '.join(source.splits)}")
        pictures = source.load(split)
        if limit is not None:
            pictures = pictures.take(stratified_sample(pictures.labels, limit, seed))
        profile = like.run.profile if like.run else PUBLISHED
        texts = encode_batch(pictures.pixels, profile)
        records = [
            Record(str(profile.width), text, label)
            for text, label in zip(texts, pictures.labels, strict=True)
        ]
    else:
        records = load_dataset(data, split)
        if limit is not None:
            chosen = stratified_sample([record.response for record in records], limit, seed)
            records = [records[index] for index in chosen.tolist()]
    if not records:
        raise DatasetError(f"{data}: split {split} holds no record")
    return records


def _bar(total: int, what: str, quiet: bool) -> tqdm[NoReturn]:
    return tqdm(total=total, desc=what, unit="pic", disable=quiet)


def _zero_shot(
    loaded: LoadedModel, records: list[Record], labels: list[str], n: int, seed: int, quiet: bool
) -> Share | None:
    """The base model before training on a stratified part of the records."""
    if loaded.run is None or n < 1:
        return None
    base = load_model(loaded.run.base, seed=loaded.run.seed)
    chosen = stratified_sample([record.response for record in records], n, seed)
    part = [records[index] for index in chosen.tolist()]
    prompt = loaded.run.prompt
    with _bar(len(part), "before training", quiet) as bar:
        scores = score_labels(
            base, [prompt.ask(r.ascii_image) for r in part], labels, prompt, progress=bar.update
        )
    best = scores.argmax(axis=1).tolist()
    right = sum(labels[i] == r.response for i, r in zip(best, part, strict=True))
    return Share.of(right, len(part))


def evaluate(
    model: str | LoadedModel,
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
        split: Which split.
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
    loaded = load_model(model) if isinstance(model, str) else model
    records = read_records(data, split, limit, seed, loaded)
    prompt = loaded.run.prompt if loaded.run else Prompt()
    taught = loaded.run.labels if loaded.run else []
    labels = sorted(set(taught) | {record.response for record in records})
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
    commonest, count = Counter(truth).most_common(1)[0]
    matrix = confusion_matrix(truth, said, labels)
    return Evaluation(
        model=loaded.name,
        base=loaded.run.base if loaded.run else None,
        data=data,
        split=split,
        seed=seed,
        score=Share.of(sum(t == s for t, s in zip(truth, said, strict=True)), len(records)),
        generation=Share.of(sum(written[r] == truth[r] for r in written), len(written))
        if written
        else None,
        unreadable=sum(text not in labels for text in written.values()),
        majority=Share.of(count, len(records)),
        majority_label=commonest,
        zero_shot=_zero_shot(loaded, records, labels, zero_shot, seed, quiet),
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
