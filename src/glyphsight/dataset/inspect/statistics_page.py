"""Statistics of a dataset as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.console import printable
from glyphsight.dataset.inspect.items import Item, cell_ratio, read_grids
from glyphsight.dataset.inspect.show import columns_of
from glyphsight.dataset.inspect.statistics import Statistics, natural, spread_text
from glyphsight.dataset.record import Record
from glyphsight.errors import FormatError
from glyphsight.extras import need
from glyphsight.files import write
from glyphsight.pages import INK, TONES, axes, png_address, render_page, svg

_COLORS = tuple(TONES.values())[:3]
_SHOWN_ANSWERS = 40
_BINS = 40


def write_page(statistics: Statistics, path: Path) -> None:
    """Write the page; it loads nothing from anywhere.

    Raises:
        GlyphsightError: Jinja2 or matplotlib is not installed, or nothing can be written there.
    """
    need("page")
    splits = {name or "the file": split for name, split in statistics.splits.items()}
    total = sum((Counter(split.answers) for split in splits.values()), Counter[str]())
    shown = sorted(total, key=natural)
    if len(total) > _SHOWN_ANSWERS:
        shown = sorted(total, key=lambda answer: (-total[answer], answer))[:_SHOWN_ANSWERS]
    shares = [
        split.answers.get(answer, 0) / max(1, sum(split.answers.values()))
        for split in splits.values()
        for answer in shown
    ]
    page = render_page(
        "statistics.html.j2",
        s=statistics,
        splits=splits,
        colors=dict(zip(splits, _COLORS * len(splits), strict=False)),
        answers=shown,
        longest=max(shares, default=1) or 1,
        name_width=min(14, max([1, *(columns_of(printable(answer)) for answer in shown)])),
        kinds=len(total),
        tokens=_token_histogram(statistics),
        means={answer: _heat_map(mean) for answer, mean in statistics.means.items()},
        ratio=next((_ratio(mean, statistics.profile) for mean in statistics.means.values()), 1.0),
        samples=[
            _card(item, statistics.profile)
            for items in statistics.samples.values()
            for item in items
        ],
        spread=spread_text,
        printable=printable,
    )
    write(path, page)


def _token_histogram(statistics: Statistics) -> str:
    """Draw the share of records of each split by their number of tokens, as SVG; "" for none."""
    counted = [counts for counts in statistics.token_counts.values() if counts]
    if not counted:
        return ""
    least, most = min(map(min, counted)), max(map(max, counted))
    step = max(1, -(-(most - least + 1) // _BINS))
    edges = np.arange(least, most + step + 1, step) - 0.5
    figure, drawn = axes(4.8, 2.6)
    for counts, color in zip(counted, _COLORS * len(counted), strict=False):
        share = np.full(len(counts), 100 / len(counts))
        drawn.hist(counts, bins=edges, weights=share, histtype="step", color=color, linewidth=1.6)
    drawn.set(xlabel="tokens per record", ylabel="% of the split")
    drawn.xaxis.get_major_locator().set_params(integer=True)
    drawn.grid(axis="y", color=INK, alpha=0.2)
    return svg(figure, "share of the records of each split by their tokens")


def _heat_map(mean: NDArray[np.float64]) -> str:
    """Draw a mean picture in colour, from black over red to white, as the address of a PNG."""
    from matplotlib import colormaps

    colored: NDArray[np.uint8] = colormaps["magma"](mean, bytes=True)[:, :, :3]
    return png_address(np.ascontiguousarray(colored))


def _ratio(grid: NDArray[Any], profile: Profile) -> float:
    """Return the width of a picture of cells over its height."""
    return float(grid.shape[1] * cell_ratio(profile) / grid.shape[0])


def _card(item: Item, profile: Profile) -> dict[str, Any]:
    """Describe a record with its pictures, drawn from their own cells."""
    record = item.record or Record((), "")
    table = np.round(np.linspace(0, 255, profile.levels)).astype(np.uint8)
    return {
        "images": [
            {"png": "", "ratio": 1.0}
            if isinstance(grid, FormatError)
            else {"png": png_address(table[grid]), "ratio": _ratio(grid, profile)}
            for grid in read_grids(record.pictures, profile)
        ],
        "record": record,
        "where": f"{item.file.name} {item.number}",
    }
