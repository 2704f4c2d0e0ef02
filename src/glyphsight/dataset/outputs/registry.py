"""Outputs by name: the project's own, and users' by the entry point group glyphsight.outputs."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain

from glyphsight.dataset.outputs.base import Output
from glyphsight.dataset.outputs.lines import ChatLines, PromptLines
from glyphsight.dataset.outputs.parquet import Hub, Parquet
from glyphsight.dataset.outputs.published import Published
from glyphsight.errors import DatasetError
from glyphsight.plugins import make_plugin, plugin_lines, plugins

GROUP = "glyphsight.outputs"
_OWN: tuple[type[Output], ...] = (Published, PromptLines, ChatLines, Parquet, Hub)
_NAMES = [kind.name for kind in _OWN]
_NEEDED = (*Output.__annotations__, "write", "read")


def output_names() -> list[str]:
    """Names of all outputs that can be had, the project's own first."""
    return [*_NAMES, *plugins(GROUP, _NAMES)]


def output_help() -> str:
    """A line for each output, its name and what it is, for help texts."""
    lines = [f"{kind.name}: {(kind.__doc__ or '').splitlines()[0]}" for kind in _OWN]
    return "\n".join([*lines, *plugin_lines(plugins(GROUP, _NAMES))])


@lru_cache
def get_output(name: str) -> Output:
    """The output called ``name``.

    Raises:
        DatasetError: There is none of that name, or a user's cannot be loaded.
    """
    for kind in _OWN:
        if kind.name == name:
            return kind()
    if point := plugins(GROUP, _NAMES).get(name):
        found: Output = make_plugin(
            point, "output glyphsight.dataset.outputs.base", _NEEDED, DatasetError
        )
        return found
    raise DatasetError(f"unknown output {name!r}; there is {', '.join(output_names())}")


def output_of_suffix(suffix: str) -> Output | None:
    """The first output whose files end in ``suffix``, None where there is none.

    Raises:
        DatasetError: A user's output cannot be loaded.
    """
    every = chain((kind() for kind in _OWN), map(get_output, plugins(GROUP, _NAMES)))
    return next((output for output in every if output.suffix == suffix), None)
