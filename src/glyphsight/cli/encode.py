"""``glyphsight encode``: pictures, folders and globs to text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from glyphsight.cli import profile_options as options
from glyphsight.cli.output import say, will_go_on
from glyphsight.codec import PUBLISHED, Profile, resize
from glyphsight.codec.formats import get_format
from glyphsight.console import progress_bar
from glyphsight.media.bulk import Reading, mark_settings, plan, results
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.models.tokens import EMBEDDED, TokenBudget, load_tokenizer


def _check(profile: Profile) -> None:
    """Refuse what no picture could be encoded with, once and before the first."""
    get_format(profile.format)
    resize(np.zeros((1, 1, 1), dtype=np.uint8), 2, 2, profile.filter)


def _columns(text: str, profile: Profile) -> int:
    """Columns of glyphs in a text of the profile's format."""
    form = get_format(profile.format)
    return int(form.read(text, profile.palette).shape[1]) // form.cell[1]


def encode(
    paths: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders (with all below), globs; - reads standard input."),
    ],
    width: options.Width = None,
    budget: Annotated[
        int | None,
        typer.Option(
            "--tokens", min=1, help="Instead: the largest width that costs at most so many tokens."
        ),
    ] = None,
    tokenizer: Annotated[
        str,
        typer.Option(
            help="Counts them: smollm2-135m, nano, a tokenizer.json or a directory with one."
        ),
    ] = EMBEDDED,
    height: options.Height = PUBLISHED.height,
    aspect: options.Aspect = PUBLISHED.aspect,
    palette: options.Palette = None,
    levels: options.Levels = None,
    format_: options.Format = PUBLISHED.format,
    filter_: options.Filter = PUBLISHED.filter,
    invert: options.Invert = PUBLISHED.invert,
    crop: options.Crop = PUBLISHED.crop,
    contrast: options.Contrast = PUBLISHED.contrast,
    threshold: options.Threshold = str(PUBLISHED.threshold),
    dither: options.Dither = PUBLISHED.dither,
    edges: options.Edges = PUBLISHED.edges,
    frame: Annotated[int, typer.Option(min=0, help="Which frame of an animation, from 0.")] = 0,
    background: Annotated[
        str, typer.Option(help="Under transparency: black, white, or auto for what stands out.")
    ] = "auto",
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse files that hold more pixels.")
    ] = MAX_PIXELS,
    fast_jpeg: Annotated[
        bool,
        typer.Option(
            "--fast-jpeg", help="Decode large JPEGs smaller: faster, and the text may differ."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write a .txt for each picture into this directory, folders in it kept; texts "
            "that are there already, newer than picture and settings, are left as they are."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write texts anew that are in --out already.")
    ] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object a picture: path, size, text.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; left out, one a core once there is work for them."),
    ] = None,
) -> None:
    """Print the ASCII_Image of each picture, in the order given; exit status 1 when any failed."""
    if budget is not None and (width is not None or fast_jpeg):
        other = "--fast-jpeg" if width is None else "--width"
        raise typer.BadParameter(f"give {other} or --tokens, not both")
    profile = options.chosen_profile(
        width=width,
        height=height,
        aspect=aspect,
        palette=palette,
        levels=levels,
        format_=format_,
        filter_=filter_,
        invert=invert,
        crop=crop,
        contrast=contrast,
        threshold=threshold,
        dither=dither,
        edges=edges,
    )
    _check(profile)
    fit = None if budget is None else TokenBudget(budget, tokenizer)
    if fit is not None:
        load_tokenizer(tokenizer)  # a wrong name is one error, not one a picture
    reading = Reading(profile, frame, background, max_pixels, fast_jpeg, fit)
    if out is not None:
        will_go_on()
    since = None if out is None else mark_settings(out, reading)
    tasks = plan(paths, out, None if force else since)
    failed = 0
    printing = jsonl or out is None
    hidden = not sys.stderr.isatty() or (printing and sys.stdout.isatty())
    with progress_bar(total=len(tasks), unit="pic", delay=2, disable=hidden) as bar:
        for done in results(tasks, reading, workers):
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
