"""Runs of a sweep: each builds a dataset, trains a model on it and measures it."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.formats import get_format
from glyphsight.console import progress_bar, say
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.errors import GlyphsightError, ModelError
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.sweep.plan import Cell, SweepPlan
from glyphsight.files import JsonLog, alone, cached, claim
from glyphsight.models import nano
from glyphsight.models.load import model_tokenizer
from glyphsight.models.tokens import count_tokens, largest_grid, load_tokenizer
from glyphsight.sampling import stratified_sample
from glyphsight.sources import load_split, open_source
from glyphsight.train.settings import resolve_settings
from glyphsight.version import __version__

RESULTS = "results.jsonl"
_SETTINGS = EvaluateSettings(split="validation", generate=0, zero_shot=0)
_COUNTED = 512  # training pictures whose texts are counted to choose a grid


def run_sweep(
    plan: SweepPlan, spec: str, out: Path, *, quiet: bool = False
) -> list[dict[str, Any]]:
    """Run every cell that has no result in ``results.jsonl`` yet.

    Killed at any moment, the sweep resumes with the same call; an unfinished cell starts again.
    Several processes with the same arguments share the cells. Results of another plan's cells in
    the same directory stay. Of the source only the training split is read; a part of it is held
    out to judge by.

    Returns:
        Results in the plan's order; fewer than cells while another process works on the rest.

    Raises:
        GlyphsightError: The directory holds another sweep, or a cell cannot be run.
    """
    cells = plan.cells()
    done = _results(plan, spec, out)  # fails early where the directory holds another sweep
    with progress_bar(len(cells), "run", "sweep", disable=quiet) as bar:
        for cell in cells:
            directory = out / "cells" / cell.key
            directory.mkdir(parents=True, exist_ok=True)
            with (directory / ".lock").open("w") as lock:
                if claim(lock) and cell.key not in _results(plan, spec, out):
                    bar.set_postfix_str(cell.key, refresh=False)
                    result = _measure(cell, plan, spec, out)
                    done = _results(plan, spec, out, result)
                    if not quiet:
                        share = 100 * result.get("accuracy", 0.0)
                        say(f"{cell.key}: {result.get('left_out') or f'{share:.2f} %'}")
            bar.update(1)
    return [done[cell.key] for cell in cells if cell.key in done]


def _results(
    plan: SweepPlan, spec: str, out: Path, *new: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Add results to the log; return all by the keys of their cells, refuse another profile's."""
    found, wanted = {}, {cell.key: cell for cell in plan.cells()}
    with alone(out / RESULTS), JsonLog(out / RESULTS, _common(plan, spec)) as log:
        log.append(new)
        for number, result in enumerate(log, start=1):
            try:
                numbers = (result[name] for name in ("budget", "width", "records", "seed"))
                made = Cell(result["encoding"], Profile(**result["encoding_profile"]), *numbers)
            except (KeyError, TypeError, GlyphsightError) as error:
                raise ModelError(
                    f"{log.path}: line {number}: damaged ({error!r}); choose another --out"
                ) from error
            if wanted.get(made.key, made) != made:
                raise ModelError(
                    f"{log.path}: {made.key} was made with another profile of {made.name}; give "
                    "the encoding another name, or the sweep another --out"
                )
            found[made.key] = result
    return found


def _common(plan: SweepPlan, spec: str) -> dict[str, Any]:
    """Return the settings that all results of a sweep have in common."""
    names = ("validation", "model", "tokenizer", "train")
    return {"source": spec} | {name: getattr(plan, name) for name in names}


