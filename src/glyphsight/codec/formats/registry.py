"""Formats by name: the project's own, and users' by the entry point group glyphsight.formats."""

from __future__ import annotations

from functools import lru_cache

from glyphsight.codec.formats.base import Format
from glyphsight.codec.formats.blocks import Braille, Half, Quadrant
from glyphsight.codec.formats.glyphs import Digits, Plain, Rows, Spaced
from glyphsight.codec.formats.packed import Coords, Hex, Rle, Trim
from glyphsight.codec.formats.seed import Seed
from glyphsight.errors import FormatError
from glyphsight.plugins import make_plugin, plugin_lines, plugins

GROUP = "glyphsight.formats"
_OWN: tuple[type[Format], ...] = (
    *(Seed, Plain, Trim, Rows, Digits, Spaced, Rle, Hex, Coords),
    *(Half, Quadrant, Braille),
)
_NAMES = [kind.name for kind in _OWN]
_NEEDED = ("name", "cell", "max_levels", "render_batch", "read")


def format_names() -> list[str]:
    """Names of all formats that can be had, the project's own first."""
    return [*_NAMES, *plugins(GROUP, _NAMES)]


def format_help() -> str:
    """A line for each format, its name and what it is, for help texts."""
    lines = [f"{kind.name}: {(kind.__doc__ or '').splitlines()[0]}" for kind in _OWN]
    return "\n".join([*lines, *plugin_lines(plugins(GROUP, _NAMES))])


@lru_cache
def get_format(name: str) -> Format:
    """The format called ``name``.

    Raises:
        FormatError: There is none of that name, or a user's cannot be loaded.
    """
    for kind in _OWN:
        if kind.name == name:
            return kind()
    if point := plugins(GROUP, _NAMES).get(name):
        found: Format = make_plugin(
            point, "format glyphsight.codec.formats.base", _NEEDED, FormatError
        )
        return found
    raise FormatError(f"unknown format {name!r}; there is {', '.join(format_names())}")
