"""``glyphsight hear``: the model's answers to sounds; ``see`` with another model."""

from __future__ import annotations

import inspect
from copy import copy
from typing import Annotated, Any, get_args

from typer.models import ArgumentInfo, OptionInfo

from glyphsight.cli.options import FROM_FILE
from glyphsight.cli.see import see
from glyphsight.models.runs import HEARING

_MODEL = (
    "hearing: a small model, trained on spoken digits; or a run directory, from glyphsight train "
    "--source audiofolder:DIR."
)


def hear(**given: Any) -> None:
    """Print what a trained model hears in each sound, with probabilities.

    Example:
        glyphsight hear seven.wav
    """
    see(**given)


def _heard(one: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter of ``see`` that speaks of sounds; what is of pictures alone is hidden."""
    kind, ours = get_args(one.annotation)
    info: ArgumentInfo | OptionInfo = copy(ours)
    info.help = (info.help or "").replace("picture", "sound").replace("Picture", "Sound")
    info.hidden = info.rich_help_panel == FROM_FILE.title
    if isinstance(info, ArgumentInfo):
        info.metavar = "SOUNDS"
    if one.name == "model":
        info.help = _MODEL
        one = one.replace(default=HEARING)
    return one.replace(annotation=Annotated[kind, info])


_signature = inspect.signature(see)
_parameters = [_heard(one) for one in _signature.parameters.values()]
hear.__signature__ = _signature.replace(parameters=_parameters)  # type: ignore[attr-defined]
hear.__annotations__ = {one.name: one.annotation for one in _parameters}
