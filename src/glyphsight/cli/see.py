"""``glyphsight see``: the model's answer to a picture."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphsight.cli.explain import explanation_files, write_explanation
from glyphsight.cli.options import Json
from glyphsight.cli.output import print_json, say
from glyphsight.errors import PictureError
from glyphsight.media.picture import load_picture
from glyphsight.models.runs import DEFAULT_MODEL

if TYPE_CHECKING:
    from glyphsight.evaluate import Answer


_SHOWN = 4  # likeliest labels


def _what_was_done(answer: Answer) -> list[str]:
    """What the user should know about how the picture was read."""
    said = ["dark on light, inverted"] if answer.inverted else []
    said += ["cropped and centred"] if answer.cropped else []
    said += ["nothing to see in it, every cell is alike: a guess"] if answer.empty else []
    return said


def see(
    images: Annotated[
        list[str] | None, typer.Argument(help="Pictures; - is standard input.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="sight: an adapter of SmolLM2, trained on digits; nano-digits, nano-fashion: "
            "small models, trained on digits and clothes, in milliseconds; or a run directory, "
            "from glyphsight train or demo."
        ),
    ] = DEFAULT_MODEL,
    show: Annotated[bool, typer.Option("--show", help="Print the text the model read.")] = False,
    explain: Annotated[
        Path | None,
        typer.Option(
            help="Draw what the model looked at: a .png of one picture, or a directory.",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
    jsonl: Annotated[
        bool,
        typer.Option(
            "--jsonl",
            help="Print a JSON object a picture as it is answered; any number of pictures, "
            "folders (with all below), globs.",
        ),
    ] = False,
    files_from: Annotated[
        str | None,
        typer.Option(help="With --jsonl: a file of paths, one a line; - is standard input."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="With --jsonl: a file to write, gone on with where it is there."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="With --jsonl: local, or ray for a Ray cluster.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --jsonl: processes, each with the model.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster; left out, one is started here.")
    ] = None,
) -> None:
    """Print what a trained model sees in each picture, with probabilities."""
    if not images and files_from is None:
        raise typer.BadParameter("name a picture")
    if jsonl:
        if json_:
            raise typer.BadParameter("give one of --json and --jsonl", param_hint="--json")
        if explain is not None:
            raise typer.BadParameter(
                "draws single pictures, not those of --jsonl", param_hint="--explain"
            )
        from glyphsight.cli.see_lines import answer_lines

        failed = answer_lines(
            images or [],
            files_from,
            model,
            out=out,
            show=show,
            engine=engine,
            workers=workers,
            ray_address=ray_address,
        )
        if failed:
            raise typer.Exit(1)
        return
    if (files_from, out, engine, workers, ray_address) != (None, None, "local", None, None):
        raise typer.BadParameter("these options are of use with --jsonl; give it too")
    drawings = explanation_files(explain, images or [])
    failed = 0
    pictures = []
    for path in images or []:  # before the model is loaded: a wrong path should not cost seconds
        try:
            pictures.append((path, load_picture(sys.stdin.buffer if path == "-" else path)))
        except PictureError as error:
            say(f"glyphsight: {error}")
            failed += 1
    documents = []
    if pictures:
        from glyphsight.evaluate import see as ask
        from glyphsight.inference.see import taught
        from glyphsight.models import load_model

        loaded = load_model(model)
        name_of = taught(loaded).name_of
        for path, pixels in pictures:
            try:
                answer = ask(pixels, loaded)
            except PictureError as error:
                say(f"glyphsight: {path}: {error}")
                failed += 1
                continue
            if done := _what_was_done(answer):
                say(f"{path}: {'; '.join(done)}")
            if drawing := drawings.get(path):
                write_explanation(drawing, path, pixels, answer, loaded)
            if json_:
                documents.append({"path": path} | asdict(answer))
                continue
            if show:
                sys.stdout.write(answer.ascii_image)
            best, *others = [
                (name_of(label), f"{100 * p:.1f} %") for label, p in answer.probabilities.items()
            ][:_SHOWN]
            words = [f"{best[0]} ({best[1]})", *(" ".join(other) for other in others)]
            print(f"{path}: {', '.join(words)}")
    if json_:
        print_json(documents)
    if failed:
        raise typer.Exit(1)
