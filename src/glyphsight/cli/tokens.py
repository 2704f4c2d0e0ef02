"""``glyphsight tokens``: count what a picture costs in each format."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from glyphsight.cli.options import Json
from glyphsight.cli.output import print_json, print_table, say
from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.errors import FormatError, ModelError, PictureError
from glyphsight.media import load_gray
from glyphsight.models.tokens import EMBEDDED, count_tokens, largest_grid, load_tokenizer
from glyphsight.settings import settings_of


def tokens(
    image: Annotated[str, typer.Argument(help="Picture; - reads standard input.")],
    tokenizer: Annotated[
        list[str] | None,
        typer.Option(
            help="Tokenizer, repeatable: smollm2-135m, nano, a tokenizer.json or a directory with "
            "one.",
            show_default=EMBEDDED,
        ),
    ] = None,
    form: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help=f"Format, repeatable: {', '.join(FORMATS.names())}.",
            show_default="every format",
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(min=1, help="Number of columns.", show_default=str(PUBLISHED.width)),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            "--tokens", min=1, help="Show the largest grid that costs at most this many tokens."
        ),
    ] = None,
    palette: Annotated[
        str, typer.Option(help=settings_of(Profile)["palette"].help)
    ] = PUBLISHED.palette,
    as_json: Json = False,
) -> None:
    """Count what a picture costs in each format: grid, characters, tokens.

    A format that carries fewer levels than the palette has is shown with its darkest and brightest
    glyph alone.
    """
    if width is not None and budget is not None:
        raise typer.BadParameter("give --width or --tokens, not both")
    tokenizers = {name: load_tokenizer(name) for name in tokenizer or [EMBEDDED]}
    pixels = load_gray(sys.stdin.buffer if image == "-" else image)
    rows: list[dict[str, Any]] = []
    failed = False
    for name in form or FORMATS.names():
        try:
            carried = palette
            if len(palette) > get_format(name).max_levels == 2:
                carried = palette[0] + palette[-1]
            if budget is None:
                profile = Profile(width or PUBLISHED.width, carried, name)
            else:
                every = list(tokenizers.values())
                carrier = Profile(palette=carried, format=name)
                profile = largest_grid(pixels[None], carrier, budget, every)
            rows.append(_row(pixels, profile, tokenizers))
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
    table[0] += [head for name in tokenizers for head in (name, "cells a token")]
    for row in rows:
        line = [row["format"], f"{row['columns']}x{row['rows']}"]
        line += [str(row["levels"]), str(row["characters"])]
        for name in tokenizers:
            line += [str(row["tokens"][name]), f"{row['cells_per_token'][name]:.2f}"]
        table.append(line)
    print_table(table)
