"""The whole pipeline once: dataset, training, evaluation and report of the bundled digits."""

from __future__ import annotations

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
from glyphsight.files import write_json
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
_QUICK = 600  # digits a split
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


def _ask_smollm2(
    texts: list[str], pixels: NDArray[np.uint8], labels: list[str]
) -> dict[str, list[str]]:
    """Ask SmolLM2 about pictures, by the name of the model: before any training and after.

    Args:
        texts: Texts of N pictures, for the model before any training.
        pixels: Pictures, uint8[N, H, W], which the shipped adapter reads in its own profile.
        labels: Labels to choose from, for the model before any training.
    """
    run = Model(SIGHT).trained
    after = _answers(SIGHT, encode_batch(pixels, run.profile), run.labels, run.prompt)
    return {
        _BEFORE_NAME: _answers(smollm2.NAME, texts, labels, Prompt()),
        _AFTER_NAME: after,
    }


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
    write_json(out / _MARKER, {"made_by": "glyphsight demo", "quick": quick})
    data = out / "data"
    have_smollm2 = _have_smollm2()
    say("glyphsight: 1/4 build the dataset from the bundled digits")
    settings = BuildSettings(
        profile=Profile(invert="auto", centre=True),
        limit=_QUICK if quick else None,
        copies=0 if quick else _COPIES,
    )
    built = build_dataset("bundled", data, settings, quiet=quiet)
    say(f"glyphsight: 2/4 train {nano.NAME}, a small language model made from scratch")
    minutes = training_minutes(time.monotonic() - started)
    resolved = resolve_settings(nano.NAME, {"minutes": minutes})
    trained = train(data, nano.NAME, out, resolved, quiet=quiet)
    say("glyphsight: 3/4 measure it on test digits it has never seen")
    measured = run_study(
        out, str(data), EvaluateSettings(generate=1000, zero_shot=200), quiet=quiet
    )
    if have_smollm2:
        say(f"glyphsight: 4/4 ask {smollm2.NAME} the same, before any training and after")
    compared = _record(measured, out, quick=quick, have_smollm2=have_smollm2)
    metrics = measured.as_json() | {
        "seconds": time.monotonic() - started,
        "training_seconds": trained.seconds,
        "training_records": built.records["train"],
        "validation_accuracy": trained.validation_accuracy,
        "smollm2_before_training": compared.get(_BEFORE_NAME),
        "smollm2_after_training": compared.get(_AFTER_NAME),
        "quick": quick,
    }
    write_json(out / "metrics.json", metrics)
    return measured, metrics


def _record(
    measured: Study, out: Path, *, quick: bool, have_smollm2: bool
) -> dict[str, dict[str, Any]]:
    """Write the report, with SmolLM2's answers beside; return its shares by the model's name."""
    samples = list(measured.evaluation.samples)
    truth = [sample.truth for sample in samples]
    shown_rows = [truth.index(label) for label in sorted(set(truth))]
    judged_rows = stratified_sample(truth, 10 if quick else _BEFORE, seed=0).tolist()
    rows = shown_rows + judged_rows
    pictures = load_split(open_source("bundled"), "test")
    if quick:
        pictures = pictures.take(stratified_sample(pictures.labels, _QUICK, seed=0))
    answers: dict[str, list[str]] = {}
    if have_smollm2:
        texts = [samples[row].ascii_image for row in rows]
        answers = _ask_smollm2(texts, pictures.pixels[rows], measured.evaluation.labels)
    shown = [
        Shown(samples[row], pictures.pixels[row], {name: said[n] for name, said in answers.items()})
        for n, row in enumerate(shown_rows)
    ]
    record_study(measured, out, run=out, shown=shown)
    shares = {}
    for name, said in answers.items():
        judged = zip(judged_rows, said[len(shown_rows) :], strict=True)
        right = sum(truth[row] == answer for row, answer in judged)
        shares[name] = asdict(Share.of(right, len(judged_rows)))
    return shares
