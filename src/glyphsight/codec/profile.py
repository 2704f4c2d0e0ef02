"""How a picture becomes text: the settings that decide every byte of an ASCII_Image."""

from __future__ import annotations

from dataclasses import dataclass

from glyphsight.errors import FormatError

CELL_ASPECT = 0.55
"""Width of a terminal cell over its height, as in the published conversion."""


@dataclass(frozen=True)
class Profile:
    """Settings of a conversion. The default is the published one: 20 columns of ``" ▓█"``.

    Attributes:
        width: Columns, at least 1.
        palette: One glyph a level, dark to bright; 2 to 16 different single code points.
        format: Name of the format the grid is written in, see :mod:`glyphsight.codec.formats`.
        filter: Name of the resampling filter, see :mod:`glyphsight.codec.resample`.
    """

    width: int = 20
    palette: str = " ▓█"
    format: str = "seed"
    filter: str = "bicubic"

    def __post_init__(self) -> None:
        if self.width < 1:
            raise FormatError(f"width must be at least 1, not {self.width}")
        if not 2 <= len(self.palette) <= 16:
            raise FormatError(f"a palette has 2 to 16 glyphs, {self.palette!r} has {self.levels}")
        if len(set(self.palette)) != len(self.palette):
            raise FormatError(f"palette {self.palette!r} repeats a glyph; each level needs its own")
        for glyph in self.palette:
            if glyph in "<>\n\r\0":
                raise FormatError(f"palette glyph {glyph!r} would break the row tags; take another")
            if "\ud800" <= glyph <= "\udfff":  # what Python makes of bytes that are not UTF-8
                raise FormatError(f"palette glyph {glyph!r} is no character; give it in UTF-8")

    @property
    def levels(self) -> int:
        """Number of brightness levels."""
        return len(self.palette)

    def rows(self, height: int, width: int) -> int:
        """Rows for a picture of ``height`` x ``width`` pixels: int(columns * H/W * 0.55), min 1."""
        return max(1, int(self.width * height / width * CELL_ASPECT))


PUBLISHED = Profile()
