"""Report of a study and page of a comparison: HTML that loads nothing, and the files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, decode
from glyphsight.dataset.inspect.items import cell_ratio
from glyphsight.errors import FormatError
from glyphsight.evaluate import plots
from glyphsight.evaluate.compare import Comparison
from glyphsight.evaluate.explanation import attribution_png, cells_picture
from glyphsight.evaluate.result import REPORT_FILE, SAMPLES_FILE, Evaluation, Sample, Share, finish
from glyphsight.evaluate.study import SHOWN, Study
from glyphsight.files import claimed, json_line, replacing, write
from glyphsight.models import RunRecord
from glyphsight.models.runs import HISTORY_FILE, SETTINGS_FILE, read_history
from glyphsight.models.tokens import EMBEDDED
from glyphsight.pages import TONES, png_address, render_page
from glyphsight.train.settings import saved_settings

ATTRIBUTIONS_FILE = "attributions.jsonl"
_MATRIX = 30  # labels up to which the confusion matrix is shown whole
_LISTED = 200  # rows of a table


@dataclass(frozen=True)
class Shown:
    """A picture in the report, with the model's text and answers."""

    sample: Sample  # the model's outcome
    picture: NDArray[np.uint8] | None = None  # uint8[H, W]; None shows the text's own cells
    others: dict[str, str] = field(default_factory=dict)  # answers of other models, by name
    sound: str = ""  # address of the sound whose spectrum it is, ``data:`` or relative; "" for none


def record_study(
    study: Study,
    directory: Path,
    *,
    run: Path | None,
    record: RunRecord | None = None,
    shown: Sequence[Shown] | None = None,
    heard: Sequence[Shown] = (),
    drawn: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]] = (),
) -> None:
    """Write ``samples.jsonl``, ``confusion.png``, ``report.html`` and, last, ``metrics.json``.

    With attributions also ``attributions.jsonl``, one per line. If it is killed meanwhile, the
    evaluation is unfinished; the same call resumes it from its samples.

    Args:
        study: Figures of the model.
        directory: Directory to write in.
        run: Directory of the evaluated run, for its history and settings; None for a model that
            lies elsewhere.
        record: Record of the model's training; None reads it from ``run``.
        shown: Pictures to show; None takes the first of each label.
        heard: Sounds that another model heard, to show besides.
        drawn: Rows of pictures uint8[H, W] that another model drew, each with its title.

    Raises:
        GlyphsightError: Nothing can be written there, or another evaluation is writing.
    """
    result = study.evaluation
    with claimed(directory, SAMPLES_FILE, "evaluation"):
        result.write_samples(directory)
        _write_attributions(study, directory / ATTRIBUTIONS_FILE)
        if result.labels:
            plots.confusion_png(result.confusion, result.labels, directory / "confusion.png")
        page = _page(
            study,
            [Shown(sample) for sample in study.shown] if shown is None else shown,
            heard=[picture_card(one, study.profile) for one in heard],
            drawn=[(title, list(map(png_address, row))) for title, row in drawn],
            learned=plots.learning_plots(read_history(run / HISTORY_FILE) if run else []),
            facts=_facts(study, run, record or (RunRecord.load(run) if run else None)),
        )
        write(directory / REPORT_FILE, page)
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
    facts["scoring"] = f"{result.scoring_seconds:.1f} s, {result.pictures_per_second:.0f} records/s"
    facts |= {f"seconds, {name}": f"{taken:.1f}" for name, taken in study.seconds.items()}
    selection = study.selection
    if selection.limit is not None:
        facts["records judged"] = f"{selection.n}, stratified, seed {selection.seed}"
    facts["right answers, sha256"] = selection.labels_sha256
    return facts


def _write_attributions(study: Study, path: Path) -> None:
    """Write one attribution per line; without attributions remove an older file."""
    path.unlink(missing_ok=True)
    if not study.attributions:
        return
    with replacing(path) as stream:
        for sample, attribution in study.attributions:
            cells = [[round(v, 5) for v in row] for row in attribution.cells.tolist()]
            line = {key: getattr(sample, key) for key in ("ascii_image", "truth", "answer")}
            line |= {"label": attribution.label, "method": attribution.method, "cells": cells}
            stream.write(f"{json_line(line)}\n")


def picture_card(shown: Shown, profile: Profile) -> dict[str, Any]:
    """Gather what a card of the page shows of a picture; ``profile`` decodes a text without one."""
    sample = shown.sample
    if shown.picture is not None:
        pixels, cell = shown.picture, 1.0
    else:
        try:
            pixels = decode(sample.ascii_image, profile)
        except FormatError:  # a dataset may hold what no palette reads; the text beside it shows it
            pixels = np.zeros((1, 1), dtype=np.uint8)
        cell = cell_ratio(profile)
    ranked = sorted(sample.probabilities.items(), key=lambda pair: -pair[1])[:3]
    return {
        "png": png_address(pixels),
        "shows": "the cells of the text" if shown.picture is None else "the picture",
        "sound": shown.sound,
        "ratio": round(pixels.shape[1] / pixels.shape[0] * cell, 4),
        "text": sample.ascii_image,
        "truth": sample.truth,
        "answer": sample.answer,
        "right": sample.answer == sample.truth,
        "others": [(name, said, said == sample.truth) for name, said in shown.others.items()],
        "ranked": ranked,
    }


