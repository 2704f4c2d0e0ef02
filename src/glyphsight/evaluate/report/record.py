"""Files of an evaluation: figures, outcomes, confusion matrix, attributions, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from glyphsight.codec import PUBLISHED
from glyphsight.evaluate.report.page import Shown, Story, write_report
from glyphsight.evaluate.report.plots import confusion_png
from glyphsight.evaluate.result import REPORT_FILE, claimed, finish
from glyphsight.evaluate.study import Study
from glyphsight.files import replacing
from glyphsight.models import RunRecord
from glyphsight.models.record import HISTORY_FILE, SETTINGS_FILE, read_history
from glyphsight.train.settings import saved_settings

ATTRIBUTIONS_FILE = "attributions.jsonl"


def record_study(
    study: Study,
    directory: Path,
    *,
    run: Path | None,
    taught: RunRecord | None = None,
    shown: Sequence[Shown] | None = None,
) -> None:
    """Write ``samples.jsonl``, ``confusion.png``, ``report.html`` and, last, ``metrics.json``.

    With attributions also ``attributions.jsonl``, one per line. If it is killed meanwhile, the
    evaluation is unfinished; the same call resumes it from its samples.

    Args:
        study: Figures of the model.
        directory: Directory to write in.
        run: Directory of the evaluated run, for its history and settings; None for a model that
            lies elsewhere.
        taught: Record of the model's training; None reads it from ``run``.
        shown: Pictures to show; None takes the first of each label.

    Raises:
        GlyphsightError: Nothing can be written there, or another evaluation is writing.
    """
    result = study.evaluation
    record = taught or (RunRecord.load(run) if run else None)
    story = Story(
        study,
        history=read_history(run / HISTORY_FILE) if run else [],
        shown=[Shown(sample) for sample in study.shown] if shown is None else shown,
        facts=_facts(study, run, record),
    )
    profile = record.profile if record else PUBLISHED
    with claimed(directory):
        result.write_samples(directory)
        _write_attributions(study, directory / ATTRIBUTIONS_FILE)
        if result.labels:
            confusion_png(result.confusion, result.labels, directory / "confusion.png")
        write_report(story, directory / REPORT_FILE, profile)
        finish(directory, study.as_json())


def _facts(study: Study, run: Path | None, record: RunRecord | None) -> dict[str, str]:
    """Make the lines of the table of how model and figures were made."""
    facts: dict[str, str] = {}
    if record:
        profile = record.profile
        facts |= {
            "base model": record.base,
            "prompt": record.prompt.question + record.prompt.answer,
            "pictures as text": f"format {profile.format}, {profile.width} columns, "
            f"palette {profile.palette!r}",
        }
        facts |= {name: str(value) for name, value in record.training.items()}
        if run and (run / SETTINGS_FILE).is_file():
            facts |= {k: str(v) for k, v in saved_settings(run / SETTINGS_FILE).items()}
    result = study.evaluation
    facts["scoring"] = (
        f"{result.scoring_seconds:.1f} s, {result.pictures_per_second:.0f} pictures/s"
    )
    facts |= {f"seconds, {name}": f"{taken:.1f}" for name, taken in study.seconds.items()}
    selection = study.selection
    if selection.limit is not None:
        facts["records judged"] = f"{selection.n}, stratified, seed {selection.seed}"
    facts["right answers, sha256"] = selection.labels_sha256
    return facts


def _write_attributions(study: Study, path: Path) -> None:
    """Write one attribution per line; without attributions remove an older file."""
    if not study.attributions:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as stream:
        for sample, attribution in study.attributions:
            line = {
                "ascii_image": sample.ascii_image,
                "truth": sample.truth,
                "answer": sample.answer,
                "label": attribution.label,
                "method": attribution.method,
                "cells": [[round(v, 5) for v in row] for row in attribution.cells.tolist()],
            }
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
