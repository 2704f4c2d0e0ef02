"""Cut letters and icons for a model that draws from what scripts/open_eyes.py made.

    python scripts/open_eyes.py --plan nano ... --out EYES
    python scripts/names_to_draw.py EYES OUT

OUT/letters holds capital letters and digits in fonts, OUT/icons 40 things. Fonts, and designers of
icons, with 15 % of the pictures are kept for the test, others with 3 % for the validation.
Pictures of one level alone are left out.
"""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from glyphsight.dataset import Record, load_dataset, write_records
from glyphsight.dataset.storage import MANIFEST, read_sources

ICONS = (
    "airplane", "anchor", "bell", "bolt", "book", "bus", "camera", "car", "check",
    "clock", "cloud", "crown", "cube", "diamond", "eye", "fire", "flag", "gift", "heart",
    "hospital", "house", "key", "leaf", "lock", "moon", "music", "pencil", "phone",
    "plus", "rocket", "scissors", "shield", "snowflake", "star", "sun", "target",
    "triangle", "trophy", "umbrella", "user",
)  # fmt: skip
TEST, VALIDATION = 0.15, 0.03


def cut(records: list[Record], sources: list[str]) -> dict[str, list[Record]]:
    """Split records by their sources, in a random order."""
    rng = np.random.default_rng(0)
    counts = Counter(sources)
    names, taken, part_of = sorted(counts), 0, dict[str, str]()
    for row in rng.permutation(len(names)):
        share = taken / len(records)
        held = "test" if share < TEST else "validation" if share < TEST + VALIDATION else "train"
        part_of[names[row]] = held
        taken += counts[names[row]]
    parts: dict[str, list[Record]] = {"train": [], "validation": [], "test": []}
    for row in rng.permutation(len(records)):
        parts[part_of[sources[row]]].append(records[row])
    return parts


def main() -> None:
    """Read, cut and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("eyes", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    for kind in ("letters", "icons"):
        file = given.eyes / kind / "train.json"
        pairs = [
            (one, source)
            for one, source in zip(load_dataset(file), read_sources(file), strict=True)
            if len(set(one.picture)) > 2 and (kind == "letters" or one.answer in ICONS)
        ]
        out = given.out / kind
        out.mkdir(parents=True, exist_ok=True)
        shutil.copy(given.eyes / kind / MANIFEST, out)
        for part, own in cut([one for one, _ in pairs], [source for _, source in pairs]).items():
            print(f"{kind}/{part}: {write_records(own, out / f'{part}.json')} records")


if __name__ == "__main__":
    main()
