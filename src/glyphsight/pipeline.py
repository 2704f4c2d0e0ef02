"""The whole pipeline once: dataset, training, evaluation and report of the bundled digits."""

from __future__ import annotations

import base64
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.console import progress_bar, say
from glyphsight.dataset import BuildSettings, Prompt, build_dataset
from glyphsight.errors import GlyphsightError, ModelError
from glyphsight.evaluate import evaluate
from glyphsight.evaluate.report import Shown, record_study
from glyphsight.evaluate.result import Sample, Share
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.study import Study, run_study
from glyphsight.extras import installed
from glyphsight.files import write_json
from glyphsight.inference import Drawing, DrawSettings, Model, Request
from glyphsight.media import load_gray
from glyphsight.models import load_model, nano, smollm2
from glyphsight.models.runs import DRAW, HEARING, SIGHT
from glyphsight.sampling import stratified_sample
from glyphsight.sources import load_split, open_source
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

_COPIES = 6
_SECONDS = 570.0  # from start to report
_TRAINING = 390.0  # seconds of training at most
_SHARES = {"train": 0.6, "measure": 0.65, "ask": 0.8}  # of the seconds that are left by then
_LEAST = 20.0  # seconds that any of them has
_TRIAL = 200  # test digits that are judged to time the rest
_BEFORE = 100  # test digits SmolLM2 is asked, before any training and after
_CHUNK = 10  # of them between two looks at the clock
_QUICK = 600  # digits per split
_MARKER = "demo.json"
_BEFORE_NAME = f"{smollm2.NAME} before any training"
_AFTER_NAME = f"{smollm2.NAME} with the adapter that ships"
_SPOKEN = Path(__file__).parent / "assets" / "spoken-digits"


def _have_smollm2() -> bool:
    """Bring SmolLM2 into the cache; where that fails, say so and return False."""
    try:
        smollm2.ensure_smollm2()
    except (ModelError, OSError) as error:
        say(f"glyphsight: {error}; the report goes without {smollm2.NAME}'s answers")
        return False
    return True


def seconds_for(phase: str, passed: float) -> float:
    """Return the seconds that ``train``, ``measure`` or ``ask`` may take: a share of those left."""
    share = max(_LEAST, _SHARES[phase] * (_SECONDS - passed))
    return min(_TRAINING, share) if phase == "train" else share


