"""``glyphsight compare``, ``sweep`` and ``demo``: several runs, and the whole pipeline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphsight.cli.options import Json
from glyphsight.cli.output import difference, print_json, print_table, say, share_cells, will_resume
from glyphsight.extras import need

if TYPE_CHECKING:
    from glyphsight.evaluate.compare import Comparison


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Two or more directories that evaluate wrote, or runs that hold one."),
    ],
    out: Annotated[Path | None, typer.Option(help="Page to write, such as compare.html.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the paired bootstrap.")] = 0,
    json_: Json = False,
) -> None:
    """Compare accuracy, calibration and cost of several runs, every two on the same records.

    Example:
        glyphsight compare runs/mine runs/shipped
    """
    from glyphsight.evaluate.compare import compare as put_side_by_side
    from glyphsight.evaluate.report import write_comparison

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
    table = [["", "right", "95 % interval", "n", "calibration error"]]
    for entry in comparison.entries:
        error = f"{100 * entry.calibration.error:.2f} points"
        table.append([entry.name, *share_cells(entry.share), str(entry.share.n), error])
    print_table(table)
    for pair in comparison.pairs:
        print(f"{pair.first} - {pair.second}")
        if (found := pair.found) is None:
            print(f"  not paired: {pair.refused}")
            continue
        only = f"{found.only_first} only the first has right, {found.only_second} only the second"
        print(f"  {difference(found)}; {only}, of {found.n}")


def sweep(
    plan: Annotated[
        Path, typer.Argument(help="YAML file of encodings, sizes, amounts of data and seeds.")
    ],
    source: Annotated[
        str, typer.Option(help="Labelled pictures, as dataset build takes them; training split.")
    ],
    out: Annotated[Path, typer.Option(help="Directory of the sweep.")],
    json_: Json = False,
) -> None:
    """Train one model on the same pictures in many encodings; compare accuracy and tokens.

    The same command resumes a stopped sweep. Two processes with one --out share the work. Writes
    results.jsonl, table.md and accuracy.svg.

    Example:
        glyphsight sweep sweeps/row-tags.yaml --source bundled --out runs/sweep
    """
    from glyphsight.evaluate.sweep import read_plan, run_sweep, write_findings

    read = read_plan(plan)
    need("train")
    will_resume()
    results = run_sweep(read, source, out)
    table = write_findings(results, out)
    missing = len(read.cells()) - len(results)
    if missing:
        say(f"glyphsight: {missing} runs are still under way in another process")
    if json_:
        print_json(results)
    else:
        print(table)


def demo(
    out: Annotated[Path, typer.Option(help="Directory for the results.")] = Path("runs/demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Take few digits and a minute, to see that it works.")
    ] = False,
    json_: Json = False,
) -> None:
    """Run the whole pipeline on the bundled digits.

    Build the dataset, train nano, evaluate it on all test digits, and show SmolLM2 before training.

    Example:
        glyphsight demo --quick
    """
    started = time.monotonic()  # before the imports, which a user waits for too
    need("train")
    from glyphsight.cli.evaluate import print_summary
    from glyphsight.pipeline import run_demo

    measured, metrics = run_demo(out, quick=quick, started=started)
    if json_:
        print_json(metrics)
        return
    print_summary(measured)
    same = metrics["smollm2_on_the_pictures_shown"]
    if same["after"] is not None:
        print(
            f"SmolLM2 on the same {same['n']} pictures: {same['before']} right before training, "
            f"{same['after']} with the adapter that ships"
        )
    print(f"{metrics['seconds']:.0f} s from start to report: {out / 'report.html'}")
    print(f"try it: glyphsight see PICTURE --model {out}")
