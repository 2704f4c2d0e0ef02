"""The whole path once: dataset, training, evaluation, report, on the bundled digits."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from glyphsight.dataset import build_dataset
from glyphsight.errors import GlyphsightError, ModelError
from glyphsight.evaluate.record import record_evaluation
from glyphsight.evaluate.report import Shown
from glyphsight.evaluate.run import Evaluation, Sample, evaluate
from glyphsight.files import replacing
from glyphsight.models import load_model, nano, score_labels, smollm2
from glyphsight.sources import open_source
from glyphsight.train.history import SETTINGS_FILE
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

_COPIES = 4
_MINUTES = 6.0  # of training; on a machine as fast as the README's it takes less
_QUICK = {"limit": 600, "copies": 0}


def _say(text: str) -> None:
    print(f"glyphsight: {text}", file=sys.stderr, flush=True)


def _answers_before(samples: list[Sample], labels: list[str]) -> list[str] | None:
    """SmolLM2's zero-shot answers to the same texts, None (and said so) where it cannot be had."""
    from glyphsight.dataset import Prompt

    prompt = Prompt()
    try:
        base = load_model(smollm2.NAME)
    except ModelError as error:
        _say(f"{error}; the report goes without {smollm2.NAME}'s answers")
        return None
    scores = score_labels(base, [prompt.ask(s.ascii_image) for s in samples], labels, prompt)
    return [labels[index] for index in scores.argmax(axis=1).tolist()]


def _clear(out: Path) -> None:
    """Remove the result of an earlier demo, and nothing that is not one."""
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / SETTINGS_FILE).exists()):
        raise GlyphsightError(f"{out}: holds something that no demo made; choose another --out")
    shutil.rmtree(out)


def run_demo(
    out: Path, *, quick: bool = False, quiet: bool = False
) -> tuple[Evaluation, dict[str, Any]]:
    """Run the pipeline into ``out``: ``metrics.json``, ``report.html``, the checkpoint, the data.

    Args:
        out: Directory; the result of an earlier demo in it is replaced.
        quick: A few hundred digits a split instead of all.
        quiet: Show no progress bars.

    Returns:
        The evaluation on the test digits, and what ``metrics.json`` holds.
    """
    started = time.monotonic()
    _clear(out)
    data = out / "data"
    limits: dict[str, Any] = dict(_QUICK) if quick else {"copies": _COPIES}
    resolved = resolve_settings(nano.NAME, {"minutes": _MINUTES})
    out.mkdir(parents=True)
    resolved.save(out / SETTINGS_FILE)
    _say("1/4 build the dataset from the bundled digits")
    built = build_dataset("bundled", data, quiet=quiet, **limits)
    (out / SETTINGS_FILE).unlink()
    _say(f"2/4 teach {nano.NAME}, a small language model made from scratch")
    trained = train(data, nano.NAME, out, resolved, quiet=quiet)
    _say("3/4 measure it on test digits it has never seen")
    result = evaluate(str(out), str(data), quiet=quiet, generate=1000, zero_shot=1000)

    _say(f"4/4 ask {smollm2.NAME}, untaught, the same ten pictures")
    first: dict[str, int] = {}
    for index, sample in enumerate(result.samples):
        first.setdefault(sample.truth, index)
    chosen = [first[label] for label in sorted(first)]
    samples = [result.samples[index] for index in chosen]
    before = _answers_before(samples, result.labels)
    pictures = open_source("bundled").load("test").pixels if not quick else None
    shown = [
        Shown(
            sample,
            picture=pictures[index] if pictures is not None else None,
            before=before[place] if before else None,
        )
        for place, (index, sample) in enumerate(zip(chosen, samples, strict=True))
    ]
    record_evaluation(
        result,
        out,
        run=out,
        shown=shown,
        before_name=f"{smollm2.NAME} before any training" if before else "",
    )
    right = sum(said == s.truth for said, s in zip(before, samples, strict=True)) if before else 0
    metrics = result.as_json() | {
        "seconds": time.monotonic() - started,
        "training_seconds": trained.seconds,
        "training_records": built.records["train"],
        "validation_accuracy": trained.validation_accuracy,
        "smollm2_zero_shot": {"right": right, "n": len(samples)} if before else None,
        "quick": quick,
    }
    with replacing(out / "metrics.json") as stream:
        json.dump(metrics, stream, ensure_ascii=False, indent=2)
        stream.write("\n")
    return result, metrics
