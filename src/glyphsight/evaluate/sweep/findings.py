"""Findings of a sweep: a table and a plot of accuracy against tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from glyphsight.files import write
from glyphsight.pages import INK, axes, svg
from glyphsight.sampling import wilson_interval

TABLE = "table.md"
PLOT = "accuracy.svg"


def _groups(results: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Group results that differ in their seed alone, in the order of records, then tokens."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for result in results:
        if "left_out" not in result:
            own = result["encoding"], _size(result), result["records"]
            groups.setdefault(own, []).append(result)
    order = ("records", "tokens", "encoding")
    return sorted(groups.values(), key=lambda own: [own[0][name] for name in order])


def _size(result: dict[str, Any]) -> str:
    return str(result["budget"] or f"{result['profile']['width']} columns")


def _share(group: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """Return the mean accuracy over the seeds with its interval, in %."""
    mean, n = fmean(result["accuracy"] for result in group), group[0]["n"]
    low, high = wilson_interval(round(mean * n), n)
    return 100 * mean, 100 * low, 100 * high


def table(results: Sequence[dict[str, Any]]) -> str:
    """Write a Markdown table, cheapest first, of means over the seeds.

    The interval is Wilson's for the mean on the records of one seed, which all seeds share.
    """
    lines = [
        "| encoding | budget | grid | tokens | records | accuracy | 95 % interval | over the seeds "
        "| nats |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for own in _groups(results):
        (mean, low, high), one = _share(own), own[0]
        shares = sorted(100 * result["accuracy"] for result in own)
        spread = f"{shares[0]:.2f}-{shares[-1]:.2f} (n = {len(own)})" if own[1:] else "one seed"
        lines.append(
            f"| {one['encoding']} | {_size(one)} | {one['columns']}x{one['rows']} "
            f"| {one['tokens']:.1f} | {one['records']:,} | {mean:.2f} % | {low:.2f}-{high:.2f} "
            f"| {spread} | {fmean(result['nats'] for result in own):.3f} |"
        )
    return "\n".join(lines) + "\n"


def plot(results: Sequence[dict[str, Any]]) -> str:
    """Plot accuracy with its interval against tokens: a line per encoding and amount of data."""
    figure, drawn = axes(8.6, 5.2)
    lines: dict[str, list[tuple[float, ...]]] = {}
    for own in _groups(results):
        name = f"{own[0]['encoding']}, {own[0]['records']:,} records"
        name = name.replace("$", r"\$")  # no mathematics
        lines.setdefault(name, []).append((own[0]["tokens"], *_share(own)))
    for name, points in sorted(lines.items()):
        tokens, mean, low, high = np.array(points).T
        around = [mean - low, high - mean]
        drawn.errorbar(tokens, mean, yerr=around, marker="o", linewidth=1, label=name)
    drawn.set_xscale("log", base=2)
    drawn.xaxis.set_major_formatter("{x:.0f}")
    drawn.set_xlabel("tokens per picture")
    drawn.set_ylabel("accuracy on held-out pictures, %")
    drawn.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, labelcolor=INK)
    return svg(figure, "accuracy against tokens")


def write_findings(results: Sequence[dict[str, Any]], out: Path) -> str:
    """Write ``table.md`` and ``accuracy.svg`` into ``out`` and return the table.

    Cells that were left out stand below the table. Without a result nothing is drawn.
    """
    gaps = [result for result in results if "left_out" in result]
    some = len(gaps) < len(results)
    text = table(results) if some else ""
    said = dict.fromkeys(f"{r['encoding']}, {r['budget']} tokens: {r['left_out']}" for r in gaps)
    text += "".join(f"\nLeft out: {gap}.\n" for gap in said)
    write(out / TABLE, text)
    if some:
        write(out / PLOT, plot(results))
    return text