def _affordable(out: Path, data: Path, records: int, seconds: float) -> int:
    """Return how many of the test digits can be judged in time, by the time of a few."""
    model = Model(load_model(str(out)))
    some = EvaluateSettings(limit=_TRIAL, generate=_TRIAL // 10, zero_shot=0)
    began = time.monotonic()
    evaluate(model, str(data), some, quiet=True)
    each = (time.monotonic() - began) / min(_TRIAL, records)
    count = min(records, max(_TRIAL, int(seconds / each)))
    if count < records:
        say(
            f"glyphsight: {records:,} test digits would take {records * each:.0f} s on this busy "
            f"machine; {count:,} of them are judged"
        )
    return count


def _ask_smollm2(
    texts: list[str], pixels: NDArray[np.uint8], labels: list[str], seconds: float, *, quiet: bool
) -> dict[str, list[str]]:
    """Ask SmolLM2 before any training (texts) and after (pixels), in order, until time is over."""
    until = time.monotonic() + seconds
    after, run = Model(load_model(SIGHT)), Model(SIGHT).trained
    ways = {
        _BEFORE_NAME: (Model(load_model(smollm2.NAME)), Prompt(), texts, labels),
        _AFTER_NAME: (after, run.prompt, encode_batch(pixels, run.profile), run.labels),
    }
    answers: dict[str, list[str]] = {name: [] for name in ways}
    with progress_bar(len(ways) * len(texts), "pic", smollm2.NAME, disable=quiet) as bar:
        for start in range(0, len(texts), _CHUNK):
            if start and time.monotonic() > until:
                break
            for name, (model, prompt, own, choices) in ways.items():
                some = own[start : start + _CHUNK]
                asked = [Request.about(prompt, text, choices) for text in some]
                best = model.best(asked, progress=bar.update)
                answers[name] += [choices[column] for column in best]
    return answers


def _heard() -> list[Shown]:
    """Ask the model that hears for the bundled recordings 0 to 5, each by another speaker."""
    if not installed("audio"):
        say("glyphsight: the report goes without sounds; pip install 'glyphsight[audio]' adds them")
        return []
    speakers = sorted({file.stem.split("_")[1] for file in _SPOKEN.glob("0_*.flac")})
    files = [_SPOKEN / f"{digit}_{name}_0.flac" for digit, name in enumerate(speakers)]
    shown = []
    for file, answer in zip(files, Model(HEARING).see(files), strict=True):
        flac = base64.b64encode(file.read_bytes()).decode()
        chances = answer.probabilities
        sample = Sample(
            answer.ascii_image, file.name[0], answer.label, chances[answer.label], chances, None
        )
        shown.append(Shown(sample, load_gray(file), sound=f"data:audio/flac;base64,{flac}"))
    return shown


def _drawn(pixels: NDArray[np.uint8]) -> list[tuple[str, list[NDArray[np.uint8]]]]:
    """Let the drawing model draw each digit, and the lower half of real ones, uint8[10, H, W]."""
    model, how = Model(DRAW), DrawSettings(seed=0)
    run = model.trained
    real = [
        Drawing(label, text, run.profile)
        for label, text in zip(run.draws, encode_batch(pixels, run.profile), strict=True)
    ]
    halves = [
        "".join(one.ascii_image.splitlines(keepends=True)[: run.profile.rows(1, 1) // 2])
        for one in real
    ]
    rows = {
        "Drawn": [model.draw(label, how)[0] for label in run.draws],
        "Real test digits, in the same cells": real,
        "Their upper half, the rest drawn": [
            model.draw(label, how, half)[0] for label, half in zip(run.draws, halves, strict=True)
        ],
    }
    return [(title, [one.picture() for one in row]) for title, row in rows.items()]


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

    The result of an earlier demo there is replaced; ``started`` is a time of ``time.monotonic``.
    Returned are the study on the test digits, and what ``metrics.json`` holds.
    """
    started = time.monotonic() if started is None else started

    def seconds(phase: str) -> float:
        return seconds_for(phase, time.monotonic() - started)

    def announce(number: int, what: str, most: float | None = None) -> None:
        say(f"glyphsight: {number}/4 {what}{'' if most is None else f', {most:.0f} s at most'}")

    _clear(out)
    write_json(out / _MARKER, {"made_by": "glyphsight demo", "quick": quick})
    data = out / "data"
    say(f"glyphsight: {_SECONDS / 60:g} minutes at most, on a busy machine with fewer digits")
    have_smollm2 = _have_smollm2()
    announce(1, "build the dataset from the bundled digits")
    settings = BuildSettings(
        profile=Profile(invert="auto", centre=True),
        limit=_QUICK if quick else None,
        copies=0 if quick else _COPIES,
    )
    built = build_dataset("bundled", data, settings, quiet=quiet)
    announce(2, f"train {nano.NAME}, a small language model from scratch", seconds("train"))
    resolved = resolve_settings(nano.NAME, {"minutes": seconds("train") / 60, "epochs": 1.0})
    trained = train(data, nano.NAME, out, resolved, quiet=quiet)
    announce(3, "measure it on test digits it has never seen", seconds("measure"))
    count = _affordable(out, data, built.records["test"], seconds("measure"))
    asked = EvaluateSettings(
        limit=count if count < built.records["test"] else None,
        generate=count // 10,
        zero_shot=min(200, count // 5),
    )
    measured = run_study(out, str(data), asked, quiet=quiet)
    pictures = load_split(open_source("bundled"), "test")
    for most in (settings.limit, asked.limit):
        if most is not None:
            pictures = pictures.take(stratified_sample(pictures.labels, most, seed=0))
    if have_smollm2:
        what = f"ask {smollm2.NAME} the same, before any training and after"
        announce(4, what, seconds("ask"))
    compared = _record(
        measured, out, pictures.pixels, seconds("ask") if have_smollm2 else 0.0, quiet=quiet
    )
    metrics = (
        measured.as_json()
        | {
            "seconds": time.monotonic() - started,
            "training_seconds": trained.seconds,
            "training_records": built.records["train"],
            "validation_accuracy": trained.validation_accuracy,
            "quick": quick,
        }
        | compared
    )
    write_json(out / "metrics.json", metrics)
    return measured, metrics


def _record(
    measured: Study, out: Path, pixels: NDArray[np.uint8], seconds: float, *, quiet: bool
) -> dict[str, Any]:
    """Write the report with SmolLM2's answers, if it has time; return what metrics say of them."""
    samples = list(measured.evaluation.samples)
    truth = [sample.truth for sample in samples]
    first = [truth.index(label) for label in sorted(set(truth))]
    rows = first + stratified_sample(truth, min(_BEFORE, len(truth) // 60), seed=0).tolist()
    answers: dict[str, list[str]] = {}
    if seconds:
        texts = [samples[row].ascii_image for row in rows]
        labels = measured.evaluation.labels
        answers = _ask_smollm2(texts, pixels[rows], labels, seconds, quiet=quiet)
    shown = [
        Shown(samples[row], pixels[row], {name: said[n] for name, said in answers.items()})
        for n, row in enumerate(first)
    ]
    drawn = _drawn(pixels[first])
    record_study(measured, out, run=out, shown=shown, heard=_heard(), drawn=drawn)
    same: dict[str, int | None] = {"n": len(first)}
    found: dict[str, Any] = {"smollm2_on_the_pictures_shown": same}
    for key, name in (("before", _BEFORE_NAME), ("after", _AFTER_NAME)):
        said = answers.get(name, [])
        hits = [truth[row] == answer for row, answer in zip(rows, said, strict=False)]
        rest = hits[len(first) :]
        found[f"smollm2_{key}_training"] = asdict(Share.of(sum(rest), len(rest))) if rest else None
        same[key] = sum(hits[: len(first)]) if hits else None
    return found
