"""Statistics of a dataset as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.dataset.inspect.items import Item, cell_ratio, read_grids
from glyphsight.dataset.inspect.show import columns_of, printable
from glyphsight.dataset.inspect.statistics import Statistics, natural, spread_text
from glyphsight.dataset.record import Record
from glyphsight.errors import FormatError
from glyphsight.extras import need
from glyphsight.files import replacing
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
    answers = _answers(statistics)
    bars = _bars(statistics, answers[:_SHOWN_ANSWERS])
    page = render_page(
        "statistics.html.j2",
        s=statistics,
        splits=splits,
        colors=dict(zip(splits, _COLORS * len(splits), strict=False)),
        records=sum(split.records for split in splits.values()),
        bars=bars,
        name_width=min(14, max([1, *(columns_of(bar["answer"]) for bar in bars)])),
        hidden=len(answers) - len(bars),
        kinds=len(answers),
        tokens=_token_histogram(statistics),
        means=[
            (printable(answer) or "(empty)", _heat_map(mean))
            for answer, mean in statistics.means.items()
        ],
        ratio=_ratio(statistics),
        samples=[
            _card(item, statistics.profile)
            for items in statistics.samples.values()
            for item in items
        ],
        alike=statistics.alike
        and [
            _card(item, statistics.profile)
            for item in (statistics.alike.held_out, statistics.alike.training)
        ],
        spread=spread_text,
    )
    with replacing(path) as stream:
        stream.write(page)


def _answers(statistics: Statistics) -> list[str]:
    """List every answer, sorted where all can be shown, else the most frequent first."""
    total: Counter[str] = Counter()
    for split in statistics.splits.values():
        total.update(split.answers)
    if len(total) <= _SHOWN_ANSWERS:
        return sorted(total, key=natural)
    return sorted(total, key=lambda answer: (-total[answer], answer))


def _bars(statistics: Statistics, shown: list[str]) -> list[dict[str, Any]]:
    """Return for each answer its share of each split, and the width of its bar in percent."""
    splits = list(statistics.splits.values())
    shares = [
        [split.answers.get(answer, 0) / max(1, sum(split.answers.values())) for split in splits]
        for answer in shown
    ]
    longest = max((share for row in shares for share in row), default=1) or 1
    return [
        {
            "answer": printable(answer) or "(empty)",
            "parts": [
                {
                    "count": split.answers.get(answer, 0),
                    "share": 100 * share,
                    "length": 100 * share / longest,
                }
                for split, share in zip(splits, row, strict=True)
            ],
        }
        for answer, row in zip(shown, shares, strict=True)
    ]


def _token_histogram(statistics: Statistics) -> str:
    """Draw the share of records of each split by their number of tokens, as SVG; "" for none."""
    counted = {name: counts for name, counts in statistics.token_counts.items() if counts}
    if not counted:
        return ""
    least = min(map(min, counted.values()))
    most = max(map(max, counted.values()))
    step = max(1, -(-(most - least + 1) // _BINS))
    edges = np.arange(least, most + step + 1, step) - 0.5
    figure, drawn = axes(4.8, 2.6)
    for counts, color in zip(counted.values(), _COLORS * len(counted), strict=False):
        share = np.full(len(counts), 100 / len(counts))
        drawn.hist(counts, bins=edges, weights=share, histtype="step", color=color, linewidth=1.6)
    drawn.set_xlabel("tokens per record")
    drawn.set_ylabel("% of the split")
    drawn.xaxis.get_major_locator().set_params(integer=True)
    drawn.grid(axis="y", color=INK, alpha=0.2)
    return svg(figure, "share of the records of each split by their tokens")


def _heat_map(mean: NDArray[np.float64]) -> str:
    """Draw a mean picture in colour, from black over red to white, as the address of a PNG."""
    from matplotlib import colormaps

    colored: NDArray[np.uint8] = colormaps["magma"](mean, bytes=True)[:, :, :3]
    return png_address(np.ascontiguousarray(colored))


def _ratio(statistics: Statistics) -> float:
    """Return the width of the mean pictures over their height."""
    for mean in statistics.means.values():
        return float(mean.shape[1] * cell_ratio(statistics.profile) / mean.shape[0])
    return 1.0


def _card(item: Item, profile: Profile) -> dict[str, Any]:
    """Describe a record with its pictures, drawn from their own cells."""
    record = item.record or Record((), "")
    table = np.round(np.linspace(0, 255, profile.levels)).astype(np.uint8)
    images = []
    for grid in read_grids(record.pictures, profile):
        if isinstance(grid, FormatError):
            images.append({"png": "", "ratio": 1.0})
            continue
        rows, columns = grid.shape
        ratio = columns * cell_ratio(profile) / rows
        images.append({"png": png_address(table[grid]), "ratio": ratio})
    return {
        "images": images,
        "text": record.picture,
        "question": printable(record.question),
        "answer": printable(record.answer) or "(empty)",
        "place": f"{item.file.name} {item.number}",
        "source": printable(record.source),
    }
