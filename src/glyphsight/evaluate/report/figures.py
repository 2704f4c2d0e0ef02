"""Plots of an evaluation, drawn so that they read on light and on dark ground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glyphsight.evaluate.report.plot import Axis, Bars, Line, plot_svg, round_ticks, share_axis
from glyphsight.evaluate.result import Share
from glyphsight.evaluate.robustness import CLEAN, PERTURBATIONS, Condition
from glyphsight.evaluate.statistics import Calibration, wilson_interval
from glyphsight.files import replacing
from glyphsight.pages import axes, png

_NUMBERED = 40  # labels up to which the cells of a confusion matrix carry their counts
_LARGEST = 16.0  # inches
_COLORS = ("second", "third", "soft")


def confusion_png(matrix: Sequence[Sequence[int]], labels: Sequence[str], path: Path) -> None:
    """Draw the confusion matrix, true label down, answer across, shaded by share of the row."""
    side = min(_LARGEST, max(4.0, 0.55 * len(labels) + 1.2))
    figure, drawn = axes(side, side)
    figure.patch.set(facecolor="white", alpha=1)
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    drawn.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    drawn.set_xlabel("answer")
    drawn.set_ylabel("true label")
    if len(labels) <= _NUMBERED:
        turned = 45 if max(map(len, labels)) > 2 else 0
        drawn.set_xticks(range(len(labels)), labels, rotation=turned, parse_math=False)
        drawn.set_yticks(range(len(labels)), labels, parse_math=False)
        for row, counts in enumerate(matrix):
            for column, count in enumerate(counts):
                if count:
                    color = "white" if shares[row][column] > 0.5 else "#333333"
                    at = {"ha": "center", "va": "center"}
                    drawn.text(column, row, str(count), color=color, fontsize=8, **at)
    drawn_png = png(figure, 130)
    with replacing(path, "wb") as stream:
        stream.write(drawn_png)


def learning_plots(history: Sequence[dict[str, Any]]) -> list[str]:
    """Loss, and validation accuracy where it was measured, against records seen; [] without."""
    losses = [(line["records"], line["loss"]) for line in history if "loss" in line]
    accuracies = [
        (line["records"], line["validation_accuracy"])
        for line in history
        if "validation_accuracy" in line
    ]
    if len(losses) < 2:
        return []
    last, top = max(seen for seen, _ in losses), 1.05 * max(loss for _, loss in losses)
    seen = Axis("records seen", 0, last, round_ticks(0, last, 4))
    loss = Axis("training loss", 0, top, round_ticks(0, top))
    curve = Line("loss", losses, "second", dots=False)
    plots = [plot_svg(seen, loss, [curve], says="training loss against records seen")]
    if accuracies:
        says = "validation accuracy against records seen"
        curve = Line("validation accuracy", accuracies)
        plots.append(plot_svg(seen, share_axis("validation accuracy"), [curve], says=says))
    return plots


def reliability_plot(calibrations: Sequence[tuple[str, Calibration, str]]) -> str:
    """Accuracy against probability, bin by bin, beside the diagonal of a model that is calibrated.

    Args:
        calibrations: Name, bins and colour of each model.
    """
    drawn: list[Line | Bars] = []
    for name, calibration, color in calibrations:
        filled = [one for one in calibration.bins if one.n]
        drawn.append(
            Line(
                name,
                [(one.confidence, one.accuracy) for one in filled],
                color,
                joined=False,
                bounds=[wilson_interval(round(one.accuracy * one.n), one.n) for one in filled],
                sizes=[one.n for one in filled],
                words=[
                    f"{name}: {one.n} answers of probability {one.low:.2f}-{one.high:.2f}, "
                    f"{100 * one.confidence:.1f} % on average; {100 * one.accuracy:.1f} % right"
                    for one in filled
                ],
            )
        )
    ideal = Line("as it says", [(0, 0), (1, 1)], "soft", dots=False, dashed=True)
    return plot_svg(
        share_axis("probability of its answer"),
        share_axis("right"),
        [ideal, *drawn],
        says="accuracy against probability; the dashed diagonal is a model that is calibrated",
    )


def certainty_plot(calibration: Calibration) -> str:
    """How many answers have which probability."""
    total = sum(one.n for one in calibration.bins)
    shares = [one.n / total for one in calibration.bins]
    return plot_svg(
        share_axis("probability of its answer"),
        share_axis("of the answers"),
        [
            Bars(
                [(one.low, one.high) for one in calibration.bins],
                shares,
                [
                    f"{one.n} answers of probability {one.low:.2f}-{one.high:.2f}"
                    for one in calibration.bins
                ],
                "accent",
            )
        ],
        says="share of the answers by their probability",
    )


def robustness_plots(conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """A plot for each kind of damage that was measured at several strengths.

    Returns:
        For each its ``name``, the ``plot`` and the ``key``: words and colours.
    """
    measured = [one for one in conditions if one.share is not None]
    clean = next((one.share for one in measured if one.name == CLEAN and one.share), None)
    kinds: dict[str, list[tuple[float, Share, dict[str, float]]]] = {}
    for one in measured:
        if one.strength is not None and one.share is not None:
            found = kinds.setdefault(one.name, [])
            found.append((one.strength, one.share, one.published))
    return [_robustness_plot(name, found, clean) for name, found in kinds.items() if len(found) > 1]


def _robustness_plot(
    name: str, found: list[tuple[float, Share, dict[str, float]]], clean: Share | None
) -> dict[str, Any]:
    """One of them; strengths stand at even distances, their numbers below."""
    found = sorted(found, key=lambda one: one[0])
    last = len(found) - 0.6
    key = [("this model", "accent")]
    drawn = []
    if clean is not None:
        untouched = [(-0.4, clean.accuracy), (last, clean.accuracy)]
        drawn.append(Line("untouched", untouched, "soft", dots=False))
    for other in dict.fromkeys(whose for *_, published in found for whose in published):
        color = _COLORS[(len(key) - 1) % len(_COLORS)]
        key.append((other, color))
        points = [
            (float(place), published[other])
            for place, (*_, published) in enumerate(found)
            if other in published
        ]
        words = [f"{other}: {100 * share:.2f} %" for _, share in points]
        drawn.append(Line(other, points, color, dashed=True, words=words))
    drawn.append(
        Line(
            "this model",
            [(float(place), share.accuracy) for place, (_, share, _) in enumerate(found)],
            bounds=[share.interval for _, share, _ in found],
            words=[f"{at:g}: {100 * share.accuracy:.2f} %" for at, share, _ in found],
        )
    )
    unit = next((one.unit for one in PERTURBATIONS if one.name == name), "")
    ticks = [(float(place), f"{at:g}") for place, (at, *_) in enumerate(found)]
    says = f"right answers against {name}, {unit}"
    plot = plot_svg(Axis(unit, -0.4, last, ticks), share_axis(""), drawn, says=says)
    return {"name": name, "plot": plot, "key": key}
