"""``glyphsight hear``: the model's answers to sounds; ``see`` with another model."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from glyphsight.cli.see import see
from glyphsight.models.runs import HEARING

_MODEL = (
    "hearing: a small model, trained on spoken digits; or a run directory, from glyphsight train "
    "--source audiofolder:DIR."
)
_SOUNDS = "Sounds, folders (with all below), globs; - is standard input."
_CHANGED: dict[str, tuple[Any, Any]] = {  # what is other than of ``see``: type and default
    "images": (Annotated[list[str] | None, typer.Argument(help=_SOUNDS)], None),
    "model": (Annotated[str, typer.Option(help=_MODEL)], HEARING),
}


def hear(**given: Any) -> None:
    """Print what a trained model hears in each sound, with probabilities.

    Example:
        glyphsight hear seven.wav
    """
    see(**given)


_signature = inspect.signature(see)
hear.__signature__ = _signature.replace(  # type: ignore[attr-defined]
    parameters=[
        one.replace(annotation=_CHANGED[name][0], default=_CHANGED[name][1])
        if name in _CHANGED
        else one
        for name, one in _signature.parameters.items()
    ]
)
hear.__annotations__ = see.__annotations__ | {name: kind for name, (kind, _) in _CHANGED.items()}
hear.kinds = see.kinds  # type: ignore[attr-defined]
