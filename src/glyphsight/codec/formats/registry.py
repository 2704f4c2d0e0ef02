"""Formats by name: the project's own, and users' by the entry point group glyphsight.formats."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points

from glyphsight.codec.formats.base import Format
from glyphsight.codec.formats.seed import Seed
from glyphsight.errors import FormatError

GROUP = "glyphsight.formats"
_OWN: tuple[type[Format], ...] = (Seed,)


def format_names() -> list[str]:
    """Names of all formats that can be had, the project's own first."""
    own = [kind.name for kind in _OWN]
    return own + [point.name for point in entry_points(group=GROUP) if point.name not in own]


@lru_cache
def get_format(name: str) -> Format:
    """The format called ``name``.

    Raises:
        FormatError: There is none of that name.
    """
    for kind in _OWN:
        if kind.name == name:
            return kind()
    for point in entry_points(group=GROUP):
        if point.name == name:
            found: Format = point.load()()
            return found
    raise FormatError(f"unknown format {name!r}; there is {', '.join(format_names())}")
