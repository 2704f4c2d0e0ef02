"""Findings of a sweep: a table and a plot of accuracy against tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glyphsight.files import replacing
from glyphsight.pages import INK, axes, svg

TABLE = "table.md"
PLOT = "pareto.svg"


@dataclass(frozen=True)
class Finding:
    """Result of one encoding at one size with one amount of data, over its seeds.

    Attributes:
        encoding: Name of the encoding.
        size: Budget in tokens, or columns.
        rows: Rows of the level grid.
        columns: Columns of the level grid.
        records: Number of training records.
        tokens: Mean tokens per text.
        accuracies: Accuracy of each seed, 0-1.
        nats: Mean negative log-likelihood of the right label, over the seeds.
        n: Number of records behind each accuracy.
        on_front: Whether nothing as cheap or cheaper is more accurate, at equal records.
    """

    encoding: str
    size: str
    rows: int
    columns: int
    records: int
    tokens: float
    accuracies: list[float]
    nats: float
    n: int
    on_front: bool = False

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the seeds, 0-1."""
        return math.fsum(self.accuracies) / len(self.accuracies)


def summarize(results: Sequence[dict[str, Any]]) -> list[Finding]:
    """Average results over their seeds, in the order of records, then tokens."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for result in results:
        if "left_out" in result:
            continue
        size = result["budget"] or f"{result['profile']['width']} columns"
        key = (result["encoding"], str(size), result["records"])
        groups.setdefault(key, []).append(result)
    findings = [
        Finding(
            encoding=key[0],
            size=key[1],
            rows=group[0]["rows"],
            columns=group[0]["columns"],
            records=key[2],
            tokens=group[0]["tokens"],
            accuracies=[result["accuracy"] for result in group],
            nats=math.fsum(result["nats"] for result in group) / len(group),
            n=group[0]["n"],
        )
        for key, group in groups.items()
    ]
    findings.sort(key=lambda f: (f.records, f.tokens, f.encoding))
    return [replace(f, on_front=not any(_better(other, f) for other in findings)) for f in findings]


def _better(one: Finding, other: Finding) -> bool:
    """Say whether ``one`` is at least as cheap and accurate, and better in one of the two."""
    if one.records != other.records:
        return False
    as_good = one.tokens <= other.tokens and one.accuracy >= other.accuracy
    return as_good and (one.tokens, one.accuracy) != (other.tokens, other.accuracy)


def table(findings: Sequence[Finding]) -> str:
    """Write a Markdown table, cheapest first; * marks what nothing as cheap or cheaper beats."""
    lines = [
        "| encoding | budget | grid | tokens | records | accuracy | over the seeds | nats |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for f in findings:
        low, high = 100 * min(f.accuracies), 100 * max(f.accuracies)
        seeds = len(f.accuracies)
        spread = f"{low:.2f}-{high:.2f} (n = {seeds})" if seeds > 1 else "one seed"
        lines.append(
            f"| {f.encoding}{' *' if f.on_front else ''} | {f.size} | {f.columns}x{f.rows} "
            f"| {f.tokens:.1f} | {f.records:,} | {100 * f.accuracy:.2f} % "
            f"| {spread} | {f.nats:.3f} |"
        )
    return "\n".join(lines) + "\n\n\\* nothing as cheap or cheaper is more accurate.\n"


_MARKS = "osD^v<>PXph*"


def pareto_svg(findings: Sequence[Finding]) -> str:
    """Plot accuracy against tokens: a line per encoding and amount of data, and the front."""
    from matplotlib import colormaps

    figure, drawn = axes(8.6, 5.2)
    amounts = sorted({f.records for f in findings})
    names = sorted({f.encoding for f in findings})
    for index, name in enumerate(names):
        color = colormaps["tab20"](index % 20)
        for step, records in enumerate(amounts):
            own = [f for f in findings if (f.encoding, f.records) == (name, records)]
            if not own:
                continue
            label = name if len(amounts) == 1 else f"{name}, {records:,} records"
            means = [100 * f.accuracy for f in own]
            spread = [
                [100 * (f.accuracy - min(f.accuracies)) for f in own],
                [100 * (max(f.accuracies) - f.accuracy) for f in own],
            ]
            drawn.errorbar(
                [f.tokens for f in own],
                means,
                yerr=spread,
                color=color,
                marker=_MARKS[index % len(_MARKS)],
                markersize=5,
                linewidth=1,
                linestyle=("-", "--", ":", "-.")[step % 4],
                label=label.replace("$", r"\$"),  # no mathematics
            )
    for records in amounts:
        front = [f for f in findings if f.on_front and f.records == records]
        drawn.plot(
            [f.tokens for f in front],
            [100 * f.accuracy for f in front],
            color=INK,
            linewidth=5,
            alpha=0.25,
            zorder=0,
        )
    drawn.set_xscale("log", base=2)
    ticks = [2**k for k in range(3, 11)]
    low, high = min(f.tokens for f in findings) / 1.1, max(f.tokens for f in findings) * 1.1
    drawn.set_xlim(low, high)
    drawn.set_xticks([t for t in ticks if low <= t <= high])
    drawn.set_xticklabels([str(t) for t in ticks if low <= t <= high])
    drawn.minorticks_off()
    drawn.set_xlabel("tokens per picture")
    drawn.set_ylabel("accuracy on held-out pictures, %")
    drawn.legend(
        loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, labelcolor=INK, fontsize=9
    )
    return svg(figure, "accuracy against tokens")


def write_findings(results: Sequence[dict[str, Any]], out: Path) -> str:
    """Write ``table.md`` and ``pareto.svg`` into ``out`` and return the table.

    Cells that were left out stand below the table. Without a result nothing is drawn.
    """
    findings = summarize(results)
    text = table(findings) if findings else ""
    gaps = [r for r in results if "left_out" in r]
    said = dict.fromkeys(f"{r['encoding']}, {r['budget']} tokens: {r['left_out']}" for r in gaps)
    text += "".join(f"\nLeft out: {gap}.\n" for gap in said)
    with replacing(out / TABLE) as stream:
        stream.write(text)
    if findings:
        with replacing(out / PLOT) as stream:
            stream.write(pareto_svg(findings))
    return text
