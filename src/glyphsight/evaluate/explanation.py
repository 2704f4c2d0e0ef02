"""Attributions drawn over the picture: blue speaks for the answer, orange against it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.ImageColor import getrgb

from glyphsight.codec import Profile, decode, resize
from glyphsight.codec.prepare import prepare_things
from glyphsight.codec.things import Inks
from glyphsight.dataset.inspect.items import cell_ratio
from glyphsight.errors import FormatError
from glyphsight.evaluate.attribution import Attribution, gradient, occlusion
from glyphsight.inference.answer import Answer
from glyphsight.models import LoadedModel
from glyphsight.models.runs import Task
from glyphsight.pages import TONES, png, png_address

Colours = NDArray[np.uint8]

_SMALL, _LARGE = 160, 480  # pixels of the longer side
_INK = 0.35  # how dark the picture's white is drawn under the colours
_CELL = 8  # pixels of a cell's width in a picture made of cells
_SHOWN = 3  # likeliest labels in the title
_LONG = 16  # letters of a label that a legend has no room for


def cells_picture(text: str, profile: Profile) -> NDArray[np.uint8]:
    """Draw the cells of a text in their true shape, uint8[H, W].

    Raises:
        FormatError: The text is no ASCII_Image of the profile.
    """
    height = max(1, round(_CELL / cell_ratio(profile)))
    return decode(text, profile).repeat(height, axis=0).repeat(_CELL, axis=1)


def _shaded(pixels: NDArray[np.uint8], attribution: Attribution, longest: int) -> Colours:
    """Draw the picture in light gray and each cell's colour over it, uint8[H, W, 3]."""
    height, width = pixels.shape
    scale = longest / max(height, width)
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    ground = 255 - _INK * resize(pixels[None], height, width)[0].astype(np.float64)
    rows, columns = attribution.cells.shape
    down, across = np.arange(height) * rows // height, np.arange(width) * columns // width
    strongest = float(np.abs(attribution.cells).max()) or 1.0
    value = (attribution.cells / strongest)[down[:, None], across]
    speaks_for, against = getrgb(TONES["accent"]), getrgb(TONES["second"])
    colour = np.where(value[..., None] > 0, speaks_for, against)
    cover = np.abs(value)[..., None]
    mixed: Colours = np.round(ground[..., None] * (1 - cover) + colour * cover).astype(np.uint8)
    return mixed


def attribution_png(pixels: NDArray[np.uint8], attribution: Attribution) -> str:
    """Draw an attribution over its picture, uint8[H, W], small, as a ``data:`` address."""
    return png_address(_shaded(pixels, attribution, _SMALL))


def _bare(drawn: Any, title: str, below: str) -> None:
    """Write words above and below axes without numbers."""
    drawn.set_title(title, fontsize=11, parse_math=False)
    drawn.set_xlabel(below, fontsize=8.5, color="#444444", parse_math=False)
    drawn.set(xticks=[], yticks=[])


def _draw_attribution(drawn: Any, bar: Any, pixels: Any, attribution: Attribution) -> None:
    """Draw an attribution, and the scale of its colours in axes of its own."""
    from matplotlib.colors import LinearSegmentedColormap

    drawn.imshow(_shaded(pixels, attribution, _LARGE))
    colours = LinearSegmentedColormap.from_list(
        "against-for", [TONES["second"], "white", TONES["accent"]]
    )
    bar.imshow(np.linspace(-1, 1, 256)[None], cmap=colours, aspect="auto", extent=(-1, 1, 0, 1))
    label = attribution.label if len(attribution.label) < _LONG else "it"
    words = [f"against {label}", "nothing", f"for {label}"]
    bar.set_xticks([-0.8, 0, 0.8], words, fontsize=9, parse_math=False)
    bar.set_yticks([])
    bar.tick_params(length=0)
    for spine in bar.spines.values():
        spine.set_visible(False)


