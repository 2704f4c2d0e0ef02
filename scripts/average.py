"""Average the weights of a run and of one that went on from it: a new run, to be measured.

python scripts/average.py runs/6 runs/7 runs/mean
"""

from __future__ import annotations

import argparse
from pathlib import Path

from glyphsight.models.runs import save_made
from glyphsight.train.average import averaged


def main() -> None:
    """Average and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    mean = averaged(given.first, given.second)
    save_made(mean, given.second, given.out)
    print(f"{given.out}: the mean of {given.first} and {given.second}")


if __name__ == "__main__":
    main()
