"""``glyphsight see``: the model's answer to a picture."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from glyphsight.cli.evaluate import DEFAULT_RUN, require_model
from glyphsight.cli.output import print_json, say
from glyphsight.errors import GlyphsightError
from glyphsight.sources import load_picture


def see(
    images: Annotated[list[str], typer.Argument(help="Pictures of a digit; - is standard input.")],
    model: Annotated[
        str, typer.Option(help="A run directory, from glyphsight train or glyphsight demo.")
    ] = DEFAULT_RUN,
    show: Annotated[bool, typer.Option("--show", help="Print the text the model read.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
) -> None:
    """Print what a trained model sees in each picture, with probabilities."""
    require_model(model)
    failed = 0
    pictures = []
    for path in images:  # before the model is loaded: a wrong path should not cost seconds
        try:
            pictures.append((path, load_picture(sys.stdin.buffer if path == "-" else path)))
        except GlyphsightError as error:
            say(f"glyphsight: {error}")
            failed += 1
    documents = []
    if pictures:
        from glyphsight.evaluate import see as ask
        from glyphsight.models import load_model

        loaded = load_model(model)
        for path, pixels in pictures:
            answer = ask(pixels, loaded)
            documents.append({"path": path} | asdict(answer))
            if json_:
                continue
            if show:
                sys.stdout.write(answer.ascii_image)
            others = [
                f"{label} {100 * p:.1f} %" for label, p in list(answer.probabilities.items())[1:4]
            ]
            print(f"{path}: {answer.label} ({100 * answer.probability:.1f} %), {', '.join(others)}")
            done = ["dark on light, inverted"] if answer.inverted else []
            done += ["cropped and centred"] if answer.cropped else []
            if done:
                say(f"{path}: {'; '.join(done)}")
    if json_:
        print_json(documents)
    if failed:
        raise typer.Exit(1)
