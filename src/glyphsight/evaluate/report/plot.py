"""Small plots as SVG text for a page: real letters, the page's own colours, a few kilobytes each.

Colours are the custom properties of ``page.css``: a plot follows the page from light to dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

_WIDTH, _HEIGHT = 360, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 14, 10, 42

Point = tuple[float, float]
Place = Callable[[float], float]


@dataclass(frozen=True)
class Axis:
    """One axis of a plot.

    Attributes:
        name: What it counts, with its unit.
        low: Value at its start.
        high: Value at its end, above ``low``.
        ticks: Value and words of each mark.
    """

    name: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def part(self, value: float) -> float:
        """How far along the axis a value lies, 0-1 between its ends; beyond them, cut there."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


@dataclass(frozen=True)
class Line:
    """Points that belong together.

    Attributes:
        name: What they are, said of each point where a reader points at it.
        points: x and y.
        color: A custom property of the page: ``accent``, ``second`` to ``seventh``, ``good``,
            ``soft``.
        joined: Draw a line through them.
        dots: Draw a dot on each.
        dashed: The line is broken, as of figures that others published.
        bounds: Lower and upper bound of each point's y; empty without.
        words: What is said of each point; empty says its name and its numbers.
        sizes: How many each dot stands for, shown by its area; empty draws all alike.
    """

    name: str
    points: Sequence[Point]
    color: str = "accent"
    joined: bool = True
    dots: bool = True
    dashed: bool = False
    bounds: Sequence[tuple[float, float]] = ()
    words: Sequence[str] = ()
    sizes: Sequence[float] = ()


@dataclass(frozen=True)
class Bars:
    """Upright bars from the foot of the plot, as of a histogram.

    Attributes:
        edges: Left and right end of each on the x axis.
        tops: Its height on the y axis.
        words: What is said of each.
        color: As of a line.
    """

    edges: Sequence[tuple[float, float]]
    tops: Sequence[float]
    words: Sequence[str] = field(default=())
    color: str = "soft"


def round_ticks(low: float, high: float, count: int = 5) -> list[tuple[float, str]]:
    """About ``count`` round values from ``low`` to ``high`` with their words."""
    rough = (high - low) / count
    step = 10 ** math.floor(math.log10(rough))
    step *= next(factor for factor in (1, 2, 5, 10) if step * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    values = [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(value, f"{value:,.6g}") for value in values]


def share_axis(name: str, low: float = 0.0) -> Axis:
    """An axis of shares from ``low`` to 1, marked in percent."""
    marks = round_ticks(100 * low, 100, 5)
    return Axis(name, low, 1.0, [(value / 100, f"{words} %") for value, words in marks])


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def plot_svg(x: Axis, y: Axis, drawn: Sequence[Line | Bars], *, says: str) -> str:
    """A plot as an ``<svg>`` element.

    Args:
        x: The axis across.
        y: The axis up.
        drawn: Bars and lines, the last on top.
        says: What a reader who cannot see it is told.
    """
    right, foot = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def across(value: float) -> float:
        return _LEFT + (right - _LEFT) * x.part(value)

    def up(value: float) -> float:
        return foot - (foot - _TOP) * y.part(value)

    parts = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(says)}">'
    ]
    for value, words in y.ticks:
        at = _number(up(value))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{at}" dy=".32em" class="left">{escape(words)}</text>'
        )
    for value, words in x.ticks:
        at = _number(across(value))
        parts.append(f'<line class="axis" x1="{at}" x2="{at}" y1="{foot}" y2="{foot + 4}"/>')
        parts.append(f'<text x="{at}" y="{foot + 17}" class="under">{escape(words)}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{foot}" y2="{foot}"/>')
    parts.append(
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 6}" class="under">{escape(x.name)}</text>'
    )
    if y.name:
        middle = (foot + _TOP) / 2
        parts.append(
            f'<text transform="translate(11 {middle}) rotate(-90)" class="under">'
            f"{escape(y.name)}</text>"
        )
    for item in drawn:
        if isinstance(item, Bars):
            parts += _bars(item, across, up, foot)
        else:
            parts += _line(item, across, up)
    parts.append("</svg>")
    return "".join(parts)


def _title(words: str) -> str:
    return f"<title>{escape(words)}</title>"


def _bars(item: Bars, across: Place, up: Place, foot: float) -> list[str]:
    parts = []
    for place, ((left, right), top) in enumerate(zip(item.edges, item.tops, strict=True)):
        at, high = across(left) + 0.5, up(top)
        wide = across(right) - at - 0.5
        words = _title(item.words[place]) if item.words else ""
        parts.append(
            f'<rect x="{_number(at)}" y="{_number(high)}" width="{_number(wide)}" '
            f'height="{_number(foot - high)}" class="fill {item.color}">{words}</rect>'
        )
    return parts


def _line(item: Line, across: Place, up: Place) -> list[str]:
    places = [(_number(across(a)), _number(up(b))) for a, b in item.points]
    parts = []
    for (at, _), (least, most) in zip(places, item.bounds, strict=False):
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{_number(up(least))}" y2="{_number(up(most))}" '
            f'class="bound {item.color}"/>'
        )
    if item.joined and len(places) > 1:
        path = " ".join(f"{a},{b}" for a, b in places)
        dashed = " dashed" if item.dashed else ""
        parts.append(f'<polyline points="{path}" class="line {item.color}{dashed}"/>')
    largest = max(item.sizes, default=0)
    if item.dots:
        for place, (at, high) in enumerate(places):
            a, b = item.points[place]
            words = item.words[place] if item.words else f"{item.name}: {a:g}, {b:.4g}"
            radius = 2.5 + 4.5 * math.sqrt(item.sizes[place] / largest) if largest else 3.2
            parts.append(
                f'<circle cx="{at}" cy="{high}" r="{_number(radius)}" class="dot {item.color}">'
                f"{_title(words)}</circle>"
            )
    return parts
