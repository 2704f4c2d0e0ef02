"""``glyphsight dataset``: build datasets and look at them."""

from __future__ import annotations

import typer

from glyphsight.cli import dataset_build, dataset_look

app = typer.Typer(
    help="Build datasets and look at them.", no_args_is_help=True, rich_markup_mode=None
)
app.command("build")(dataset_build.build)
app.command("check")(dataset_look.check)
app.command("show")(dataset_look.show)
app.command("stats")(dataset_look.stats)
