"""The runs of a sweep: each builds a dataset, trains a model on it and measures it."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.formats import get_format
from glyphsight.console import progress_bar
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.errors import ModelError
from glyphsight.evaluate.evaluation import evaluate
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.sweep.plan import Cell, SweepPlan
from glyphsight.files import alone, cached, claim, replacing
from glyphsight.models import nano
from glyphsight.models.load import model_tokenizer
from glyphsight.models.tokens import count_tokens, largest_grid, load_tokenizer
from glyphsight.sampling import stratified_sample
from glyphsight.sources import load_split, open_source
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings
from glyphsight.version import __version__

RESULTS = "results.jsonl"
_SETTINGS = EvaluateSettings(split="validation", generate=0, zero_shot=0)
_COUNTED = 512  # training pictures whose texts are counted to choose a grid


def run_sweep(
    plan: SweepPlan, spec: str, out: Path, *, quiet: bool = False
) -> list[dict[str, Any]]:
    """Run every cell that has no result yet, and write ``results.jsonl``.

    Killed at any moment, the sweep resumes with the same call; an unfinished cell starts again.
    Several processes with the same arguments share the cells.

    Args:
        plan: Encodings, sizes, amounts of data and seeds.
        spec: Source of labelled pictures. Only its training split is read; a part of it is held
            out to judge by.
        out: Directory of the sweep.
        quiet: Show no progress bar.

    Returns:
        Results in the plan's order; fewer than cells while another process works on the rest.

    Raises:
        ModelError: The directory holds another sweep, or a cell cannot be run.
    """
    cells = plan.cells()
    _write_results(plan, spec, out)  # fails early where the directory holds another sweep
    with progress_bar(total=len(cells), desc="sweep", unit="run", disable=quiet) as bar:
        for cell in cells:
            directory = out / "cells" / cell.key
            directory.mkdir(parents=True, exist_ok=True)
            with (directory / ".lock").open("w") as lock:
                if claim(lock) and read_result(out, cell, plan, spec) is None:
                    bar.set_postfix_str(cell.key, refresh=False)
                    result = _settings(cell, plan, spec) | _measure(cell, plan, spec, out)
                    with replacing(directory / "result.json") as stream:
                        json.dump(result, stream, ensure_ascii=False, indent=2)
                        stream.write("\n")
                    if not quiet:
                        bar.write(f"{cell.key}: {_said(result)}", file=sys.stderr)
                    _write_results(plan, spec, out)
            bar.update(1)
    return _write_results(plan, spec, out)


def _said(result: dict[str, Any]) -> str:
    if "left_out" in result:
        return f"left out: {result['left_out']}"
    return f"{100 * result['accuracy']:.2f} %"


def _write_results(plan: SweepPlan, spec: str, out: Path) -> list[dict[str, Any]]:
    read = (read_result(out, cell, plan, spec) for cell in plan.cells())
    found = [result for result in read if result is not None]
    with replacing(out / RESULTS) as stream:
        stream.writelines(json.dumps(result, ensure_ascii=False) + "\n" for result in found)
    return found


def read_result(out: Path, cell: Cell, plan: SweepPlan, spec: str) -> dict[str, Any] | None:
    """Read the result of a cell; None where there is none yet.

    Raises:
        ModelError: The file is damaged, or was made with other settings.
    """
    path = out / "cells" / cell.key / "result.json"
    settings: dict[str, Any] = json.loads(json.dumps(_settings(cell, plan, spec)))
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before = {name: result[name] for name in settings}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: damaged ({error!r}); remove it and run the sweep again"
        ) from error
    for name, value in settings.items():
        if name != "glyphsight" and before[name] != value:
            raise ModelError(
                f"{path}: was made with {name} {before[name]!r}, not {value!r}; give the encoding "
                "another name, or the sweep another --out"
            )
    return result


def _settings(cell: Cell, plan: SweepPlan, spec: str) -> dict[str, Any]:
    """Gather all that a result depends on."""
    return {
        "encoding": cell.name,
        "budget": cell.tokens,
        "width": cell.width,
        "records": cell.records,
        "seed": cell.seed,
        "source": spec,
        "validation": plan.validation,
        "model": plan.model,
        "tokenizer": plan.tokenizer,
        "train": dict(sorted(plan.train.items())),
        "encoding_profile": asdict(cell.encoding.profile),
        "glyphsight": __version__,
    }


def _measure(cell: Cell, plan: SweepPlan, spec: str, out: Path) -> dict[str, Any]:
    """Train and measure one cell.

    Returns:
        The grid, tokens per text (mean, least, most), accuracy with its interval, mean negative
        log-likelihood of the right label in nats, seconds; or the reason why it is ``left_out``.
    """
    started = time.monotonic()
    tokenizer = load_tokenizer(plan.tokenizer)
    profile = cell.encoding.profile
    try:
        if cell.width is not None:
            profile = replace(profile, width=cell.width)
        elif cell.tokens is not None:
            pictures = _pictures(spec)  # a grid finer than their pixels would say nothing more
            finest = max(1, pictures.shape[2] // get_format(profile.format).cell[1])
            profile = largest_grid(pictures, profile, cell.tokens, [tokenizer], finest)
    except ModelError as error:  # a budget that does not pay for one column
        return {"left_out": str(error)}
    data = _dataset(cell, plan, profile, spec, out)
    run = out / "cells" / cell.key / "run"
    shutil.rmtree(run, ignore_errors=True)  # of a cell that was killed
    steps = math.ceil(cell.records / resolve_settings(plan.model, plan.train).values.batch_size)
    once = {"evaluations": 1, "validation_records": 1, "checkpoints": 1}
    settings = resolve_settings(
        plan.model, plan.train | once | {"seed": cell.seed, "max_steps": steps}
    )
    report = train(data, _base(cell, plan, out), run, settings, quiet=True)
    judged = evaluate(run, str(data), _SETTINGS, quiet=True)
    samples = list(judged.samples)
    tokens = count_tokens([sample.ascii_image for sample in samples], tokenizer)
    likelihood = [sample.probabilities[sample.truth] for sample in samples]
    text = encode_batch(_pictures(spec)[:1], profile)[0]
    rows, columns = get_format(profile.format).read(text, profile.palette).shape
    shutil.rmtree(run)
    return {
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
        "nats": round(-sum(math.log(max(p, 1e-12)) for p in likelihood) / len(likelihood), 4),
        "training_seconds": report.seconds,
        "seconds": round(time.monotonic() - started, 1),
    }


@lru_cache(maxsize=1)
def _pictures(spec: str) -> NDArray[np.uint8]:
    """Load training pictures of a source, some of each label, uint8[N, H, W]."""
    pictures = load_split(open_source(spec), "train")
    return pictures.take(stratified_sample(pictures.labels, _COUNTED, seed=0)).pixels


def _dataset(cell: Cell, plan: SweepPlan, profile: Profile, spec: str, out: Path) -> Path:
    """Build the cell's dataset, which cells of other seeds share.

    Raises:
        ModelError: The source holds fewer training pictures than the cell needs.
    """
    limit = max(cell.records, plan.validation)
    data = out / "data" / f"{cell.key.partition(cell.size)[0]}{cell.size}-{limit}"
    # Pictures that look alike stay: on a grid of 5x2 cells nearly all do, and every cell is to
    # learn from the same pictures and be judged by the same.
    settings = BuildSettings(
        profile=profile, limit=limit, validation=plan.validation, keep_duplicates=True
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
