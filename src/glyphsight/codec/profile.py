"""Settings that decide every byte of an ASCII_Image."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.codec.resample import FILTERS
from glyphsight.errors import FormatError
from glyphsight.settings import check, setting

CELL_ASPECT = 0.55  # width of a terminal cell over its height, as in the published conversion

PALETTES = {
    "seed": " ▓█",
    "blocks": " ░▒▓█",
    "ascii": " .:-=+*#%@",  # Bourke 1997, the short ramp
    "digits": "0123456789abcdef",
}
"""Named palettes, dark to bright."""

_THRESHOLDS = ("equal", "otsu", "adaptive")


def parse_thresholds(text: str) -> str | tuple[int, ...]:
    """Read ``"80,160"`` as numbers; a name stays as it is."""
    parts: Sequence[str] = text.split(",")
    if all(re.fullmatch(r"\s*\d{1,9}\s*", part, re.ASCII) for part in parts):
        return tuple(int(part) for part in parts)
    return text


@dataclass(frozen=True)
class Profile:
    """Settings of a conversion. The default is the published one: 20 columns of ``" ▓█"``.

    Attributes:
        width: Number of columns.
        palette: Glyph of each level, dark to bright: 2 to 16 different characters, or a name: seed
            (the published one), blocks, ascii, digits.
        format: Format of the text; seed is the published one. glyphsight encode --help explains
            all.
        filter: Resampling filter.
        height: Number of rows; left out, it follows from the picture's shape and the aspect.
        widest: Most columns of a wide picture, such as a word: one that needs more than twice
            width to keep its shape has as many as it needs, up to this; height must be given.
            Left out, every picture has width columns.
        aspect: Width of a glyph over its height; 1 for square cells.
        invert: Polarity: yes turns every picture, auto the pictures that are dark on light, so
            that ink is bright.
        ink: Search for the ink first: shadow, paper, ruled lines and the desk around a sheet are
            taken away, and thin and thick strokes brought to an even width; bright ink on black is
            left. Pictures whose longer side is below 48 pixels stay as they are.
        paper: Search for all ink where the ground is uneven, as on photographed paper, and leave
            it as it is drawn, bright on black; a picture on an even ground, or with a longer side
            below 48 pixels, stays as it is.
        centre: Content scaled to a 20x20 box and its centre of mass moved to the middle of 28x28
            pixels, as MNIST's digits have it, unless it lies so already.
        trim: Cut of the quiet beginning and end of a sound: the moments of its spectrogram that
            are more than this many decibels below the loudest one; left out, the whole sound.
        crop: Margin around the content that the picture is cropped to, as a share of the
            content's longer side; left out, the whole picture.
        contrast: Stretch of the gray values, so that the darkest and the brightest hundredth are
            black and white.
        threshold: Gray values between the levels: equal steps, otsu (by the picture's histogram),
            adaptive (against the mean of the surroundings), or increasing numbers 1 to 255, one
            fewer than levels, such as 80,160.
        dither: Mix levels to keep the mean brightness of a region; with equal levels only.
        edges: Edges in place of brightness: sobel by the gradient, dog by the difference of
            Gaussians.
    """

    width: int = setting(20, low=1)
    palette: str = PALETTES["seed"]
    format: str = setting("seed", choices=FORMATS)
    filter: str = setting("bicubic", choices=FILTERS)
    height: int | None = setting(None, low=1)
    widest: int | None = setting(None, low=1)
    aspect: float = setting(CELL_ASPECT, above=0)
    invert: str = setting("no", choices=("no", "yes", "auto"))
    ink: bool = False
    paper: bool = False
    centre: bool = False
    trim: float | None = setting(None, above=0, high=60)
    crop: float | None = setting(None, low=0, high=1)
    contrast: bool = False
    threshold: str | tuple[int, ...] = setting("equal", read=parse_thresholds)
    dither: str = setting("none", choices=("none", "ordered", "floyd-steinberg"))
    edges: str = setting("none", choices=("none", "sobel", "dog"))

    def __post_init__(self) -> None:
        if isinstance(self.threshold, list):  # as JSON hands tuples back
            object.__setattr__(self, "threshold", tuple(self.threshold))
        object.__setattr__(self, "palette", PALETTES.get(self.palette, self.palette))
        check(self, FormatError)
        get_format(self.format)  # an unknown one is refused at once
        _check_palette(self.palette)
        self._check_threshold()
        if self.ink and self.paper:
            raise FormatError("ink finds the main thing, paper all ink; leave one of them out")
        if self.widest is not None and (self.height is None or self.widest <= 2 * self.width):
            raise FormatError(
                f"widest {self.widest} needs a height and more than {2 * self.width} "
                "columns; give both, or leave widest out"
            )

    def _check_threshold(self) -> None:
        if isinstance(self.threshold, str):
            if self.threshold not in _THRESHOLDS:
                raise FormatError(
                    f"unknown threshold {self.threshold!r}; give one of "
                    f"{', '.join(_THRESHOLDS)}, or numbers"
                )
        elif (
            sorted(set(self.threshold)) != list(self.threshold)
            or not all(type(value) is int and 1 <= value <= 255 for value in self.threshold)
            or len(self.threshold) != self.levels - 1
        ):
            raise FormatError(
                f"thresholds {list(self.threshold)} do not fit {self.levels} levels; give "
                f"{self.levels - 1} increasing whole numbers 1 to 255"
            )
        if self.dither != "none" and self.threshold != "equal":
            raise FormatError("dither works with equal levels only; leave threshold or dither out")

    @property
    def seeks_ink(self) -> bool:
        """True where ink is sought: the main thing, or all on uneven ground."""
        return self.ink or self.paper

    @property
    def levels(self) -> int:
        """Number of brightness levels."""
        return len(self.palette)

    def rows(self, height: int, width: int) -> int:
        """Count the rows of a picture of ``height`` x ``width`` pixels.

        The profile's own ``height``, else int(columns * H/W * aspect), at least 1.
        """
        if self.height is not None:
            return self.height
        return max(1, int(self.width * height / width * self.aspect))

    def columns(self, height: int, width: int) -> int:
        """Count the columns of a picture of ``height`` x ``width`` pixels."""
        if self.widest is None or self.height is None:
            return self.width
        columns = min(round(self.height * width / height / self.aspect), self.widest)
        return columns if self.has_columns(columns) else self.width

    def has_columns(self, columns: int) -> bool:
        """Return whether pictures may have that many columns."""
        wide = self.widest is not None and 2 * self.width < columns <= self.widest
        return wide or columns == self.width


def _glyph_problem(glyph: str) -> str | None:
    """Say why a code point cannot be a glyph; None where it can."""
    code = f"U+{ord(glyph):04X}"
    category = unicodedata.category(glyph)
    if glyph in "<>\n\r\0":
        return f"palette glyph {glyph!r} would break the row tags; take another"
    if category == "Cs":  # what Python makes of bytes that are not UTF-8
        return f"palette glyph {glyph!r} is no character; give it in UTF-8"
    if category in ("Cc", "Cf", "Zl", "Zp") and glyph != "\u200d":
        return f"palette glyph {code} is a control character; take one that can be seen"
    if 0xFE00 <= ord(glyph) <= 0xFE0F or 0xE0100 <= ord(glyph) <= 0xE01EF:
        kind = "a variation selector"
    elif category in ("Mn", "Mc", "Me"):
        kind = "a combining mark"
    elif glyph == "\u200d" or 0x1F3FB <= ord(glyph) <= 0x1F3FF or 0x1F1E6 <= ord(glyph) <= 0x1F1FF:
        kind = "part of an emoji sequence"
    else:
        return None
    return (
        f"palette holds {code}, {kind}, which joins with its neighbour; "
        "take a single code point that stands alone"
    )


def _check_palette(palette: str) -> None:
    """Refuse glyphs that could not be told apart or read back.

    Wide glyphs, such as squares in colour, are taken: a model reads code points, not columns.

    Raises:
        FormatError: Says which glyph and why.
    """
    for glyph in palette:
        if problem := _glyph_problem(glyph):
            raise FormatError(problem)
    if not 2 <= len(palette) <= 16:
        raise FormatError(f"palette {palette!r} has {len(palette)} glyphs; give 2 to 16")
    if len(set(palette)) != len(palette):
        raise FormatError(
            f"palette {palette!r} repeats a glyph; give each level its own, or a name of "
            f"{', '.join(PALETTES)}"
        )


def palette_of_levels(levels: int, palette: str | None = None) -> str:
    """Pick glyphs evenly from a named palette, both ends kept.

    Args:
        levels: Number of glyphs, 2 to 16.
        palette: Name of a palette, or the glyphs themselves; None for the first of ``PALETTES``
            that has enough.

    Raises:
        FormatError: The palette does not have that many glyphs.
    """
    if not 2 <= levels <= 16:
        raise FormatError(f"{levels} levels are outside the limits; give 2 to 16")
    if palette is None:
        palette = next(glyphs for glyphs in PALETTES.values() if len(glyphs) >= levels)
    elif palette not in PALETTES and len(palette) != levels:
        raise FormatError(
            f"palette {palette!r} has {len(palette)} glyphs for {levels} levels; leave one out"
        )
    ramp = PALETTES.get(palette, palette)
    if ramp == PALETTES["digits"]:  # a digit is its level
        return ramp[:levels]
    if len(ramp) < levels:
        raise FormatError(
            f"palette {palette!r} has {len(ramp)} glyphs for {levels} levels; give "
            "digits, which has 16"
        )
    last = len(ramp) - 1
    return "".join(ramp[(2 * i * last + levels - 1) // (2 * (levels - 1))] for i in range(levels))


PUBLISHED = Profile()