def _measure(cell: Cell, plan: SweepPlan, spec: str, out: Path) -> dict[str, Any]:
    """Train and measure one cell; return all that the result depends on, then its figures."""
    from glyphsight.evaluate.evaluation import evaluate  # with torch: a wrong plan does not wait
    from glyphsight.train.run import train

    started = time.monotonic()
    tokenizer = load_tokenizer(plan.tokenizer)
    profile, form = cell.profile, get_format(cell.profile.format)
    found = {
        "encoding": cell.name,
        "budget": cell.tokens,
        "width": cell.width,
        "records": cell.records,
        "seed": cell.seed,
        **_common(plan, spec),
        "encoding_profile": asdict(profile),
        "glyphsight": __version__,
    }
    pictures = _pictures(spec, plan.max_pixels)
    try:
        if cell.width is not None:
            profile = replace(profile, width=cell.width)
        elif cell.tokens is not None:  # a grid finer than their pixels would say nothing more
            finest = max(1, pictures.shape[2] // form.cell[1])
            profile = largest_grid(pictures, profile, cell.tokens, [tokenizer], finest)
    except ModelError as error:  # a budget that does not pay for one column
        return found | {"left_out": str(error)}
    data = _dataset(cell, plan, profile, spec, out)
    run = out / "cells" / cell.key / "run"
    shutil.rmtree(run, ignore_errors=True)  # of a cell that was killed
    steps = math.ceil(cell.records / resolve_settings(plan.model, plan.train).values.batch_size)
    once = {"evaluations": 1, "validation_records": 1, "checkpoints": 1, "max_steps": steps}
    settings = resolve_settings(plan.model, plan.train | once | {"seed": cell.seed})
    report = train(data, _base(cell, plan, out), run, settings, quiet=True)
    judged = evaluate(run, str(data), _SETTINGS, quiet=True)
    samples = list(judged.samples)
    tokens = count_tokens([sample.ascii_image for sample in samples], tokenizer)
    likelihood = [sample.probabilities[sample.truth] for sample in samples]
    text = encode_batch(pictures[:1], profile)[0]
    rows, columns = form.read(text, profile.palette).shape
    shutil.rmtree(run)
    return found | {
        "profile": asdict(profile),
        "columns": columns,
        "rows": rows,
        "levels": profile.levels,
        "tokens": round(float(np.mean(tokens)), 2),
        "tokens_least": min(tokens),
        "tokens_most": max(tokens),
        "accuracy": judged.score.accuracy,
        "n": judged.score.n,
        "interval": list(judged.score.interval),
        "nats": round(-fmean(math.log(max(p, 1e-12)) for p in likelihood), 4),
        "training_seconds": report.seconds,
        "seconds": round(time.monotonic() - started, 1),
    }


@lru_cache(maxsize=1)
def _pictures(spec: str, max_pixels: int) -> NDArray[np.uint8]:
    """Load training pictures of a source, some of each label, uint8[N, H, W]."""
    pictures = load_split(open_source(spec, max_pixels), "train")
    return pictures.take(stratified_sample(pictures.labels, _COUNTED, seed=0)).pixels


def _dataset(cell: Cell, plan: SweepPlan, profile: Profile, spec: str, out: Path) -> Path:
    """Build the cell's dataset, which cells of other seeds share."""
    limit = max(cell.records, plan.validation)
    data = out / "data" / f"{cell.encoding}-{limit}"
    # Pictures that look alike stay: on a grid of 5x2 cells nearly all do, and every cell is to
    # learn from the same pictures and be judged by the same.
    settings = BuildSettings(
        profile=profile,
        limit=limit,
        validation=plan.validation,
        keep_duplicates=True,
        max_pixels=plan.max_pixels,
    )
    with alone(data):
        built = build_dataset(spec, data, settings, quiet=True)
    if (held := built.records["train"]) < cell.records:
        raise ModelError(
            f"{spec}: holds {held} training pictures, not {cell.records}; lower records"
        )
    return data


def _base(cell: Cell, plan: SweepPlan, out: Path) -> str:
    """Give the model to train: a fresh nano that reads the plan's tokens, or the plan's own."""
    if plan.model != nano.NAME or plan.tokenizer == nano.NAME:
        return plan.model

    def make(directory: Path) -> None:
        model, tokenizer = nano.make_nano(cell.seed, model_tokenizer(plan.tokenizer))
        tokenizer.save_pretrained(directory)
        model.save_pretrained(directory)

    return str(cached(out / "base" / f"nano-seed{cell.seed}", make))
