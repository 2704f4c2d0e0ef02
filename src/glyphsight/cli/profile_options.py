"""The options that say how a picture becomes text, for every command that encodes pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.profile import palette_of_levels, parse_thresholds, setting_help

_HELP = setting_help()

Width = Annotated[
    int | None, typer.Option(help=_HELP.get("width"), show_default=str(PUBLISHED.width))
]
Height = Annotated[int | None, typer.Option(help=_HELP.get("height"))]
Aspect = Annotated[float, typer.Option(help=_HELP.get("aspect"))]
Palette = Annotated[
    str | None, typer.Option(help=_HELP.get("palette"), show_default=repr(PUBLISHED.palette))
]
Levels = Annotated[
    int | None, typer.Option(help="Pick so many glyphs, 2 to 16, from a named palette.")
]
Format = Annotated[str, typer.Option("--format", help=_HELP.get("format"))]
Filter = Annotated[str, typer.Option("--filter", help=_HELP.get("filter"))]
Invert = Annotated[str, typer.Option(help=_HELP.get("invert"))]
Crop = Annotated[float | None, typer.Option(help=_HELP.get("crop"))]
Contrast = Annotated[bool, typer.Option("--contrast", help=_HELP.get("contrast"))]
Threshold = Annotated[str, typer.Option(help=_HELP.get("threshold"))]
Dither = Annotated[str, typer.Option(help=_HELP.get("dither"))]
Edges = Annotated[str, typer.Option(help=_HELP.get("edges"))]


def chosen_profile(
    width: int | None,
    height: int | None,
    aspect: float,
    palette: str | None,
    levels: int | None,
    format_: str,
    filter_: str,
    invert: str,
    crop: float | None,
    contrast: bool,
    threshold: str,
    dither: str,
    edges: str,
) -> Profile:
    """The profile that the options describe.

    Raises:
        FormatError: There is no such profile.
    """
    if levels is not None:
        palette = palette_of_levels(levels, palette)
    return Profile(
        width=PUBLISHED.width if width is None else width,
        palette=PUBLISHED.palette if palette is None else palette,
        format=format_,
        filter=filter_,
        height=height,
        aspect=aspect,
        invert=invert,
        crop=crop,
        contrast=contrast,
        threshold=parse_thresholds(threshold),
        dither=dither,
        edges=edges,
    )
