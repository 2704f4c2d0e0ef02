"""``glyphsight decode``: text back to a picture or to levels."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from glyphsight.cli.output import say
from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import get_format
from glyphsight.codec.repair import Reading, read
from glyphsight.errors import FormatError
from glyphsight.media.picture import save_picture

_MAX_PIXELS = 1 << 28


def decode(
    file: Annotated[str, typer.Argument(help="File with one ASCII_Image; - is standard input.")],
    out: Annotated[
        Path | None, typer.Option(help="Picture to write; the suffix names the type.")
    ] = None,
    levels: Annotated[
        bool, typer.Option("--levels", help="Print the levels, one digit 0-9a-f a cell.")
    ] = False,
    scale: Annotated[int, typer.Option(min=1, max=100, help="Pixels a column.")] = 8,
    palette: Annotated[
        str, typer.Option(help="One glyph a level, dark to bright.")
    ] = PUBLISHED.palette,
    form: Annotated[
        str, typer.Option("--format", help="Format the text is written in.")
    ] = PUBLISHED.format,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a flawed text, naming line and column.")
    ] = False,
) -> None:
    """Turn an ASCII_Image back into a picture of the shape it was made from.

    Flaws that can be mended are, and each is named on standard error: text or a code fence around
    the rows, a JSON record, HTML escapes, rows missing, repeated or of differing width.
    """
    if out is None and not levels:
        raise typer.BadParameter("give --out PICTURE, --levels or both")
    profile = Profile(palette=palette, format=form)
    try:
        text = (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode("utf-8")
    except OSError as error:
        raise FormatError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{file}: not UTF-8 text at byte {error.start}") from None
    try:
        reading = Reading(get_format(form).read(text, palette)) if strict else read(text, profile)
        for mending in reading.mendings:
            say(f"glyphsight: {file}: {mending}")
        if out is not None:
            save_picture(_picture(reading, profile, scale), out)
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from None
    if levels:
        sys.stdout.write(get_format("digits").render_batch(reading.levels[None], palette)[0])


def _picture(reading: Reading, profile: Profile, scale: int) -> NDArray[np.uint8]:
    """Gray pixels uint8[H, W] that give as many rows and columns when they are encoded again."""
    tall, wide = get_format(profile.format).cell
    gray = np.round(np.linspace(0, 255, profile.levels)).astype(np.uint8)[reading.levels]
    rows, columns = gray.shape
    across = Profile(columns // wide, profile.palette)
    width = columns * scale
    height = next(h for h in count(1) if across.rows(h, width) >= rows // tall)
    if height * width > _MAX_PIXELS:
        raise FormatError(f"{rows}x{columns} cells make {height}x{width} pixels; lower --scale")
    return np.repeat(gray[np.arange(height) * rows // height], scale, axis=1)
