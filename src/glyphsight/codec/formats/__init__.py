"""Formats by name: the project's own, and users' by the entry point group glyphsight.formats.

A format writes a level grid as text and reads it back exactly.
"""

from __future__ import annotations

from functools import lru_cache

from glyphsight.codec.formats.base import Format
from glyphsight.codec.formats.lines import (
    Braille,
    Digits,
    Half,
    Plain,
    Quadrant,
    Rows,
    Seed,
    Spaced,
)
from glyphsight.codec.formats.packed import Coords, Hex, Rle, Trim
from glyphsight.errors import FormatError
from glyphsight.plugins import Registry

_OWN: tuple[type[Format], ...] = (
    *(Seed, Plain, Trim, Rows, Digits, Spaced, Rle, Hex, Coords),
    *(Half, Quadrant, Braille),
)
FORMATS: Registry[Format] = Registry(
    kind="format",
    group="glyphsight.formats",
    own={kind.name: kind for kind in _OWN},
    needed=("name", "cell", "max_levels", "render_batch", "read"),
    module="glyphsight.codec.formats.base",
    error=FormatError,
)


@lru_cache
def get_format(name: str) -> Format:
    """Return the format called ``name``.

    Raises:
        FormatError: No format has that name, or a user's cannot be loaded.
    """
    return FORMATS.make(name)
