"""Plots of an evaluation, of its damaged pictures and of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glyphsight.evaluate.result import Share
from glyphsight.evaluate.robustness import CLEAN, PERTURBATIONS, SOUNDS, Condition
from glyphsight.evaluate.statistics import Calibration
from glyphsight.files import write
from glyphsight.pages import INK, TONES, axes, png, svg
from glyphsight.sampling import wilson_interval

_NUMBERED = 40  # labels up to which the cells of a confusion matrix carry their counts
_LARGEST = 16.0  # inches
_SMALL = (3.6, 2.5)  # inches of a plot in a page
_PUBLISHED = ("second", "third", "soft")


def confusion_png(matrix: Sequence[Sequence[int]], labels: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix, true label down, answer across, shaded by share of the row."""
    side = min(_LARGEST, max(4.0, 0.55 * len(labels) + 1.2))
    figure, drawn = axes(side, side)
    figure.patch.set(facecolor="white", alpha=1)
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    drawn.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    drawn.set(xlabel="answer", ylabel="true label")
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
    write(path, png(figure, 130))


def learning_plots(history: Sequence[dict[str, Any]]) -> list[str]:
    """Plot loss and, if measured, validation accuracy against records seen.

    Returns:
        SVG elements; none for fewer than two losses.
    """
    losses, accuracies = (
        [(line["records"], line[key]) for line in history if key in line]
        for key in ("loss", "validation_accuracy")
    )
    if len(losses) < 2:
        return []
    highest = 1.05 * max(loss for _, loss in losses)
    plots = []
    for name, points, tone, marker, shares, high in (
        ("training loss", losses, "second", "", (), highest),
        ("validation accuracy", accuracies, "accent", ".", ("y",), 1),
    ):
        if points:
            figure, drawn = _plot("records seen", name, shares)
            drawn.plot(*zip(*points, strict=True), color=TONES[tone], marker=marker)
            drawn.set(xlim=(0, losses[-1][0]), ylim=(0, high))
            drawn.xaxis.set_major_formatter("{x:,.0f}")
            plots.append(svg(figure, f"{name} against records seen"))
    return plots


def reliability_plot(calibrations: Sequence[tuple[Calibration, str]]) -> str:
    """Plot accuracy against probability, bin by bin, beside the diagonal of a calibrated model."""
    says = "accuracy against probability; the dashed diagonal is a model that is calibrated"
    figure, drawn = _plot("probability of its answer", "right", shares=("x", "y"))
    drawn.plot([0, 1], [0, 1], "--", color=INK)
    for calibration, tone in calibrations:
        most = max((one.n for one in calibration.bins), default=0)
        for one in calibration.bins:
            bounds = wilson_interval(round(one.accuracy * one.n), one.n)
            drawn.vlines(one.confidence, *bounds, color=TONES[tone], alpha=0.55)
            size = 2 * (2 + 3.5 * math.sqrt(one.n / most))  # the dot's area stands for its answers
            drawn.plot(one.confidence, one.accuracy, "o", color=TONES[tone], markersize=size)
    drawn.set(xlim=(0, 1.02), ylim=(0, 1.02))
    return svg(figure, says)


def certainty_plot(calibration: Calibration) -> str:
    """Plot the share of answers by their probability."""
    figure, drawn = _plot("probability of its answer", "of the answers", shares=("x", "y"))
    total = sum(one.n for one in calibration.bins)
    drawn.bar(
        [one.low for one in calibration.bins],
        [one.n / total for one in calibration.bins],
        width=[0.94 * (one.high - one.low) for one in calibration.bins],
        align="edge",
        color=TONES["accent"],
    )
    drawn.set(xlim=(0, 1), ylim=(0, 1))
    return svg(figure, "share of the answers by their probability")


