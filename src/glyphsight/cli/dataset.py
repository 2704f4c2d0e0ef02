"""``glyphsight dataset``: build datasets and look at them."""

from __future__ import annotations

import typer

from glyphsight.cli import dataset_build, dataset_look
from glyphsight.cli.options import Command

dataset = typer.Typer(
    help="Build datasets and look at them.", no_args_is_help=True, rich_markup_mode=None
)
dataset.command("build", cls=Command)(dataset_build.build)
dataset.command("check", cls=Command)(dataset_look.check)
dataset.command("show", cls=Command)(dataset_look.show)
dataset.command("stats", cls=Command)(dataset_look.stats)
