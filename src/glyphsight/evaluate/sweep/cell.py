"""One run of a sweep: a grid that fits the budget, a dataset, a model taught on it, its figures."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.formats import get_format
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.errors import ModelError
from glyphsight.evaluate.evaluation import evaluate
from glyphsight.evaluate.sweep.plan import Cell, SweepPlan
from glyphsight.files import alone, replacing
from glyphsight.models import nano
from glyphsight.models.load import model_tokenizer
from glyphsight.models.tokens import count_tokens, load_tokenizer, widest_grid
from glyphsight.sampling import stratified_sample
from glyphsight.sources import load_split, open_source
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings
from glyphsight.version import __version__

RESULT = "result.json"
_COUNTED = 512  # training pictures whose texts are counted to choose a grid


@lru_cache(maxsize=1)
def _pictures(spec: str) -> NDArray[np.uint8]:
    """Training pictures of a source, some of each label, uint8[N, H, W]."""
    pictures = load_split(open_source(spec), "train")
    return pictures.take(stratified_sample(pictures.labels, _COUNTED, seed=0)).pixels


def chosen_profile(cell: Cell, plan: SweepPlan, spec: str) -> Profile:
    """The cell's profile: the width given, or the widest that the budget pays for.

    Raises:
        ModelError: Not even one column fits the budget.
    """
    if cell.width is not None:
        return replace(cell.encoding.profile, width=cell.width)
    assert cell.tokens is not None
    return widest_grid(
        _pictures(spec), cell.encoding.profile, cell.tokens, load_tokenizer(plan.tokenizer)
    )


def _dataset(cell: Cell, plan: SweepPlan, profile: Profile, spec: str, out: Path) -> Path:
    """The cell's dataset, which cells of other seeds share.

    Raises:
        ModelError: The source holds fewer training pictures than the cell is to learn from.
    """
    limit = max(cell.records, plan.validation)
    data = out / "data" / f"{cell.key.partition(cell.size)[0]}{cell.size}-{limit}"
    with alone(data):
        # Pictures that look alike stay: on a grid of 5x2 cells nearly all do, and every cell is to
        # learn from the same pictures and be judged by the same.
        built = build_dataset(
            spec,
            data,
            BuildSettings(
                profile=profile, limit=limit, validation=plan.validation, keep_duplicates=True
            ),
            quiet=True,
        )
    if (held := built.records["train"]) < cell.records:
        raise ModelError(
            f"{spec}: holds {held} training pictures, not {cell.records}; lower records"
        )
    return data


def _base(cell: Cell, plan: SweepPlan, out: Path) -> str:
    """The model to teach: a fresh nano that reads the plan's tokens, or the plan's own."""
    if plan.model != nano.NAME or plan.tokenizer == nano.NAME:
        return plan.model
    base = out / "base" / f"nano-seed{cell.seed}"
    with alone(base):
        if not base.exists():
            model, tokenizer = nano.make_nano(cell.seed, model_tokenizer(plan.tokenizer))
            scratch = tempfile.mkdtemp(dir=base.parent)
            tokenizer.save_pretrained(scratch)
            model.save_pretrained(scratch)
            Path(scratch).rename(base)
    return str(base)


def run_cell(cell: Cell, plan: SweepPlan, spec: str, out: Path) -> dict[str, Any]:
    """Teach and measure one cell and write ``result.json`` into its directory.

    Returns:
        What the file holds: the cell, its grid, tokens a text (mean, least, most), accuracy with
        its interval, mean negative log-likelihood of the right label in nats, seconds; or why the
        cell is ``left_out``.
    """
    started = time.monotonic()
    directory = out / "cells" / cell.key
    try:
        profile = chosen_profile(cell, plan, spec)
    except ModelError as error:  # a budget that does not pay for one column
        return _write(directory, _settings(cell, plan) | {"left_out": str(error)})
    data = _dataset(cell, plan, profile, spec, out)
    run = directory / "run"
    shutil.rmtree(run, ignore_errors=True)  # of a cell that was killed
    batch_size = resolve_settings(plan.model, plan.train).values.batch_size
    settings = resolve_settings(
        plan.model,
        plan.train
        | {
            "seed": cell.seed,
            "max_steps": math.ceil(cell.records / batch_size),
            "evaluations": 1,
            "validation_records": 1,
            "checkpoints": 1,
        },
    )
    report = train(data, _base(cell, plan, out), run, settings, quiet=True)
    judged = evaluate(run, str(data), split="validation", generate=0, zero_shot=0, quiet=True)
    samples = list(judged.samples)
    tokens = count_tokens([s.ascii_image for s in samples], load_tokenizer(plan.tokenizer))
    likelihood = [s.probabilities[s.truth] for s in samples]
    grid = _grid(profile, spec)
    result = _settings(cell, plan) | {
        "profile": asdict(profile),
        "columns": grid[1],
        "rows": grid[0],
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
    shutil.rmtree(run)
    return _write(directory, result)


def _settings(cell: Cell, plan: SweepPlan) -> dict[str, Any]:
    """What a result is a result of, but for the size of the grid."""
    return {
        "encoding": cell.name,
        "budget": cell.tokens,
        "width": cell.width,
        "records": cell.records,
        "seed": cell.seed,
        "model": plan.model,
        "tokenizer": plan.tokenizer,
        "train": dict(sorted(plan.train.items())),
        "encoding_profile": asdict(cell.encoding.profile),
        "glyphsight": __version__,
    }


def _write(directory: Path, result: dict[str, Any]) -> dict[str, Any]:
    with replacing(directory / RESULT) as stream:
        json.dump(result, stream, ensure_ascii=False, indent=2)
        stream.write("\n")
    return result


def _grid(profile: Profile, spec: str) -> tuple[int, int]:
    """Rows and columns of level cells that a text of the profile holds."""
    text = encode_batch(_pictures(spec)[:1], profile)[0]
    rows, columns = get_format(profile.format).read(text, profile.palette).shape
    return int(rows), int(columns)


def read_result(out: Path, cell: Cell, plan: SweepPlan) -> dict[str, Any] | None:
    """The result of a cell, None where there is none yet.

    Raises:
        ModelError: The file is damaged, or is of another encoding of the same name.
    """
    path = out / "cells" / cell.key / RESULT
    settings: dict[str, Any] = json.loads(json.dumps(_settings(cell, plan)))
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before = {name: result[name] for name in settings}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: damaged ({error!r}); remove it, and the sweep makes it anew"
        ) from error
    for name, value in settings.items():
        if name != "glyphsight" and before[name] != value:
            raise ModelError(
                f"{path}: is of {name} {before[name]!r}, not {value!r}; give the encoding another "
                "name, or the sweep another --out"
            )
    return result
