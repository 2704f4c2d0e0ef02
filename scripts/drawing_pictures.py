"""Draw the sheets of docs/drawing.md: some drawings of each label, as they come.

python scripts/drawing_pictures.py docs/images/drawings.png
python scripts/drawing_pictures.py docs/images/names.png --model RUN --n 2 --across 8
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import glyphsight
from glyphsight.media.picture import save_picture

GAP = 6  # pixels between two drawings


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="draw")
    parser.add_argument("--n", type=int, default=10, help="drawings of a label")
    parser.add_argument("--across", type=int, default=1, help="labels beside each other")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    cells = []
    for label in glyphsight.load(given.model).trained.draws:
        drawings = glyphsight.draw(label, model=given.model, n=given.n, seed=given.seed)
        padded = [np.pad(one.picture(4), GAP // 2, constant_values=70) for one in drawings]
        cells.append(np.hstack(padded))
    cells += [np.full_like(cells[0], 70)] * (-len(cells) % given.across)
    rows = [np.hstack(cells[at : at + given.across]) for at in range(0, len(cells), given.across)]
    save_picture(np.vstack(rows), given.out)


if __name__ == "__main__":
    main()
