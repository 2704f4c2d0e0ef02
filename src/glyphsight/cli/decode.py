"""``glyphsight decode``: text back to a picture or to levels."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from glyphsight.cli.options import Group, with_settings
from glyphsight.cli.output import say
from glyphsight.codec import Profile
from glyphsight.codec.formats import get_format
from glyphsight.codec.repair import Repaired, repair
from glyphsight.errors import FormatError
from glyphsight.media.picture import save_picture

_MAX_PIXELS = 1 << 28


@with_settings
def decode(
    file: Annotated[str, typer.Argument(help="File with one ASCII_Image; - is standard input.")],
    *,
    profile: Annotated[Profile, Group("How the text is written", fields=("palette", "format"))],
    out: Annotated[
        Path | None, typer.Option(help="Picture to write; the suffix names the file type.")
    ] = None,
    levels: Annotated[
        bool, typer.Option("--levels", help="Print the level of each cell, as a digit 0-9a-f.")
    ] = False,
    scale: Annotated[int, typer.Option(min=1, max=100, help="Pixels per column.")] = 8,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a text with flaws; name line and column.")
    ] = False,
) -> None:
    """Turn an ASCII_Image back into a picture.

    Flaws are fixed where possible, and each is named on standard error: text or a code fence around
    the rows, a JSON record, HTML escapes, rows missing, repeated or of differing width.
    """
    if out is None and not levels:
        raise typer.BadParameter("give --out PICTURE, --levels or both")
    try:
        text = (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode("utf-8")
    except OSError as error:
        raise FormatError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{file}: not UTF-8 text at byte {error.start}") from None
    try:
        reading = (
            Repaired(get_format(profile.format).read(text, profile.palette))
            if strict
            else repair(text, profile)
        )
        for done in reading.repairs:
            say(f"glyphsight: {file}: {done}")
        if out is not None:
            save_picture(_picture(reading, profile, scale), out)
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from None
    if levels:
        sys.stdout.write(
            get_format("digits").render_batch(reading.levels[None], profile.palette)[0]
        )


def _picture(reading: Repaired, profile: Profile, scale: int) -> NDArray[np.uint8]:
    """Return gray pixels, uint8[H, W], that encode to as many rows and columns again."""
    tall, wide = get_format(profile.format).cell
    gray = np.round(np.linspace(0, 255, profile.levels)).astype(np.uint8)[reading.levels]
    rows, columns = gray.shape
    across = Profile(columns // wide, profile.palette)
    width = columns * scale
    height = next(h for h in count(1) if across.rows(h, width) >= rows // tall)
    if height * width > _MAX_PIXELS:
        raise FormatError(f"{rows}x{columns} cells make {height}x{width} pixels; lower --scale")
    return np.repeat(gray[np.arange(height) * rows // height], scale, axis=1)
