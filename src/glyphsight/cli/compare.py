"""``glyphsight compare``: evaluations side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphsight.cli.options import Json
from glyphsight.cli.output import print_json, say

if TYPE_CHECKING:
    from glyphsight.evaluate.compare import Comparison


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Two or more directories that evaluate wrote, or runs that hold one."),
    ],
    out: Annotated[Path | None, typer.Option(help="Page to write, such as compare.html.")] = (None),
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the paired bootstrap.")] = 0,
    json_: Json = False,
) -> None:
    """Compare accuracy, calibration and cost of several runs, every two on the same records."""
    from glyphsight.evaluate.compare import compare as put_side_by_side
    from glyphsight.evaluate.report import write_comparison
    from glyphsight.extras import need

    if len(runs) < 2:
        raise typer.BadParameter("give at least two evaluations to compare", param_hint="RUNS")
    if out is not None:
        need("page")
    comparison = put_side_by_side(runs, seed=seed)
    if out is not None:
        write_comparison(comparison, out)
        say(f"comparison: {out}")
    if json_:
        print_json(comparison.as_json())
    else:
        print_comparison(comparison)


def print_comparison(comparison: Comparison) -> None:
    """Print the figures as tables for a terminal."""
    wide = max(len(entry.name) for entry in comparison.entries)
    print(f"{'':<{wide}}  {'right':>8}  {'95 % interval':>14}  {'n':>7}  calibration error")
    for entry in comparison.entries:
        share, (low, high) = entry.share, entry.share.interval
        print(
            f"{entry.name:<{wide}}  {100 * share.accuracy:6.2f} %  "
            f"{f'{100 * low:.2f}-{100 * high:.2f}':>14}  {share.n:>7}  "
            f"{100 * entry.calibration.error:.2f} points"
        )
    for pair in comparison.pairs:
        print(f"{pair.first} - {pair.second}")
        if (found := pair.found) is None:
            print(f"  not paired: {pair.refused}")
            continue
        low, high = found.interval
        print(
            f"  {100 * found.difference:+.2f} points, 95 % interval {100 * low:+.2f} to "
            f"{100 * high:+.2f}, p = {found.p_value:.2g}; {found.only_first} only the first has "
            f"right, {found.only_second} only the second, of {found.n}"
        )
