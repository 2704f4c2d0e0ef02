"""``glyphsight dataset``: build datasets and look at them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli import dataset_look
from glyphsight.cli.output import print_json
from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset import build_dataset

app = typer.Typer(
    help="Build datasets and look at them.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("build")
def build(
    source: Annotated[str, typer.Option(help="bundled, or idx:DIR with IDX files, gzip or not.")],
    out: Annotated[Path, typer.Option(help="Directory to write.")],
    width: Annotated[int, typer.Option(help="Columns of each picture.")] = PUBLISHED.width,
    palette: Annotated[
        str, typer.Option(help="One glyph a level, dark to bright.")
    ] = PUBLISHED.palette,
    split: Annotated[str | None, typer.Option(help="Build this split alone.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many pictures a split, stratified.")
    ] = None,
    validation: Annotated[
        int, typer.Option(min=0, help="Training pictures held out when there is no such split.")
    ] = 2000,
    copies: Annotated[
        int,
        typer.Option(min=0, help="Shifted, turned, scaled and slanted copies a training picture."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write train.json, validation.json and test.json in the published format."""
    report = build_dataset(
        source,
        out,
        profile=Profile(width, palette),
        split=split,
        limit=limit,
        validation=validation,
        copies=copies,
        seed=seed,
    )
    if json_:
        print_json(asdict(report))
    else:
        for name, count in report.records.items():
            print(f"{report.files[name]}: {count} records, {len(report.labels[name])} labels")


app.command("check")(dataset_look.check)
app.command("show")(dataset_look.show)
app.command("stats")(dataset_look.stats)
