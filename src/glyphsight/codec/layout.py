"""Layout of the texts of a profile: the characters that may stand at each place."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from glyphsight.codec.formats import get_format
from glyphsight.codec.profile import Profile
from glyphsight.errors import FormatError


@lru_cache(maxsize=16)
def layout_of(profile: Profile) -> tuple[str, ...]:
    """Return the characters that may stand at each place of a text: one mark, or any glyph.

    The picture has the profile's columns (not those by shape) and the rows of a square one. Every
    choice of a character at each place is a text of the format.

    Raises:
        FormatError: Texts of the format differ in length.
    """
    form = get_format(profile.format)
    tall, wide = form.cell
    tiles = np.array(list(product(range(profile.levels), repeat=tall * wide)), dtype=np.uint8)
    size = 1, profile.rows(1, 1), profile.width
    texts = form.render_batch(np.tile(tiles.reshape(-1, tall, wide), size), profile.palette)
    if len(set(map(len, texts))) > 1:
        raise FormatError(
            f"texts of format {profile.format} differ in length, so none can be drawn in it; take "
            "seed or plain"
        )
    return tuple("".join(dict.fromkeys(column)) for column in zip(*texts, strict=True))


UNKNOWN_GLYPH = "?"
"""Glyph that is not known, in a text to complete."""


def places_left(text: str, profile: Profile) -> tuple[str, ...]:
    """Return the characters that may stand at each place of a text that is only partly there.

    Args:
        text: Rows of an ASCII_Image from the top. A row that is not there is an empty line or,
            where rows are numbered, no line at all; ``?`` is a glyph that is not known.
        profile: Profile of the text.

    Raises:
        FormatError: A line fits no row that is left; names the line.
    """
    places = list(layout_of(profile))
    ends = [at + 1 for at, one in enumerate(places) if one == "\n"]
    rows = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    row = 0
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        if line:
            left = range(row, len(rows))
            row = next((own for own in left if _fits(line, places[rows[own]])), -1)
            if row < 0:
                raise FormatError(
                    f"is none of the {len(rows)} rows of {profile.width} glyphs of "
                    f"{profile.palette!r} that may stand here; give rows as the model writes them, "
                    f"{UNKNOWN_GLYPH} for a glyph that is not known",
                    number,
                )
            places[rows[row]] = [
                one if wanted == UNKNOWN_GLYPH and wanted not in one else wanted
                for wanted, one in zip(f"{line}\n", places[rows[row]], strict=True)
            ]
        row += 1
    return tuple(places)


def _fits(line: str, places: list[str]) -> bool:
    return len(line) + 1 == len(places) and all(
        wanted in one or (wanted == UNKNOWN_GLYPH and len(one) > 1)
        for wanted, one in zip(line, places, strict=False)
    )
