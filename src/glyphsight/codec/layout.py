"""Layout of the texts of a profile: the characters that may stand at each place."""

from __future__ import annotations

from collections.abc import Sequence
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
    choice of a character at each place is a text of the format. There are as many places as a text
    of such a picture has characters, line ends included.

    Raises:
        FormatError: Texts of the format differ in length, or a glyph is not that of one cell.
    """
    form = get_format(profile.format)
    tall, wide = form.cell
    tiles = np.array(list(product(range(profile.levels), repeat=tall * wide)), dtype=np.uint8)
    size = 1, profile.rows(1, 1), profile.width
    grids = np.tile(tiles.reshape(-1, tall, wide), size)
    texts = form.render_batch(grids, profile.palette)
    # Beside tiles that are all alike, cells that differ: a digit of hex holds several.
    mixed = np.random.default_rng(0).integers(profile.levels, size=grids.shape[1:], dtype=np.uint8)
    [varied] = form.render_batch(mixed[None], profile.palette)
    places = tuple("".join(dict.fromkeys(column)) for column in zip(*texts, strict=False))
    alike = {len(one) for one in (*texts, varied)} == {len(places)}
    if not alike or any(glyph not in one for glyph, one in zip(varied, places, strict=True)):
        raise FormatError(
            f"format {profile.format} has no place of its own for each glyph, so nothing can be "
            "drawn in it; take seed or plain"
        )
    return places


UNKNOWN_GLYPH = "?"  # glyph that is not known, in a text to complete


def places_left(text: str, profile: Profile) -> tuple[str, ...]:
    """Return the characters that may stand at each place of a text that is only partly there.

    Args:
        text: Rows of an ASCII_Image from the top; blanks at the end of a row may be left out. A row
            that is not there is an empty line or, where rows are numbered, no line at all; ``?`` is
            a glyph that is not known.
        profile: Profile of the text.

    Returns:
        Characters of each place, as many places as :func:`layout_of` gives.

    Raises:
        FormatError: A line fits no row that is left; names the line.
    """
    places = list(layout_of(profile))
    ends = [at + 1 for at, one in enumerate(places) if one == "\n"]
    rows = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if len(lines) > len(rows) and not any(lines):
        raise FormatError(
            f"all {len(lines)} lines are empty, a drawing has {len(rows)} rows; give those that "
            "are known",
            len(rows) + 1,
        )
    row = 0
    for number, line in enumerate(lines, start=1):
        if line:
            row = next((at for at in range(row, len(rows)) if _fits(line, places[rows[at]])), -1)
            if row < 0:
                example = "".join(one[0] if len(one) == 1 else one[-1] for one in places[rows[0]])
                raise FormatError(
                    f"{line!r} has {len(line)} characters and is no row that may stand here: there "
                    f"are {len(rows)}, of {profile.width} glyphs of {profile.palette!r}, such as "
                    f"{example[:-1]!r}; {UNKNOWN_GLYPH} is a glyph that is not known",
                    number,
                )
            own = places[rows[row]]
            places[rows[row]] = [
                one if wanted == UNKNOWN_GLYPH and wanted not in one else wanted
                for wanted, one in zip(_whole(line, own), own, strict=True)
            ]
        row += 1
    return tuple(places)


def _whole(line: str, places: Sequence[str]) -> str:
    """Return a row with its line end, and the blanks at its end that an editor took."""
    cut = all(" " in one for one in places[len(line) : -1])
    return (line.ljust(len(places) - 1) if cut else line) + "\n"


def _fits(line: str, places: Sequence[str]) -> bool:
    whole = _whole(line, places)
    return len(whole) == len(places) and all(
        wanted in one or (wanted == UNKNOWN_GLYPH and len(one) > 1)
        for wanted, one in zip(whole, places, strict=True)
    )
