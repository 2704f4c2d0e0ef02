"""A comparison as one self-contained HTML page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from glyphsight.evaluate.compare import Comparison, Entry
from glyphsight.evaluate.report.figures import reliability_plot
from glyphsight.evaluate.report.page import Shown, picture_card
from glyphsight.evaluate.report.plot import Axis, Line, plot_svg, round_ticks, share_axis
from glyphsight.files import replacing
from glyphsight.models.tokens import EMBEDDED
from glyphsight.pages import render_page

_COLORS = ("accent", "second", "third", "fourth", "fifth", "sixth", "seventh", "soft")


def _tokens(entry: Entry) -> float | None:
    """What a picture costs, in tokens of the tokenizer that all are compared by."""
    tokens = entry.metrics.get("tokens")
    return tokens.get(EMBEDDED) if isinstance(tokens, dict) else None


def accuracy_plot(comparison: Comparison) -> tuple[str, str]:
    """Accuracy with its interval against tokens a picture, or run by run where these are alike.

    Returns:
        The plot and its caption.
    """
    entries = comparison.entries
    tokens = [_tokens(entry) for entry in entries]
    lowest = min(entry.share.interval[0] for entry in entries)
    up = share_axis("right", max(0.0, math.floor(20 * lowest - 0.5) / 20))
    known = [count for count in tokens if count is not None]
    by_tokens = len(known) == len(entries) and max(known) - min(known) > 1
    if by_tokens:
        most = 1.1 * max(known)
        across = Axis(f"tokens a picture, {EMBEDDED}", 0, most, round_ticks(0, most, 4))
    else:
        ticks = [(float(place), str(place + 1)) for place in range(len(entries))]
        across = Axis("run", -0.5, len(entries) - 0.5, ticks)
    drawn = [
        Line(
            entry.name,
            [((tokens[place] or 0.0) if by_tokens else float(place), entry.share.accuracy)],
            _COLORS[place % len(_COLORS)],
            bounds=[entry.share.interval],
            words=[f"{entry.name}: {100 * entry.share.accuracy:.2f} %"],
        )
        for place, entry in enumerate(entries)
    ]
    plot = plot_svg(across, up, drawn, says="accuracy of each run with its 95 % interval")
    return plot, "right answers against tokens" if by_tokens else "right answers, run by run"


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page; it loads nothing from anywhere and works without JavaScript too."""
    entries = comparison.entries
    plot, caption = accuracy_plot(comparison)
    colored = [
        (entry.name, entry.calibration, _COLORS[place % len(_COLORS)])
        for place, entry in enumerate(entries)
    ]
    cards: list[dict[str, Any]] = []
    for one in comparison.disagreements:
        card = picture_card(Shown(one.sample), entries[0].profile)
        answers = [
            (name, answer, 100 * probability, answer == one.sample.truth)
            for name, (answer, probability) in one.answers.items()
        ]
        cards.append(card | {"answers": answers})
    page = render_page(
        "compare.html.j2",
        entries=entries,
        tokens={entry.name: _tokens(entry) for entry in entries},
        pairs=comparison.pairs,
        plot=plot,
        caption=caption,
        key=[(name, color) for name, _, color in colored],
        reliability=reliability_plot(colored[: len(_COLORS)]),
        drawn_of=min(len(entries), len(_COLORS)),
        cards=cards,
    )
    with replacing(path) as stream:
        stream.write(page)
