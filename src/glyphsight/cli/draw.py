"""``glyphsight draw``: pictures that a model writes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.options import Group, Json, with_settings
from glyphsight.cli.output import print_json, say
from glyphsight.codec.encode import columns_of
from glyphsight.dataset.inspect.show import side_by_side
from glyphsight.dataset.record import read_text
from glyphsight.errors import FormatError
from glyphsight.files import write
from glyphsight.inference.draw import DrawSettings
from glyphsight.media.picture import save_picture
from glyphsight.models.runs import DRAW

_UNFIT = re.compile(r'[\\/:*?"<>|\x00-\x1f]')  # characters that no file name has on some system


@with_settings
def draw(
    label: Annotated[
        str | None,
        typer.Argument(
            help="Label to draw; left out with --from, the one that the model expects most."
        ),
    ] = None,
    *,
    settings: Annotated[DrawSettings, Group("Drawing")],
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Rows of a picture to complete, from the top; an empty line, or a number that is "
            "left out, is a row to draw, ? a glyph to draw. - is standard input.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="draw: the package's, trained on handwritten digits; or a run directory, from "
            "glyphsight train --data draw:DATA."
        ),
    ] = DRAW,
    out: Annotated[
        Path | None, typer.Option(help="Directory for a PNG and a text per drawing.")
    ] = None,
    scale: Annotated[int, typer.Option(min=1, max=100, help="Pixels per column of a PNG.")] = 8,
    json_: Json = False,
) -> None:
    """Let a model draw pictures of a label, as text.

    Example:
        glyphsight draw 7 --n 4 --seed 0
    """
    if label is None and from_ is None:
        raise typer.BadParameter("give a label, or rows to complete with --from")
    if out is not None and not out.is_dir() and (out.suffix or out.is_file()):
        raise typer.BadParameter(f"{out} is a file's name; give a directory", param_hint="--out")
    from glyphsight.inference import Model

    given = "" if from_ is None else read_text(Path(from_))
    try:
        drawings = Model(model).draw(label, settings, given)
    except FormatError as error:
        raise FormatError(f"{from_}: {error}") from None
    told = []
    for number, one in enumerate(drawings, start=1):
        file = None if out is None else out / f"{_UNFIT.sub('_', one.label)}-{number}.png"
        if file is not None:
            save_picture(one.picture(scale), file)
            write(file.with_suffix(".txt"), one.ascii_image)
        told.append(
            {
                "label": one.label,
                "size": str(columns_of(one.ascii_image, one.profile)),
                "ASCII_image": one.ascii_image,
                "file": None if file is None else str(file),
            }
        )
    if json_:
        print_json(told)
        return
    blocks = [(one.ascii_image.splitlines(), ()) for one in drawings]
    for line in side_by_side(blocks, shutil.get_terminal_size().columns):
        print(line)
    if label is None:
        say(f"drawn as {drawings[0].label}")
