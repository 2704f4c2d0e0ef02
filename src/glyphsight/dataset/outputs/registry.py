"""Outputs by name: the project's own, and users' by the entry point group glyphsight.outputs."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from itertools import chain
from typing import Any

from glyphsight.dataset.outputs.base import Output
from glyphsight.dataset.outputs.lines import ChatLines, PromptLines
from glyphsight.dataset.outputs.parquet import Hub, Parquet
from glyphsight.dataset.outputs.published import Published
from glyphsight.errors import DatasetError

GROUP = "glyphsight.outputs"
_OWN: tuple[type[Output], ...] = (Published, PromptLines, ChatLines, Parquet, Hub)


def _foreign() -> dict[str, EntryPoint]:
    """Users' outputs by name; a name of the project's own is never taken."""
    own = {kind.name for kind in _OWN}
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name not in own:
            found.setdefault(point.name, point)
    return found


def output_names() -> list[str]:
    """Names of all outputs that can be had, the project's own first."""
    return [kind.name for kind in _OWN] + list(_foreign())


def output_help() -> str:
    """A line for each output, its name and what it is, for help texts."""
    lines = [f"{kind.name}: {(kind.__doc__ or '').splitlines()[0]}" for kind in _OWN]
    for name, point in _foreign().items():
        lines.append(f"{name}: From {point.dist.name if point.dist else point.value}.")
    return "\n".join(lines)


def _load(point: EntryPoint) -> Output:
    where = f"output {point.name!r} of {point.dist.name if point.dist else point.value}"
    try:
        found: Any = point.load()()
    except Exception as error:  # another's code may raise anything
        raise DatasetError(f"{where} cannot be loaded ({error!r}); mend or remove it") from error
    needed = (*Output.__annotations__, "write", "read")
    if missing := [name for name in needed if not hasattr(found, name)]:
        raise DatasetError(
            f"{where} has no {', '.join(missing)}; see glyphsight.dataset.outputs.base"
        )
    output: Output = found
    return output


@lru_cache
def get_output(name: str) -> Output:
    """The output called ``name``.

    Raises:
        DatasetError: There is none of that name, or a user's cannot be loaded.
    """
    for kind in _OWN:
        if kind.name == name:
            return kind()
    if point := _foreign().get(name):
        return _load(point)
    raise DatasetError(f"unknown output {name!r}; there is {', '.join(output_names())}")


def output_of_suffix(suffix: str) -> Output | None:
    """The first output whose files end in ``suffix``, None where there is none.

    Raises:
        DatasetError: A user's output cannot be loaded.
    """
    every = chain((kind() for kind in _OWN), map(get_output, _foreign()))
    return next((output for output in every if output.suffix == suffix), None)