def robustness_plots(conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """Plot each kind of damage that was measured at several strengths.

    Returns:
        Per kind its ``name``, the ``plot`` and the ``key``: words and tones.
    """
    plots = []
    for name in by_strength(conditions):
        figure, drawn = axes(*_SMALL)
        key = draw_damage(drawn, name, conditions)
        plot = svg(figure, f"right answers against {name}")
        plots.append({"name": name, "plot": plot, "key": key})
    return plots


def by_strength(conditions: Sequence[Condition]) -> dict[str, list[tuple[float, Share, Condition]]]:
    """Group measured conditions by kind of damage, weakest first.

    Kinds with a single strength are left out.
    """
    kinds: dict[str, list[tuple[float, Share, Condition]]] = {}
    for one in conditions:
        if one.share is not None and one.strength is not None:
            kinds.setdefault(one.name, []).append((one.strength, one.share, one))
    several = {name: found for name, found in kinds.items() if len(found) > 1}
    return {name: sorted(found, key=lambda each: each[0]) for name, found in several.items()}


def draw_damage(drawn: Any, name: str, conditions: Sequence[Condition]) -> list[tuple[str, str]]:
    """Draw right answers against strengths of one damage; return words and tone of each line."""
    found = by_strength(conditions)[name]
    key = [("this model", "accent")]
    clean = next((one.share for one in conditions if one.name == CLEAN and one.share), None)
    unit = next((one.unit for one in (*PERTURBATIONS, *SOUNDS) if one.name == name), "")
    _style(drawn, unit, "", shares=("y",))
    if clean is not None:
        drawn.axhline(clean.accuracy, color=INK)
    for source in dict.fromkeys(source for *_, one in found for source in one.published):
        tone = _PUBLISHED[(len(key) - 1) % len(_PUBLISHED)]
        key.append((source, tone))
        known = [(index, one.published) for index, (*_, one) in enumerate(found)]
        points = [(index, one[source]) for index, one in known if source in one]
        drawn.plot(*zip(*points, strict=True), "o--", color=TONES[tone], markersize=4)
    for index, (_, share, _) in enumerate(found):
        drawn.vlines(index, *share.interval, color=TONES["accent"], alpha=0.55)
    drawn.plot([share.accuracy for _, share, _ in found], "o-", color=TONES["accent"], markersize=4)
    drawn.set_xticks(range(len(found)), [f"{strength:g}" for strength, *_ in found])
    drawn.set(xlim=(-0.4, len(found) - 0.6), ylim=(0, 1.02))
    return key


def accuracy_plot(
    shares: Sequence[Share], tones: Sequence[str], tokens: Sequence[float | None], unit: str
) -> tuple[str, str]:
    """Plot accuracies against tokens, else run by run; return the plot and its caption."""
    known = [count for count in tokens if count is not None]
    by_tokens = len(known) == len(shares) and max(known) - min(known) > 1
    figure, drawn = _plot(unit if by_tokens else "run", "right", shares=("y",))
    places = known if by_tokens else [float(run) for run in range(1, len(shares) + 1)]
    for place, share, tone in zip(places, shares, tones, strict=True):
        drawn.vlines(place, *share.interval, color=TONES[tone], alpha=0.55)
        drawn.plot(place, share.accuracy, "o", color=TONES[tone])
    if by_tokens:
        drawn.set_xlim(0, 1.1 * max(known))
    else:
        drawn.set_xticks(places, [f"{place:g}" for place in places])
        drawn.set_xlim(0.5, len(shares) + 0.5)
    lowest = min(one.interval[0] for one in shares)
    drawn.set_ylim(max(0.0, math.floor(20 * lowest - 0.5) / 20), 1.005)
    caption = "right answers against tokens" if by_tokens else "right answers, run by run"
    return svg(figure, "accuracy of each run with its 95 % interval"), caption


def _plot(x: str, y: str, shares: Sequence[str] = ()) -> tuple[Any, Any]:
    """Make a small figure with named axes, and its axes."""
    figure, drawn = axes(*_SMALL)
    _style(drawn, x, y, shares)
    return figure, drawn


def _style(drawn: Any, x: str, y: str, shares: Sequence[str]) -> None:
    """Name both axes, draw lines across and write shares, 0-1, in percent."""
    from matplotlib.ticker import PercentFormatter

    drawn.set_xlabel(x, fontsize=8)
    drawn.set_ylabel(y, fontsize=8)
    drawn.tick_params(labelsize=8)
    drawn.grid(axis="y", color=INK, alpha=0.25)
    drawn.set_axisbelow(True)
    drawn.spines["left"].set_visible(False)
    drawn.tick_params(axis="y", length=0)
    for name in shares:
        getattr(drawn, f"{name}axis").set_major_formatter(PercentFormatter(1.0, symbol=" %"))
