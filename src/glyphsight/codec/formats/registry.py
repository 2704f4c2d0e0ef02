"""Formats by name: the project's own, and users' by the entry point group glyphsight.formats."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from glyphsight.codec.formats.base import Format
from glyphsight.codec.formats.blocks import Braille, Half, Quadrant
from glyphsight.codec.formats.glyphs import Digits, Plain, Rows, Spaced
from glyphsight.codec.formats.packed import Coords, Hex, Rle, Trim
from glyphsight.codec.formats.seed import Seed
from glyphsight.errors import FormatError

GROUP = "glyphsight.formats"
_OWN: tuple[type[Format], ...] = (
    *(Seed, Plain, Trim, Rows, Digits, Spaced, Rle, Hex, Coords),
    *(Half, Quadrant, Braille),
)


def _foreign() -> dict[str, EntryPoint]:
    """Users' formats by name; a name of the project's own is never taken."""
    own = {kind.name for kind in _OWN}
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name not in own:
            found.setdefault(point.name, point)
    return found


def format_names() -> list[str]:
    """Names of all formats that can be had, the project's own first."""
    return [kind.name for kind in _OWN] + list(_foreign())


def format_help() -> str:
    """A line for each format, its name and what it is, for help texts."""
    lines = [f"{kind.name}: {(kind.__doc__ or '').splitlines()[0]}" for kind in _OWN]
    for name, point in _foreign().items():
        lines.append(f"{name}: From {point.dist.name if point.dist else point.value}.")
    return "\n".join(lines)


def _load(point: EntryPoint) -> Format:
    where = f"format {point.name!r} of {point.dist.name if point.dist else point.value}"
    try:
        found: Any = point.load()()
    except Exception as error:  # another's code may raise anything
        raise FormatError(f"{where} cannot be loaded ({error!r}); mend or remove it") from error
    needed = ("name", "cell", "max_levels", "render_batch", "read")
    if missing := [name for name in needed if not hasattr(found, name)]:
        raise FormatError(f"{where} has no {', '.join(missing)}; see glyphsight.codec.formats.base")
    form: Format = found
    return form


@lru_cache
def get_format(name: str) -> Format:
    """The format called ``name``.

    Raises:
        FormatError: There is none of that name, or a user's cannot be loaded.
    """
    for kind in _OWN:
        if kind.name == name:
            return kind()
    if point := _foreign().get(name):
        return _load(point)
    raise FormatError(f"unknown format {name!r}; there is {', '.join(format_names())}")
