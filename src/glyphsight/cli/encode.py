"""``glyphsight encode``: pictures, folders and globs to text."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.options import Group, PictureToText, with_settings
from glyphsight.cli.output import say, will_resume
from glyphsight.codec import Profile
from glyphsight.codec.formats import get_format
from glyphsight.console import progress_bar
from glyphsight.media.bulk import EncodeSettings, open_log, plan, results
from glyphsight.models.tokens import EMBEDDED, TokenBudget, load_tokenizer
from glyphsight.parallel import Workers


def _columns(text: str, profile: Profile) -> int:
    """Columns of glyphs in a text of the profile's format."""
    form = get_format(profile.format)
    return int(form.read(text, profile.palette).shape[1]) // form.cell[1]


@with_settings
def encode(
    ctx: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders (with all below), globs; - reads standard input."),
    ],
    *,
    profile: PictureToText,
    settings: Annotated[
        EncodeSettings,
        Group("From file to picture", ("frame", "background", "max_pixels", "fast_jpeg")),
    ],
    processes: Annotated[Workers, Group("Processes", fields=("workers",))],
    budget: Annotated[
        int | None,
        typer.Option(
            "--tokens", min=1, help="Largest number of tokens per picture; it decides the width."
        ),
    ] = None,
    tokenizer: Annotated[
        str,
        typer.Option(
            help="Tokenizer for --tokens: smollm2-135m, nano, a tokenizer.json or a directory with "
            "one."
        ),
    ] = EMBEDDED,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory for one .txt per picture; folders are kept. A text that is there stays "
            "unless its picture or a setting changed."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write texts again that --out holds already.")
    ] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object per picture: path, size, text.")
    ] = False,
) -> None:
    """Print the ASCII_Image of each picture, in the order given; exit status 1 when any failed."""
    width = ctx.params["width"]  # None where it is not given
    if budget is not None and (width is not None or settings.fast_jpeg):
        other = "--fast-jpeg" if width is None else "--width"
        raise typer.BadParameter(f"give {other} or --tokens, not both")
    get_format(profile.format)  # a format that cannot be loaded is one error, not one per picture
    fit = None if budget is None else TokenBudget(budget, tokenizer)
    if fit is not None:
        load_tokenizer(tokenizer)  # a wrong name is likewise
    settings = replace(settings, profile=profile, fit=fit)
    if out is not None:
        will_resume()
    failed = 0
    printing = jsonl or out is None
    hidden = not sys.stderr.isatty() or (printing and sys.stdout.isatty())
    with ExitStack() as stack:
        log = None if out is None else stack.enter_context(open_log(out, settings))
        tasks = plan(paths, out, None if force else log)
        bar = stack.enter_context(
            progress_bar(total=len(tasks), unit="pic", delay=2, disable=hidden)
        )
        for done in results(tasks, settings, processes.workers, log):
            if done.error is not None:
                bar.clear()
                say(f"glyphsight: {done.error}")
                failed += 1
            elif jsonl:
                size = str(_columns(done.text, profile) if fit else profile.width)
                line = {"path": done.task.path, "size": size, "ASCII_image": done.text}
                print(json.dumps(line, ensure_ascii=False))
            elif out is None:
                sys.stdout.write(done.text)
            bar.update()
    if found := sum(task.found for task in tasks):
        say(f"glyphsight: {found} of {len(tasks)} texts were there already; --force redoes them")
    if failed:
        raise typer.Exit(1)
