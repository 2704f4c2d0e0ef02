"""One model measured: answers and figures at once, baselines, robustness and attributions if asked.

``look_closer`` adds to an evaluation what its samples tell and takes no time; ``study`` with
``full`` also asks the baselines, breaks the pictures and seeks the cells that spoke for an answer.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from glyphsight.codec import PUBLISHED
from glyphsight.dataset.storage import sources_file
from glyphsight.errors import GlyphsightError
from glyphsight.evaluate.evaluation import evaluate
from glyphsight.evaluate.outcomes import look_closer
from glyphsight.evaluate.parts import (
    noted,
    with_attributions,
    with_baselines,
    with_robustness,
)
from glyphsight.evaluate.selection import Reading
from glyphsight.evaluate.study import Study
from glyphsight.files import checksum
from glyphsight.inference.model import Model
from glyphsight.models import LoadedModel
from glyphsight.parallel import Workers
from glyphsight.sources import is_spec


def run_study(
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
    where: Workers | None = None,
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
        ("baselines", partial(with_baselines, seed=seed, train_data=train_data)),
        ("robustness", partial(with_robustness, seed=seed, batch_size=batch_size)),
        ("attributions", with_attributions),
    ):
        began = time.monotonic()
        try:
            measured = part(measured, loaded, quiet=quiet)
        except GlyphsightError as error:  # the rest of the study stands
            measured = noted(measured, f"{name} left out: {error}")
        seconds[name] = time.monotonic() - began
    return measured


def _items_digest(data: str, split: str) -> str | None:
    """SHA-256 of what a dataset's split says it was made of; None where it does not say."""
    if is_spec(data):
        return None
    lists = [sources_file(file) for file in Reading(data, split, PUBLISHED).files]
    return checksum(lists) if all(file.is_file() for file in lists) else None
