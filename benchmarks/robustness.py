"""How a model's accuracy falls as pictures, or their texts, are changed: table and figure.

    pip install 'glyphsight[train]'
    python benchmarks/robustness.py --data idx:DIR --figure docs/images/robustness.svg

Prints the table of docs/robustness.md, in Markdown. The pictures are a stratified part of the
split; nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from matplotlib.lines import Line2D

from glyphsight.evaluate.plots import by_strength, draw_damage
from glyphsight.evaluate.robustness import PERTURBATIONS, Condition, robustness
from glyphsight.models import load_model
from glyphsight.pages import INK, TONES, axes, in_ink, svg
from glyphsight.sampling import stratified_sample
from glyphsight.sources import load_split, open_source


def row(condition: Condition) -> str:
    """Write a line of the table."""
    unit = {one.name: one.unit for one in PERTURBATIONS}.get(condition.name, "")
    strength = "" if condition.strength is None else f"{condition.strength:g} {unit}"
    if condition.share is None:
        return f"| {condition.name} | {strength} | left out: {condition.skipped} | | |"
    low, high = condition.share.interval
    published = ", ".join(f"{whose} {100 * p:.2f} %" for whose, p in condition.published.items())
    return (
        f"| {condition.name} | {strength} | {100 * condition.share.accuracy:.1f} % "
        f"| {100 * low:.1f}-{100 * high:.1f} | {published} |"
    )


def figure(conditions: list[Condition]) -> str:
    """Draw the plots of a report side by side, as one SVG picture."""
    names, across = list(by_strength(conditions)), 3
    down = -(-len(names) // across)
    whole, _ = axes(3.8 * across, 3 * down)
    whole.clear()
    for index, name in enumerate(names):
        drawn = in_ink(whole.add_subplot(down, across, index + 1))
        drawn.set_title(name, loc="left", fontsize=10, color=INK)
        key = draw_damage(drawn, name, conditions)
        if len(key) > 1:
            drawn.legend(
                [Line2D([], [], color=TONES[tone]) for _, tone in key],
                [words for words, _ in key],
                **{"frameon": False, "labelcolor": INK, "fontsize": 8, "loc": "lower left"},
            )
    return svg(whole, "right answers against each kind of damage")


def main() -> None:
    """Measure, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="bundled", help="source SPEC")
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default="nano-digits", help="as glyphsight evaluate takes it")
    parser.add_argument("--limit", type=int, default=1000, help="pictures, stratified")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", type=Path, help="SVG to write")
    given = parser.parse_args()
    pictures = load_split(open_source(given.data), given.split)
    pictures = pictures.take(stratified_sample(pictures.labels, given.limit, given.seed))
    loaded = load_model(given.model)
    started = time.monotonic()
    conditions = robustness(loaded, pictures, seed=given.seed)
    seconds = time.monotonic() - started
    if given.figure:
        given.figure.write_text(figure(conditions) + "\n", encoding="utf-8")
    print("| changed | by | accuracy | 95 % interval | published |\n|---|---|---|---|---|")
    print("\n".join(map(row, conditions)))
    print(
        f"\n{given.model}, {len(pictures)} pictures of {given.split}, "
        f"{len(conditions)} conditions, {seconds:.0f} s."
    )


if __name__ == "__main__":
    main()
