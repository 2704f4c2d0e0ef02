"""How a model's accuracy falls as pictures, or their texts, are changed: table and figure.

    pip install 'glyphsight[train]' scikit-learn
    python benchmarks/robustness.py --data idx:DIR --figure docs/images/robustness.svg

Prints the table of docs/robustness.md, in Markdown. The pictures are a stratified part of the
split; nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import time
from importlib.resources import files
from pathlib import Path

from glyphsight.evaluate.report.figures import robustness_plots
from glyphsight.evaluate.robustness import PERTURBATIONS, Condition, robustness
from glyphsight.models import load_model
from glyphsight.sampling import stratified_sample
from glyphsight.sources import load_split, open_source


def row(condition: Condition) -> str:
    """A line of the table; strengths of one perturbation share its name."""
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
    """The plots of a report side by side, as one SVG picture in the colours of a page."""
    across, wide, tall = 3, 380, 300
    plots = robustness_plots(conditions)
    style = files("glyphsight").joinpath("assets", "page.css").read_text("utf-8")
    parts = []
    for place, one in enumerate(plots):
        at, down = wide * (place % across), tall * (place // across)
        key = "".join(f'<tspan class="{tone}"> ■ {words}</tspan>' for words, tone in one["key"])
        parts.append(
            f'<g transform="translate({at} {down})"><text class="name" x="60" y="22">{one["name"]}'
            f'<tspan class="key">{key}</tspan></text><g transform="translate(0 32)">'
            + one["plot"].replace("<svg ", "<g ").replace("</svg>", "</g>")
            + "</g></g>"
        )
    size = f"0 0 {wide * across} {tall * -(-len(plots) // across)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="{size}">'
        f"<style>{style} .name {{ font: 600 14px system-ui, sans-serif; }} "
        f".name tspan {{ font-weight: 400; font-size: 11px; fill: var(--tone); }}</style>"
        f'<rect width="100%" height="100%" fill="var(--ground)"/>{"".join(parts)}</svg>'
    )


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
