"""``glyphsight encode``: pictures to text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.output import say
from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.errors import GlyphsightError, PictureError
from glyphsight.files import replacing
from glyphsight.sources import load_picture


def encode(
    paths: Annotated[list[str], typer.Argument(help="Pictures; - reads standard input.")],
    width: Annotated[int, typer.Option(help="Columns.")] = PUBLISHED.width,
    palette: Annotated[
        str, typer.Option(help="One glyph a level, dark to bright.")
    ] = PUBLISHED.palette,
    out: Annotated[
        Path | None, typer.Option(help="Write NAME.txt for each picture into this directory.")
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object a picture: path, size, text.")
    ] = False,
) -> None:
    """Print the ASCII_Image of each picture."""
    profile = Profile(width, palette)
    failed = 0
    written: dict[Path, str] = {}
    for path in paths:
        try:
            pixels = load_picture(sys.stdin.buffer if path == "-" else path)
            try:
                text = encode_batch(pixels[None], profile)[0]
            except PictureError as error:
                raise PictureError(f"{path}: {error}") from None
            if out is not None:
                target = out / f"{'stdin' if path == '-' else Path(path).stem}.txt"
                if target in written:
                    raise PictureError(
                        f"{path}: would overwrite {target}, written from {written[target]}; "
                        "rename one of the two"
                    )
                with replacing(target) as stream:
                    stream.write(text)
                written[target] = path
        except GlyphsightError as error:
            say(f"glyphsight: {error}")
            failed += 1
            continue
        if jsonl:
            line = {"path": path, "size": str(width), "ASCII_image": text}
            print(json.dumps(line, ensure_ascii=False))
        elif out is None:
            sys.stdout.write(text)
    if failed:
        raise typer.Exit(1)
