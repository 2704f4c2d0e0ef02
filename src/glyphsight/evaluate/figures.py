"""Plots of an evaluation, drawn so that they read on light and on dark ground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glyphsight.files import replacing
from glyphsight.pages import ACCENT, INK, SECOND, axes, svg


def confusion_png(matrix: Sequence[Sequence[int]], labels: Sequence[str], path: Path) -> None:
    """Draw the confusion matrix, true label down, answer across, shaded by share of the row."""
    side = max(4.0, 0.55 * len(labels) + 1.2)
    figure, drawn = axes(side, side)
    figure.patch.set(facecolor="white", alpha=1)
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    drawn.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    drawn.set_xticks(range(len(labels)), labels, rotation=45 if max(map(len, labels)) > 2 else 0)
    drawn.set_yticks(range(len(labels)), labels)
    drawn.set_xlabel("answer")
    drawn.set_ylabel("true label")
    for row, counts in enumerate(matrix):
        for column, count in enumerate(counts):
            if count:
                color = "white" if shares[row][column] > 0.5 else "#333333"
                drawn.text(
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
    figure, drawn = axes(7.2, 3.0)
    drawn.plot(*zip(*losses, strict=True), color=SECOND, linewidth=1.4)
    drawn.set_xlabel("records seen")
    drawn.set_ylabel("training loss", color=SECOND)
    drawn.set_ylim(bottom=0)
    if accuracies:
        right = drawn.twinx()
        right.plot(*zip(*accuracies, strict=True), color=ACCENT, marker="o", markersize=4)
        right.set_ylabel("validation accuracy, %", color=ACCENT)
        right.set_ylim(0, 100)
        right.tick_params(colors=INK)
        for spine in right.spines.values():
            spine.set_color(INK)
    return svg(figure)
