"""What self-contained HTML pages are made of: the template, plots and pictures inside them."""

from __future__ import annotations

import base64
import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

INK = "#808890"
"""Lines and letters of plots; reads on light and on dark ground, as the two below do."""
ACCENT = "#2f7ed8"
SECOND = "#d8802f"
THIRD = "#3fa66b"


def in_ink(drawn: Any) -> None:
    """Draw axes on no ground, their lines and letters in ``INK``."""
    drawn.patch.set_alpha(0)
    for spine in drawn.spines.values():
        spine.set_color(INK)
    drawn.tick_params(colors=INK)
    drawn.xaxis.label.set_color(INK)
    drawn.yaxis.label.set_color(INK)


def axes(width: float, height: float) -> tuple[Any, Any]:
    """A figure of so many inches on no ground, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    drawn = figure.add_subplot()
    figure.patch.set_alpha(0)
    in_ink(drawn)
    return figure, drawn


def svg(figure: Any) -> str:
    """A figure as inline SVG, the same for the same figure."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "glyphsight"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def png(figure: Any, dpi: int) -> bytes:
    """A figure as PNG; letters that no font has are boxes, which needs no warning."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def png_address(pixels: NDArray[np.uint8]) -> str:
    """A ``data:`` address of a picture, uint8[H, W] or [H, W, 3], as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def render_page(template: str, **values: Any) -> str:
    """A page from a template of the package; every value in it is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("glyphsight", "assets"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(**values)
