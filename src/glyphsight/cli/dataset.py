"""``glyphsight dataset``: build and check datasets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli import dataset_build
from glyphsight.cli.output import print_json, say
from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset import check_dataset

app = typer.Typer(help="Build and check datasets.", no_args_is_help=True, rich_markup_mode=None)


app.command("build")(dataset_build.build)


@app.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="A dataset file or directory.")],
    palette: Annotated[
        str, typer.Option(help="One glyph a level, dark to bright.")
    ] = PUBLISHED.palette,
    show: Annotated[int, typer.Option(min=1, help="Print at most so many problems.")] = 20,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say what is wrong where; exit status 1 when anything is."""
    problems, counts = check_dataset(path, Profile(palette=palette).palette)
    if json_:
        print_json({"records": counts, "problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems[:show]:
            say(str(problem))
        if len(problems) > show:
            say(f"... {len(problems)} problems in all; --show N shows more")
        for file, count in counts.items():
            bad = len({p.record for p in problems if p.file == file})
            print(f"{file}: {count} records, {bad} with problems" if bad else f"{file}: {count} ok")
    if problems:
        raise typer.Exit(1)
