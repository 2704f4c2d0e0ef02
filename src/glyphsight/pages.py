"""Parts of self-contained HTML pages and notebooks: the template, plots, pictures, texts."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

TONES = {
    "accent": "#2f7ed8",
    "second": "#d8802f",
    "third": "#3fa66b",
    "fourth": "#8b5cc7",
    "fifth": "#c2418a",
    "sixth": "#16858f",
    "seventh": "#857415",
    "soft": "#808890",
}
"""Colours of plots, by the names of ``page.css``. They read on light and on dark ground."""

INK = TONES["soft"]  # colour of the lines and letters of plots


def axes(width: float, height: float) -> tuple[Any, Any]:
    """Make a figure without ground, ``width`` x ``height`` inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    return figure, in_ink(figure.add_subplot())


def in_ink(drawn: Any) -> Any:
    """Draw axes without ground, with lines and letters in ``INK``, and return them."""
    drawn.patch.set_alpha(0)
    for side, spine in drawn.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
    drawn.tick_params(colors=INK)
    for words in (drawn.xaxis.label, drawn.yaxis.label, drawn.title):
        words.set_color(INK)
    return drawn


def svg(figure: Any, says: str = "") -> str:
    """Write a figure, of colours of ``TONES``, as an ``<svg>`` in those of the page around it.

    ``says`` are words for a reader who cannot see the plot; they also make its ids unlike another
    plot's. The same figure gives the same text.
    """
    import matplotlib

    buffer, nothing = io.StringIO(), dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": f"glyphsight {says}", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].rstrip()
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", text)
    for name, tone in TONES.items():
        text = text.replace(tone, f"var(--{name}, {tone})")
    told = f' role="img" aria-label="{says}"' if says else ""
    return text.replace("<svg ", f'<svg class="plot"{told} ', 1)


def png(figure: Any, dpi: int) -> bytes:
    """Write a figure as PNG; letters that no font has become boxes, without a warning."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Write a picture, uint8[H, W] or [H, W, 3], as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def png_address(pixels: NDArray[np.uint8]) -> str:
    """Give the ``data:`` address of a picture as :func:`png_bytes` writes it."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(pixels)).decode()


def render_page(template: str, **values: Any) -> str:
    """Render a template of the package; every value in the page is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("glyphsight", "assets"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(**values)


def text_html(text: str) -> str:
    """Show the text of a picture in a notebook, in the notebook's own colours, dark or light."""
    style = (
        "display:inline-block;margin:0 1em 0 0;padding:4px;vertical-align:top;"
        f"border:1px solid {INK};background:none;color:inherit;"
        "font:14px/1.15 ui-monospace,'DejaVu Sans Mono',monospace"
    )
    return f'<pre style="{style}">{escape(text.removesuffix(chr(10)))}</pre>'


def bars_html(shares: Mapping[str, float], most: int = 5) -> str:
    """Show the largest shares, 0-1 and in falling order, as bars in a notebook."""
    name_style = "display:inline-block;min-width:3em;margin-right:.5em"
    bar_style = f"display:inline-block;height:.8em;margin-right:.5em;background:{TONES['accent']}"
    rows = [
        f'<div style="white-space:nowrap"><span style="{name_style}">{escape(name)}</span>'
        f'<span style="{bar_style};width:{8 * share:.2f}em"></span>{100 * share:.1f} %</div>'
        for name, share in list(shares.items())[:most]
    ]
    return f"<div>{''.join(rows)}</div>"
