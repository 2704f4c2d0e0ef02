"""Changes to the text of a picture, after the codec.

Each takes a text and its level grid uint8[rows, columns], the profile it was written in, a strength
and a random generator, and gives the changed text. What a format cannot carry is a FormatError,
whatever the grid.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.codec.cells import row_lines
from glyphsight.codec.formats import get_format
from glyphsight.codec.profile import palette_of_levels
from glyphsight.errors import FormatError

Levels = NDArray[np.uint8]

_TAGGED = ("seed", "rows")
_RAMPS = ("ascii", "blocks", "digits")


def _write(levels: Levels, profile: Profile) -> str:
    return get_format(profile.format).render_batch(levels[None], profile.palette)[0]


def _other_palette(palette: str) -> str:
    """As many other glyphs: the first named palette that shares no glyph with it but the darkest.

    Raises:
        FormatError: Each shares one.
    """
    for name in _RAMPS:
        try:
            other = palette_of_levels(len(palette), name)
        except FormatError:  # too few glyphs
            continue
        if not set(other[1:]) & set(palette):
            return other
    raise FormatError(f"no named palette is without the glyphs of {palette!r}")


def other_glyphs(
    text: str, levels: Levels, profile: Profile, strength: float, rng: np.random.Generator
) -> str:
    """The same grid in glyphs that the model was not taught; the darkest may stay a space."""
    other = replace(profile, palette=_other_palette(profile.palette))
    probe = np.full(get_format(profile.format).cell, profile.levels - 1, dtype=np.uint8)
    if _write(probe, profile) == _write(probe, other):
        raise FormatError(f"format {profile.format} writes the same text whatever the glyphs")
    return _write(levels, other)


def no_row_tags(
    text: str, levels: Levels, profile: Profile, strength: float, rng: np.random.Generator
) -> str:
    """The same grid as ``plain``: its glyphs, a line a row, without tags or numbers."""
    if profile.format not in _TAGGED:
        raise FormatError(
            f"format {profile.format} has no row tags to leave out; {' and '.join(_TAGGED)} have"
        )
    return _write(levels, replace(profile, format="plain"))


def rows_dropped(
    text: str, levels: Levels, profile: Profile, strength: float, rng: np.random.Generator
) -> str:
    """A share ``strength`` of the lines lost with their tags, at random; the others stay as is."""
    before, lines = row_lines(text, profile.format)
    lost = min(len(lines) - 1, max(1, round(strength * len(lines))))
    kept = np.sort(rng.permutation(len(lines))[lost:]).tolist()
    return "".join(before + [lines[row] for row in kept])


def rows_swapped(
    text: str, levels: Levels, profile: Profile, strength: float, rng: np.random.Generator
) -> str:
    """So many pairs of neighbouring rows of glyphs exchanged, tags in order, no row twice."""
    tall = get_format(profile.format).cell[0]
    rows = len(levels) // tall
    order = np.arange(rows)
    free = np.ones(rows, dtype=bool)
    left = int(strength)
    for row in rng.permutation(max(0, rows - 1)).tolist():
        if left and free[row] and free[row + 1]:
            order[row], order[row + 1] = row + 1, row
            free[row] = free[row + 1] = False
            left -= 1
    return _write(levels.reshape(rows, tall, -1)[order].reshape(levels.shape), profile)


def cell_salt(
    text: str, levels: Levels, profile: Profile, strength: float, rng: np.random.Generator
) -> str:
    """A share ``strength`` of the cells, drawn one by one, of the brightest level."""
    bright = np.uint8(profile.levels - 1)
    return _write(np.where(rng.random(levels.shape) < strength, bright, levels), profile)
