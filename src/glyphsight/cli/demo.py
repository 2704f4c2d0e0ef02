"""``glyphsight demo``: the whole pipeline on the bundled digits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.options import Json
from glyphsight.cli.output import print_json
from glyphsight.extras import need


def demo(
    out: Annotated[Path, typer.Option(help="Directory for the results.")] = Path("runs/demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Take few digits and a minute, to see that it works.")
    ] = False,
    json_: Json = False,
) -> None:
    """Run the whole pipeline on the bundled digits.

    Build the dataset, train nano, evaluate it on all test digits, and show SmolLM2 before training.
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
    print(f"{metrics['seconds']:.0f} s from start to report: {out / 'report.html'}")
    print(f"try it: glyphsight see PICTURE --model {out}")
