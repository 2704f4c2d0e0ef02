"""One evaluation: a model's answers to labelled pictures, beside what chance and the base give."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from glyphsight.codec import PUBLISHED
from glyphsight.console import progress_bar
from glyphsight.dataset import Prompt
from glyphsight.errors import ModelError
from glyphsight.evaluate.result import Evaluation, Sample, Share
from glyphsight.evaluate.selection import Judged, look_at
from glyphsight.evaluate.statistics import per_class
from glyphsight.evaluate.stream import CHUNK, Asked, stream
from glyphsight.evaluate.tally import Tally
from glyphsight.files import checksum
from glyphsight.inference.model import Model
from glyphsight.inference.score import best_labels
from glyphsight.models import LoadedModel, RunRecord, load_model
from glyphsight.parallel import Workers
from glyphsight.sampling import stratified_sample
from glyphsight.version import __version__

__all__ = ["Evaluation", "Sample", "Share", "evaluate"]


def _of_training(judged: Judged, run: RunRecord) -> list[str]:
    """A warning where the records are those the model was trained on."""
    files = judged.reading.files
    if not files or run.training.get("data_sha256") != checksum(files):
        return []
    return [
        f"{files[0]}: these are the records it was trained on; "
        "accuracy on them says little about other pictures"
    ]


def _zero_shot(
    run: RunRecord, pairs: list[tuple[str, str]], count: int, asked: Asked, *, quiet: bool
) -> Share:
    """The base model before training, on pairs of text and answer, the rest of ``count`` wrong."""
    base = load_model(
        run.base,
        seed=run.seed,
        chat=run.chat or False,
        profile=run.base_profile,
    )
    with progress_bar(total=len(pairs), desc="before training", unit="pic", disable=quiet) as bar:
        said = best_labels(
            base,
            [text for text, _ in pairs],
            asked.labels,
            asked.prompt,
            batch_size=asked.batch_size,
            progress=bar.update,
        )
    right = sum(answer == truth for answer, (_, truth) in zip(said, pairs, strict=True))
    return Share.of(right, count)


def _too_long(judged: Judged, tally: Tally, loaded: LoadedModel) -> list[str]:
    """A warning where records exceed the model's window.

    Raises:
        ModelError: All do.
    """
    if tally.first_unread is None:
        return []
    count = int(tally.unread.sum())
    said = f"{judged.name(tally.first_unread)}: exceeds the {loaded.window} tokens {loaded.name}"
    mend = "encode with fewer columns"
    if count == len(judged):
        raise ModelError(f"{said} takes, as all records judged do; {mend}")
    return [f"{said} takes; {count} of {len(judged)} records do and count as wrong; {mend}"]


def _weights_digest(loaded: LoadedModel) -> str:
    """SHA-256 of a model's weights, in hexadecimal."""
    import torch

    digest = sha256()
    for name, tensor in sorted(loaded.model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().view(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def evaluate(
    model: str | Path | LoadedModel | Model,
    data: str,
    *,
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    generate: int = 200,
    zero_shot: int = 100,
    directory: Path | None = None,
    where: Workers | None = None,
    quiet: bool = False,
) -> Evaluation:
    """Measure how well a model recognises labelled pictures it reads as text.

    Args:
        model: Name, run directory, path, hub id, which workers load for themselves; or a loaded
            model, which is sent to them.
        data: Dataset directory, dataset file or source SPEC.
        split: Which split; a dataset file has none.
        limit: Judge at most so many records, stratified by label.
        seed: Of that choice.
        batch_size: Pictures a forward pass; changes speed alone.
        generate: Also let the model write freely on so many of the records.
        zero_shot: Also ask the base model so many of the records, as it was before training.
        directory: Where ``samples.jsonl`` is written as the answers come, so that memory does not
            grow with them, and an evaluation that ended early is gone on with by the same call.
            None keeps the answers in memory.
        where: Where the work is done; None for this process.
        quiet: Show no progress bars.

    Raises:
        DatasetError: The data cannot be read.
        ModelError: The model cannot be loaded or does not take the pictures.
        GlyphsightError: Another evaluation is writing to the directory.
    """
    where = where or Workers(workers=1)
    asks = model if isinstance(model, Model) else Model(model)
    loaded = asks.get()
    run = loaded.run
    judged = look_at(data, split, limit, seed, run.profile if run else PUBLISHED)
    labels = sorted({*(run.labels if run else []), *judged.labels})
    asked = Asked(labels, run.prompt if run else Prompt(), batch_size)
    free = stratified_sample(judged.codes, generate, seed) if generate else _NO_ROWS
    first = stratified_sample(judged.codes, zero_shot, seed) if run and zero_shot else _NO_ROWS
    tally = Tally(labels, run, first.tolist())
    settings: dict[str, Any] = {}
    if directory is not None:
        settings = {
            "glyphsight": __version__,
            "model": _weights_digest(loaded),
            "data": judged.digest,
            "limit": limit,
            "seed": seed,
            "generate": generate,
            "chunk": CHUNK,
        } | asdict(asked)
    samples, seconds = stream(
        asks,
        judged,
        asked,
        free,
        tally.add,
        directory=directory,
        settings=settings,
        where=where,
        quiet=quiet,
    )
    warnings = _too_long(judged, tally, loaded) + tally.doubts()
    warnings += _of_training(judged, run) if run else []
    before = None
    if run is not None and tally.kept:
        try:
            before = _zero_shot(run, tally.kept, len(first), asked, quiet=quiet)
        except ModelError as error:  # a run outlives its base; its own figures stand
            warnings.append(f"no figure from before its training: {error}")
    truth = Counter(judged.codes.tolist())
    commonest = max(truth, key=lambda code: truth[code])
    return Evaluation(
        model=loaded.name,
        base=run.base if run else None,
        data=data,
        split=judged.split,
        warnings=warnings,
        seed=seed,
        score=tally.score,
        generation=tally.generation,
        unreadable=tally.unreadable,
        majority=Share.of(truth[commonest], len(judged)),
        majority_label=judged.labels[commonest],
        zero_shot=before,
        classes=per_class(tally.confusion, labels, tally.unread),
        labels=labels,
        confusion=tally.confusion.tolist(),
        scoring_seconds=seconds,
        samples=samples,
        too_long=int(tally.unread.sum()),
    )


_NO_ROWS = np.zeros(0, dtype=np.int64)
