"""``glyphsight encode``, ``decode`` and ``tokens``: pictures to text, text to pictures, costs."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from glyphsight.cli.help import explains
from glyphsight.cli.options import FROM_FILE, TOKENIZERS, Group, Json, PictureToText, with_settings
from glyphsight.cli.output import print_json, print_table, say, will_resume
from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.encode import columns_of, to_picture
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.codec.profile import PALETTES
from glyphsight.codec.repair import Repaired, repair
from glyphsight.console import progress_bar
from glyphsight.dataset.record import read_text
from glyphsight.errors import FormatError, ModelError, PictureError
from glyphsight.files import json_line
from glyphsight.media import MEDIA, load_gray, medium_of
from glyphsight.media.bulk import EncodeSettings, open_log, plan, results
from glyphsight.media.picture import save_picture
from glyphsight.media.sound import save_sound
from glyphsight.models.runs import NAMES
from glyphsight.models.tokens import (
    EMBEDDED,
    TokenBudget,
    count_tokens,
    largest_grid,
    load_tokenizer,
    merged_pictures,
)
from glyphsight.parallel import Workers


def _palettes() -> str:
    return "\n".join(f"{name}: {len(one)} levels, {one!r}" for name, one in PALETTES.items())


@explains("Formats", FORMATS.help)
@explains("Palettes", _palettes)
@explains("Kinds of files", MEDIA.help)
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
        replace(FROM_FILE, fields=("frame", "background", "max_pixels", "fast_jpeg")),
    ],
    processes: Annotated[Workers, Group("Processes", fields=("workers",))],
    budget: Annotated[
        int | None,
        typer.Option(
            "--tokens", min=1, help="Largest number of tokens per picture; it decides the width."
        ),
    ] = None,
    tokenizer: Annotated[
        str, typer.Option(help=f"Tokenizer for --tokens: {TOKENIZERS}.")
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
    """Print the ASCII_Image of each picture, in the order given; exit status 1 when any failed.

    Example:
        glyphsight encode five.png --width 40
    """
    width = ctx.params["width"]  # None where it is not given
    if budget is not None and (width is not None or settings.fast_jpeg):
        other = "--fast-jpeg" if width is None else "--width"
        raise typer.BadParameter(f"give {other} or --tokens, not both")
    fit = None if budget is None else TokenBudget(budget, tokenizer)
    if fit is not None:
        load_tokenizer(tokenizer)  # a wrong name is likewise
    settings = replace(settings, profile=profile, fit=fit)
    if out is not None:
        if out.suffix.lower() == ".txt" and not out.is_dir():
            problem = f"{out} is a file's name; give a directory, or send the text to a file by >"
            raise typer.BadParameter(problem, param_hint="--out")
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
                many = fit is not None or profile.widest is not None
                size = str(columns_of(done.text, profile) if many else profile.width)
                line = {"path": done.path, "size": size, "ASCII_image": done.text}
                print(json_line(line))
            elif out is None:
                sys.stdout.write(done.text)
            bar.update()
    if found := sum(task.found for task in tasks):
        say(f"glyphsight: {found} of {len(tasks)} texts were there already; --force redoes them")
    if failed:
        raise typer.Exit(1)


@with_settings
def decode(
    file: Annotated[str, typer.Argument(help="File with one ASCII_Image; - is standard input.")],
    *,
    profile: Annotated[
        Profile, Group("How the text is written", ("palette", "format", "threshold"))
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Picture, or sound, to write; the suffix names the file type."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.01, max=60, help="Length of a sound that is written.")
    ] = 0.5,
    levels: Annotated[
        bool, typer.Option("--levels", help="Print the level of each cell, as a digit 0-9a-f.")
    ] = False,
    scale: Annotated[int, typer.Option(min=1, max=100, help="Pixels per column.")] = 8,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a text with flaws; name line and column.")
    ] = False,
) -> None:
    """Turn an ASCII_Image back into a picture, or that of a sound into a sound.

    Flaws are fixed where possible, and each is named on standard error: text or a code fence around
    the rows, a JSON record, HTML escapes, rows missing, repeated or of differing width.

    Example:
        glyphsight decode five.txt --out again.png
    """
    if out is None and not levels:
        raise typer.BadParameter("give --out PICTURE, --levels or both")
    text = read_text(Path(file))
    try:
        reading = (
            Repaired(get_format(profile.format).read(text, profile.palette))
            if strict
            else repair(text, profile)
        )
        for done in reading.repairs:
            say(f"glyphsight: {file}: {done}")
        medium = None if out is None else medium_of(out)
        if out is not None and medium is not None and medium.name == "sound":
            save_sound(reading.levels, profile, seconds, out)
        elif out is not None:
            save_picture(to_picture(reading.levels, profile, scale), out)
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from None
    if levels:
        sys.stdout.write(
            get_format("digits").render_batch(reading.levels[None], profile.palette)[0]
        )


@explains("Formats", FORMATS.help)
@explains("Palettes", _palettes)
@explains("Kinds of files", MEDIA.help)
@with_settings
def tokens(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(help="Picture; - reads standard input.")],
    *,
    profile: Annotated[Profile, Group("From picture to text", ("width", "palette"))],
    settings: Annotated[EncodeSettings, FROM_FILE],
    tokenizer: Annotated[
        list[str] | None,
        typer.Option(help=f"Tokenizer, repeatable: {TOKENIZERS}.", show_default=EMBEDDED),
    ] = None,
    form: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help=f"Format, repeatable: {', '.join(FORMATS.names())}.",
            show_default="every format",
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            "--tokens", min=1, help="Show the largest grid that costs at most this many tokens."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count what a picture costs in each format: grid, characters, tokens.

    A format that carries fewer levels than the palette has is shown with its darkest and brightest
    glyph alone.

    Example:
        glyphsight tokens five.png
    """
    if ctx.params["width"] is not None and budget is not None:
        raise typer.BadParameter("give --width or --tokens, not both")
    tokenizers = {name: load_tokenizer(name) for name in tokenizer or [EMBEDDED]}
    source = sys.stdin.buffer if image == "-" else image
    pixels = load_gray(source, max_pixels=settings.max_pixels)
    rows: list[dict[str, Any]] = []
    failed = False
    for name in form or FORMATS.names():
        try:
            carried = profile.palette
            if len(carried) > get_format(name).max_levels == 2:
                carried = carried[0] + carried[-1]
            shown = replace(profile, palette=carried, format=name)
            if budget is not None:
                shown = largest_grid(pixels[None], shown, budget, list(tokenizers.values()))
            rows.append(_row(pixels, shown, tokenizers))
            for own, each in tokenizers.items():
                if own not in NAMES and (why := merged_pictures(each, shown)):
                    say(f"glyphsight: warning: {own}: {name}: {why}")
        except (FormatError, ModelError) as error:
            say(f"glyphsight: {error}")
            failed = True
        except PictureError as error:
            raise PictureError(f"{image}: {error}") from None
    if as_json:
        print_json(rows)
    elif rows:
        _print_table(rows, list(tokenizers))
    if failed:
        raise typer.Exit(1)


def _row(pixels: NDArray[np.uint8], profile: Profile, tokenizers: dict[str, Any]) -> dict[str, Any]:
    """Count what the picture costs in one format."""
    text = encode_batch(pixels[None], profile)[0]
    form = get_format(profile.format)
    rows, columns = form.read(text, profile.palette).shape
    counts = {name: count_tokens([text], each)[0] for name, each in tokenizers.items()}
    return {
        "format": profile.format,
        "width": profile.width,
        "columns": columns,
        "rows": rows,
        "levels": profile.levels,
        "characters": len(text),
        "tokens": counts,
        "cells_per_token": {name: rows * columns / count for name, count in counts.items()},
    }


def _print_table(rows: list[dict[str, Any]], tokenizers: list[str]) -> None:
    table = [["format", "grid", "levels", "characters"]]
    table[0] += [head for name in tokenizers for head in (name, "cells per token")]
    for row in rows:
        line = [row["format"], f"{row['columns']}x{row['rows']}"]
        line += [str(row["levels"]), str(row["characters"])]
        for name in tokenizers:
            line += [str(row["tokens"][name]), f"{row['cells_per_token'][name]:.2f}"]
        table.append(line)
    print_table(table)
