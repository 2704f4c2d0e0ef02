"""Draw the sheet of docs/drawing.md: ten drawings of each label, as they come.

python scripts/drawing_pictures.py docs/images/drawings.png
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
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows = []
    for label in glyphsight.load(given.model).trained.draws:
        drawings = glyphsight.draw(label, model=given.model, n=given.n, seed=given.seed)
        padded = [np.pad(one.picture(4), GAP // 2, constant_values=70) for one in drawings]
        rows.append(np.hstack(padded))
    save_picture(np.vstack(rows), given.out)


if __name__ == "__main__":
    main()