def confusions(evaluation: Evaluation) -> list[tuple[int, str, str]]:
    """List the mistakes, the commonest first: count, true label, answer."""
    found = [
        (count, truth, answer)
        for truth, counts in zip(evaluation.labels, evaluation.confusion, strict=True)
        for answer, count in zip(evaluation.labels, counts, strict=True)
        if answer != truth and count
    ]
    return sorted(found, key=lambda one: (-one[0], *one[1:]))


def _ladder(study: Study) -> list[dict[str, Any]]:
    """List everything that answered the same pictures, best first."""
    evaluation = study.evaluation
    by = "writing" if evaluation.by == "writing" else "likelihood of the label"
    rungs: list[tuple[str, str, str, Share | None]] = [
        ("own", evaluation.model, f"this model, by {by}", evaluation.score),
        ("own", evaluation.model, "this model, writing freely", evaluation.generation),
        ("floor", f"{evaluation.base} before training", "its base", evaluation.zero_shot),
        ("floor", f"always “{evaluation.majority_label}”", "the commonest", evaluation.majority),
    ]
    if evaluation.by == "writing":
        rungs.pop(1)  # the same figure
    if any(one.name == "majority" for one in study.baselines):
        rungs.pop()  # the same, of the labels to learn from
    for one in study.baselines:
        kind = "floor" if one.name == "majority" else "baseline"
        what = f"{one.what}; trained on {one.trained_on:,} records"
        rungs.append((kind, one.name, what, one.share))
    ladder: list[dict[str, Any]] = [
        dict(zip(("kind", "name", "what", "share"), rung, strict=True))
        | {"against": study.against.get(rung[1])}
        for rung in rungs
        if rung[3] is not None
    ]
    return sorted(ladder, key=lambda rung: -rung["share"].accuracy)


def _explained(study: Study) -> list[dict[str, Any]]:
    """Make a card per attributed sample, with a heat map per attribution."""
    cards: dict[int, dict[str, Any]] = {}
    for sample, attribution in study.attributions:
        if id(sample) not in cards:
            if len(cards) == SHOWN:
                break
            cards[id(sample)] = picture_card(Shown(sample), study.profile) | {"heat": []}
        png = attribution_png(cells_picture(sample.ascii_image, study.profile), attribution)
        heat = {"png": png, "label": attribution.label, "method": attribution.method}
        cards[id(sample)]["heat"].append(heat)
    return list(cards.values())


def _page(study: Study, shown: Sequence[Shown], **parts: Any) -> str:
    """Render the page, with further ``parts``; it loads nothing and works without JavaScript."""
    evaluation = study.evaluation
    wrong, classes = confusions(evaluation), evaluation.classes
    if len(classes) > _LISTED:
        known = [one for one in classes if one.recall is not None]
        classes = sorted(known, key=lambda one: one.recall or 0)[:_LISTED]
    return render_page(
        "report.html.j2",
        e=evaluation,
        s=study,
        shown=[picture_card(one, study.profile) for one in shown[:SHOWN]],
        pictures=any(one.picture is not None for one in shown[:SHOWN]),
        ladder=_ladder(study),
        reliability=plots.reliability_plot([(study.calibration, "accent")]),
        certainty=plots.certainty_plot(study.calibration) if study.calibration.bins else "",
        matrix=len(evaluation.labels) <= _MATRIX,
        confusions=wrong[:SHOWN],
        classes=classes,
        mistakes=[picture_card(Shown(sample), study.profile) for sample in study.mistakes],
        mistakes_total=sum(count for count, *_ in wrong),
        explained=_explained(study),
        broken=plots.robustness_plots(study.robustness),
        **parts,
    )


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write a comparison; it loads nothing from anywhere and works without JavaScript too."""
    entries, tones = comparison.entries, list(TONES)
    shares = [entry.share for entry in entries]
    colored = [(entry, tones[run % len(tones)]) for run, entry in enumerate(entries)]
    tokens = {entry.name: (entry.metrics.get("tokens") or {}).get(EMBEDDED) for entry in entries}
    unit = f"tokens per picture, {EMBEDDED}"
    plot, caption = plots.accuracy_plot(
        shares, [tone for _, tone in colored], list(tokens.values()), unit
    )
    cards: list[dict[str, Any]] = []
    for one in comparison.disagreements:
        card = picture_card(Shown(one.sample), entries[0].profile)
        answers = [
            (name, answer, probability, answer == one.sample.truth)
            for name, (answer, probability) in one.answers.items()
        ]
        cards.append(card | {"answers": answers})
    page = render_page(
        "compare.html.j2",
        entries=entries,
        tokens=tokens,
        pairs=comparison.pairs,
        plot=plot,
        caption=caption,
        key=[(entry.name, tone) for entry, tone in colored],
        reliability=plots.reliability_plot(
            [(entry.calibration, tone) for entry, tone in colored[: len(tones)]]
        ),
        drawn_of=min(len(entries), len(tones)),
        cards=cards,
    )
    write(path, page)
