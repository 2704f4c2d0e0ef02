"""``glyphsight decode``: text back to a picture."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec import decode as decode_text
from glyphsight.errors import FormatError
from glyphsight.sources.picture import save_picture


def decode(
    file: Annotated[str, typer.Argument(help="File with one ASCII_Image; - is standard input.")],
    out: Annotated[Path, typer.Option(help="Picture to write; the suffix names the type.")],
    scale: Annotated[int, typer.Option(min=1, max=100, help="Pixels a column.")] = 8,
    palette: Annotated[
        str, typer.Option(help="One glyph a level, dark to bright.")
    ] = PUBLISHED.palette,
) -> None:
    """Turn an ASCII_Image back into a picture of the shape it was made from."""
    profile = Profile(palette=palette)
    try:
        text = (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode("utf-8")
    except OSError as error:
        raise FormatError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{file}: not UTF-8 text at byte {error.start}") from None
    try:
        cells = decode_text(text, profile)
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from None
    rows, columns = cells.shape
    width = columns * scale
    height = next(h for h in count(1) if Profile(columns, palette).rows(h, width) >= rows)
    save_picture(np.repeat(cells[np.arange(height) * rows // height], scale, axis=1), out)
