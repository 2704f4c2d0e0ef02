"""Draw the learning curve of a model trained in several stages, one after the other.

python scripts/training_curves.py docs/training/sight-*.jsonl --out docs/images/sight-training.svg
"""

from __future__ import annotations

import argparse
from pathlib import Path

from glyphsight.files import write
from glyphsight.models.runs import read_history
from glyphsight.pages import INK, axes, svg


def main() -> None:
    """Read the histories in the order given, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("history", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    figure, drawn = axes(8.6, 4.2)
    before = 0
    for file in given.history:
        lines = read_history(file)
        points = [
            (before + line["records"], 100 * line["validation_accuracy"])
            for line in lines
            if "validation_accuracy" in line
        ]
        drawn.plot(*zip(*points, strict=True), marker="o", markersize=3, label=file.stem)
        before += max(line["records"] for line in lines)
    drawn.set_ylim(60, 100)
    drawn.set_xlabel("digits seen")
    drawn.set_ylabel("validation digits right, %")
    drawn.legend(frameon=False, loc="lower right", labelcolor=INK)
    write(given.out, svg(figure, "validation accuracy against digits seen") + "\n")


if __name__ == "__main__":
    main()