def _draw_ink(drawn: Any, found: Inks, answer: Answer, shape: tuple[int, ...]) -> None:
    """Colour the ink found in a picture, with a box around each thing, numbered if several."""
    for ink in found.things:
        top, bottom, left, right = (edge - 0.5 for edge in ink.box)
        colour = np.zeros((*ink.mask.shape, 4), dtype=np.uint8)
        colour[ink.mask] = *getrgb(TONES["second"]), 150
        drawn.imshow(colour, extent=(left, right, bottom, top))
    for number, box in enumerate((one.box for one in answer.things), start=1):
        if box is None:
            continue
        top, bottom, left, right = (edge - 0.5 for edge in box)
        edges = [left, right, right, left, left], [top, top, bottom, bottom, top]
        drawn.plot(*edges, color=TONES["second"], linewidth=2)
        if answer.parts:
            plate = {"facecolor": TONES["second"], "edgecolor": "none", "pad": 1.5}
            drawn.text(left, top, str(number), color="white", fontsize=10, va="bottom", bbox=plate)
    drawn.set(xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))


def _caption(attribution: Attribution) -> tuple[str, str]:
    """Give the title of an attribution and the meaning of its colours."""
    label = attribution.label if len(attribution.label) < _LONG else "the answer"
    if attribution.method == "gradient":
        return (
            "what each token did, estimated",
            "gradient x embedding of each token, over its cells",
        )
    strongest = float(attribution.cells.max())
    fold = math.exp(min(strongest, 30.0))
    times = f"{float(f'{fold:.2g}'):,.10g}"  # two digits, and no exponent
    most = f"\nthe bluest alone raises its odds {times}-fold" if strongest > 0 else ""
    return "what each cell did", f"blue: without the cell, {label} is less likely{most}"


def _title(name: str, answer: Answer, task: Task) -> str:
    if answer.parts:
        each = [f"({n}) {part.name}" for n, part in enumerate(answer.parts, start=1)]
        number = answer.parts.index(replace(answer, found="", parts=())) + 1
        return f"{name}: {len(each)} things, {', '.join(each)}; below, the cells of number {number}"
    chances = answer.probabilities.items()
    ranked = [f"{task.name_of(label)} ({100 * chance:.2f} %)" for label, chance in chances]
    return f"{name}: {ranked[0]}, then {', '.join(ranked[1:_SHOWN])}"


def draw_explanation(
    name: str, pixels: NDArray[np.uint8], answer: Answer, loaded: LoadedModel, question: str | None
) -> bytes:
    """Draw the picture, the model's text and its attributions side by side, as PNG.

    ``pixels`` is the picture as ``see`` took it, uint8[H, W]; the question None is the first one.

    Raises:
        ModelError: The question has fewer than two labels, or is none of the run's.
    """
    from matplotlib.figure import Figure

    assert loaded.run is not None
    profile, task = loaded.run.profile, loaded.run.task(question)
    read = cells_picture(answer.ascii_image, profile)
    things, found = prepare_things(pixels, profile)
    ground = things[found.main].pixels if profile.crop is None and not answer.parts else read
    asked = loaded, answer.ascii_image, answer.label
    attributions: list[Attribution | str] = [occlusion(*asked, question=task.question)]
    try:
        attributions.append(gradient(*asked, question=task.question))
    except FormatError as error:  # which stands in its place
        attributions.append(str(error))
    figure = Figure(figsize=(13.6, 4.9), layout="constrained", facecolor="white")
    panels, bars = figure.subplots(2, 2 + len(attributions), height_ratios=[24, 1])
    height, width = pixels.shape
    rows, columns = decode(answer.ascii_image, profile).shape
    done = ", inverted" * answer.inverted + ", cropped and centred" * answer.cropped
    above = "the picture, and the ink found in it" if found.things else "the picture"
    _bare(panels[0], above, answer.found.replace(", ", ",\n", 1) or f"{width}x{height} pixels")
    _bare(panels[1], "what the model read", f"{columns}x{rows} cells{done}")
    for drawn, bar, shown in zip(panels, bars, (pixels, read), strict=False):
        drawn.imshow(shown, cmap="gray", vmin=0, vmax=255)
        bar.set_axis_off()
    _draw_ink(panels[0], found, answer, pixels.shape)
    for drawn, bar, one in zip(panels[2:], bars[2:], attributions, strict=True):
        if isinstance(one, Attribution):
            _bare(drawn, *_caption(one))
            _draw_attribution(drawn, bar, ground, one)
        else:
            middle = {"ha": "center", "va": "center"}
            drawn.text(0.5, 0.5, one, **middle, wrap=True, fontsize=9, parse_math=False)
            drawn.set_axis_off()
            bar.set_axis_off()
    figure.suptitle(_title(name, answer, task), fontsize=14, parse_math=False)
    return png(figure, 110)
