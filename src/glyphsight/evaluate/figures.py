"""Plots of an evaluation, drawn so that they read on light and on dark ground."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glyphsight.files import replacing

_INK = "#808890"
_ACCENT = "#2f7ed8"
_SECOND = "#d8802f"


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    for spine in axes.spines.values():
        spine.set_color(_INK)
    axes.tick_params(colors=_INK)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    return figure, axes


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def confusion_png(matrix: Sequence[Sequence[int]], labels: Sequence[str], path: Path) -> None:
    """Draw the confusion matrix, true label down, answer across, shaded by share of the row."""
    side = max(4.0, 0.55 * len(labels) + 1.2)
    figure, axes = _axes(side, side)
    figure.patch.set(facecolor="white", alpha=1)
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45 if max(map(len, labels)) > 2 else 0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("answer")
    axes.set_ylabel("true label")
    for row, counts in enumerate(matrix):
        for column, count in enumerate(counts):
            if count:
                color = "white" if shares[row][column] > 0.5 else "#333333"
                axes.text(
                    column, row, str(count), ha="center", va="center", color=color, fontsize=8
                )
    with replacing(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=130)


def learning_curve_svg(history: Sequence[dict[str, Any]]) -> str:
    """Loss and validation accuracy against records seen, as inline SVG; "" without a history."""
    losses = [(line["records"], line["loss"]) for line in history if "loss" in line]
    accuracies = [
        (line["records"], 100 * line["validation_accuracy"])
        for line in history
        if "validation_accuracy" in line
    ]
    if len(losses) < 2:
        return ""
    figure, axes = _axes(7.2, 3.0)
    axes.plot(*zip(*losses, strict=True), color=_SECOND, linewidth=1.4)
    axes.set_xlabel("records seen")
    axes.set_ylabel("training loss", color=_SECOND)
    axes.set_ylim(bottom=0)
    if accuracies:
        right = axes.twinx()
        right.plot(*zip(*accuracies, strict=True), color=_ACCENT, marker="o", markersize=4)
        right.set_ylabel("validation accuracy, %", color=_ACCENT)
        right.set_ylim(0, 100)
        right.tick_params(colors=_INK)
        for spine in right.spines.values():
            spine.set_color(_INK)
    return _svg(figure)
