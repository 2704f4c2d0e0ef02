"""One self-contained HTML page that tells an evaluation from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile, decode
from glyphsight.errors import FormatError
from glyphsight.evaluate.figures import learning_curve_svg
from glyphsight.evaluate.run import Evaluation, Sample
from glyphsight.files import replacing
from glyphsight.pages import png_address, render_page

_SHOWN_MISTAKES = 12


@dataclass(frozen=True)
class Shown:
    """A picture in the report: what it is, what the model read and what was answered.

    Attributes:
        sample: The model's outcome.
        picture: uint8[H, W], the picture itself; None shows the text's own cells.
        before: The answer of a model that was not taught, None where none was asked.
    """

    sample: Sample
    picture: NDArray[np.uint8] | None = None
    before: str | None = None


@dataclass(frozen=True)
class Story:
    """What a report tells besides the figures.

    Attributes:
        evaluation: The figures.
        history: Lines of the training history; empty without one.
        shown: Pictures side by side with text and answers.
        before_name: Whose answers ``Shown.before`` holds.
        facts: Further lines of a table at the end: settings, seconds, versions.
    """

    evaluation: Evaluation
    history: Sequence[dict[str, Any]] = ()
    shown: Sequence[Shown] = ()
    before_name: str = ""
    facts: dict[str, str] = field(default_factory=dict)


def _cells(sample: Sample, profile: Profile) -> NDArray[np.uint8]:
    try:
        return decode(sample.ascii_image, profile)
    except FormatError:  # a dataset may hold what no palette reads; the text beside it shows it
        return np.zeros((1, 1), dtype=np.uint8)


def _rows(shown: Sequence[Shown], profile: Profile) -> list[dict[str, Any]]:
    rows = []
    for item in shown:
        pixels = item.picture if item.picture is not None else _cells(item.sample, profile)
        ranked = sorted(item.sample.probabilities.items(), key=lambda pair: -pair[1])[:3]
        rows.append(
            {
                "png": png_address(pixels),
                "text": item.sample.ascii_image,
                "truth": item.sample.truth,
                "answer": item.sample.answer,
                "right": item.sample.answer == item.sample.truth,
                "before": item.before,
                "ranked": [(label, 100 * p) for label, p in ranked],
            }
        )
    return rows


def write_report(story: Story, path: Path, profile: Profile = PUBLISHED) -> None:
    """Write the page; it loads nothing from anywhere."""
    evaluation = story.evaluation
    mistakes = sorted(
        (sample for sample in evaluation.samples if sample.answer != sample.truth),
        key=lambda sample: -sample.probability,
    )
    page = render_page(
        "report.html.j2",
        e=evaluation,
        shown=_rows(story.shown, profile),
        before_name=story.before_name,
        curve=learning_curve_svg(story.history),
        mistakes=_rows([Shown(sample) for sample in mistakes[:_SHOWN_MISTAKES]], profile),
        mistakes_total=len(mistakes),
        facts=story.facts,
    )
    with replacing(path) as stream:
        stream.write(page)
