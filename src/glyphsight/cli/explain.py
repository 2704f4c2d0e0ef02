"""The drawings of ``glyphsight see --explain``: what the model looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glyphsight.cli.output import say
from glyphsight.files import replacing

if TYPE_CHECKING:
    from glyphsight.inference import Seen
    from glyphsight.models import LoadedModel


def explanation_files(out: Path | None, images: Sequence[str]) -> dict[str, Path]:
    """Name the PNG of each picture: ``out`` where it ends in .png, else a file in that directory.

    In a directory each drawing has the name of its picture; the second of one name is
    ``NAME-2.png``.

    Raises:
        typer.BadParameter: Several pictures for one .png, or a file of another kind.
    """
    if out is None:
        return {}
    different = list(dict.fromkeys(images))
    if out.suffix.lower() == ".png" and not out.is_dir():
        if len(different) > 1:
            raise typer.BadParameter(
                f"{out} is one file for {len(different)} pictures; give a directory",
                param_hint="--explain",
            )
        return {different[0]: out}
    if out.is_file() or out.suffix.lower() in (".jpg", ".jpeg", ".svg", ".pdf", ".html"):
        raise typer.BadParameter(
            f"{out} is no PNG; give a name that ends in .png, or a directory",
            param_hint="--explain",
        )
    files: dict[str, Path] = {}
    for image in different:
        stem = "stdin" if image == "-" else Path(image).stem
        name, number = f"{stem}.png", 2
        while out / name in files.values():
            name, number = f"{stem}-{number}.png", number + 1
        files[image] = out / name
    return files


def write_explanation(file: Path, seen: Seen, loaded: LoadedModel) -> None:
    """Draw one picture's explanation and say where it is.

    Args:
        file: PNG to write.
        seen: Outcome of the picture, with its pixels.
        loaded: Model that answered.
    """
    from glyphsight.evaluate.explanation import draw_explanation

    assert seen.pixels is not None
    assert seen.answer is not None
    name = "-" if seen.path == "-" else Path(seen.path).name
    drawn = draw_explanation(name, seen.pixels, seen.answer, loaded)
    with replacing(file, "wb") as stream:
        stream.write(drawn)
    say(f"{seen.path}: what it looked at: {file}")
