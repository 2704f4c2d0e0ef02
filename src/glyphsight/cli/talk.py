"""``glyphsight talk``: whether a trained model still talks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphsight.cli.options import Json
from glyphsight.cli.output import print_json

if TYPE_CHECKING:
    from glyphsight.evaluate.forgetting import Talk


def talk(
    model: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run directory, base model name, any path or hub id."),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            help="Model to hold it against.",
            show_default="the base that the run's glyphsight.json names",
        ),
    ] = None,
    text: Annotated[
        list[Path] | None,
        typer.Option(
            help="UTF-8 text to measure on, repeatable.",
            show_default="58 KB of plain English that come with the package",
        ),
    ] = None,
    window: Annotated[
        int, typer.Option(min=2, help="Tokens read at once; fewer where the model takes fewer.")
    ] = 512,
    stride: Annotated[
        int, typer.Option(min=1, help="Tokens from one window to the next; at most --window.")
    ] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Of the paired bootstrap.")] = 0,
    json_: Json = False,
) -> None:
    """What fine-tuning did to plain English: perplexity and easy questions, run beside base."""
    from glyphsight.evaluate.forgetting import talk as measure

    if stride > window:
        raise typer.BadParameter(f"{stride} exceeds --window {window}", param_hint="--stride")
    found = measure(model, against, text or [], window=window, stride=stride, seed=seed)
    if json_:
        print_json(found.as_json())
    else:
        print_talk(found)


def print_talk(found: Talk) -> None:
    """The figures as a table for a terminal."""
    columns = [found.spoken] if found.base is None else [found.base, found.spoken]
    heads = [found.spoken.model]
    if found.base is not None:
        heads = [f"base {found.base.model}", f"run {found.spoken.model}"]
    wide = max(12, *map(len, heads)) + 2

    def line(name: str, values: list[str]) -> None:
        print(f"{name:<24}" + "".join(f"{value:>{wide}}" for value in values))

    line("", heads)
    line("perplexity a token", [f"{one.perplexity:.2f}" for one in columns])
    line("bits a byte", [f"{one.bits_per_byte:.4f}" for one in columns])
    for kind in found.spoken.kinds():
        shares = [one.kinds()[kind] for one in columns]
        line(f"{kind} right", [f"{s.accuracy * s.n:.0f} of {s.n}" for s in shares])
    totals = [one.questions for one in columns]
    line("questions right", [f"{100 * share.accuracy:.1f} %" for share in totals])
    line("  95 % interval", ["-".join(f"{100 * x:.1f}" for x in s.interval) for s in totals])
    if found.relative_loss is None:
        return
    said = f"{100 * found.relative_loss:+.2f} % bits a byte"
    if found.relative_loss_interval is not None:
        low, high = found.relative_loss_interval
        said += f", 95 % interval {100 * low:+.2f} to {100 * high:+.2f}"
    else:
        said += "; no interval (too short a text, or cut into different tokens)"
    print(f"relative loss           {said}")
    if (pair := found.questions) is not None:
        low, high = pair.interval
        print(
            f"questions               {100 * pair.difference:+.1f} points, 95 % interval "
            f"{100 * low:+.1f} to {100 * high:+.1f}, p = {pair.p_value:.2g}"
        )
