"""``glyphsight sweep``: encodings against accuracy and tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.options import Json
from glyphsight.cli.output import print_json, say, will_resume


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
    results.jsonl, table.md and pareto.svg.
    """
    from glyphsight.evaluate.sweep import read_plan, run_sweep, write_findings
    from glyphsight.extras import need

    need("train")
    read = read_plan(plan)
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
