"""The whole pipeline once: dataset, training, evaluation and report of the bundled digits."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.console import say
from glyphsight.dataset import BuildSettings, Prompt, build_dataset
from glyphsight.errors import GlyphsightError, ModelError
from glyphsight.evaluate.report import Shown, record_study
from glyphsight.evaluate.result import Share
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.study import Study, run_study
from glyphsight.files import replacing
from glyphsight.inference import Model, Request
from glyphsight.models import load_model, nano, smollm2
from glyphsight.models.runs import SIGHT
from glyphsight.sampling import stratified_sample
from glyphsight.sources import load_split, open_source
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

_COPIES = 6
_MINUTES = 6.5  # of training at most
_WHOLE = 9.5  # minutes from start to report
_BEFORE = 100  # test digits SmolLM2 is asked, before any training and after
_BATCH = 32
_MARKER = "demo.json"
_BEFORE_NAME = f"{smollm2.NAME} before any training"
_AFTER_NAME = f"{smollm2.NAME} with the adapter that ships"


def _have_smollm2() -> bool:
    """Bring SmolLM2 into the cache; where that fails, say so and return False."""
    try:
        smollm2.ensure_smollm2()
    except (ModelError, OSError) as error:
        say(f"glyphsight: {error}; the report goes without {smollm2.NAME}'s answers")
        return False
    return True


def training_minutes(seconds_so_far: float) -> float:
    """Return the minutes for training, so that the whole demo ends in time on a slow machine too.

    The steps after training take about as long as those before it, a minute at least.
    """
    rest = max(60.0, seconds_so_far)
    return min(_MINUTES, max(1.0, _WHOLE - (seconds_so_far + rest) / 60))


def _answers(name: str, texts: list[str], labels: list[str], prompt: Prompt) -> list[str]:
    """Ask a model for the likeliest label of each text."""
    asked = [Request.about(prompt, text, labels) for text in texts]
    return [labels[column] for column in Model(load_model(name)).best(asked, batch_size=_BATCH)]


def _answers_after(pixels: NDArray[np.uint8]) -> list[str]:
    """Ask SmolLM2 with the shipped adapter about pictures uint8[N, H, W], as its own texts."""
    run = Model(SIGHT).trained
    return _answers(SIGHT, encode_batch(pixels, run.profile), run.labels, run.prompt)


def _clear(out: Path) -> None:
    """Remove the result of an earlier demo, known by its marker, and nothing else."""
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / _MARKER).is_file()):
        raise GlyphsightError(f"{out}: holds something that no demo made; choose another --out")
    shutil.rmtree(out)


def run_demo(
    out: Path, *, quick: bool = False, quiet: bool = False, started: float | None = None
) -> tuple[Study, dict[str, Any]]:
    """Run the pipeline into ``out``: ``metrics.json``, ``report.html``, the checkpoint, the data.

    Args:
        out: Directory; the result of an earlier demo in it is replaced.
        quick: A few hundred digits a split instead of all.
        quiet: Show no progress bars.
        started: When the clock began, as ``time.monotonic`` says it; None for now.

    Returns:
        The study on the test digits, and what ``metrics.json`` holds.
    """
    started = time.monotonic() if started is None else started
    _clear(out)
    with replacing(out / _MARKER) as stream:
        json.dump({"made_by": "glyphsight demo", "quick": quick}, stream)
    data = out / "data"
    limit = 600 if quick else None

    have_smollm2 = _have_smollm2()
    say("glyphsight: 1/4 build the dataset from the bundled digits")
    copies = 0 if quick else _COPIES
    profile = Profile(invert="auto", centre=True)
    built = build_dataset(
        "bundled", data, BuildSettings(profile=profile, limit=limit, copies=copies), quiet=quiet
    )
    say(f"glyphsight: 2/4 teach {nano.NAME}, a small language model made from scratch")
    minutes = training_minutes(time.monotonic() - started)
    resolved = resolve_settings(nano.NAME, {"minutes": minutes})
    trained = train(data, nano.NAME, out, resolved, quiet=quiet)
    say("glyphsight: 3/4 measure it on test digits it has never seen")
    measured = run_study(
        out, str(data), EvaluateSettings(generate=1000, zero_shot=200), quiet=quiet
    )
    result = measured.evaluation

    if have_smollm2:
        say(f"glyphsight: 4/4 ask {smollm2.NAME} the same, before any training and after")
    samples = list(result.samples)
    truth = [sample.truth for sample in samples]
    shown_rows = [truth.index(label) for label in sorted(set(truth))]
    judged_rows = stratified_sample(truth, 10 if quick else _BEFORE, seed=0).tolist()
    rows = shown_rows + judged_rows
    pictures = load_split(open_source("bundled"), "test")
    if limit is not None:
        pictures = pictures.take(stratified_sample(pictures.labels, limit, seed=0))
    others: dict[str, list[str]] = {}
    if have_smollm2:
        others[_BEFORE_NAME] = _answers(
            smollm2.NAME, [samples[row].ascii_image for row in rows], result.labels, Prompt()
        )
        others[_AFTER_NAME] = _answers_after(pictures.pixels[rows])
    record_study(
        measured,
        out,
        run=out,
        shown=[
            Shown(
                samples[row],
                pictures.pixels[row],
                {name: said[place] for name, said in others.items()},
            )
            for place, row in enumerate(shown_rows)
        ],
    )
    metrics = measured.as_json() | {
        "seconds": time.monotonic() - started,
        "training_seconds": trained.seconds,
        "training_records": built.records["train"],
        "validation_accuracy": trained.validation_accuracy,
        "smollm2_before_training": None,
        "smollm2_after_training": None,
        "quick": quick,
    }
    for key, name in (("before", _BEFORE_NAME), ("after", _AFTER_NAME)):
        if name in others:
            said = others[name][len(shown_rows) :]
            right = sum(truth[row] == answer for row, answer in zip(judged_rows, said, strict=True))
            metrics[f"smollm2_{key}_training"] = asdict(Share.of(right, len(judged_rows)))
    with replacing(out / "metrics.json") as stream:
        json.dump(metrics, stream, ensure_ascii=False, indent=2)
        stream.write("\n")
    return measured, metrics
