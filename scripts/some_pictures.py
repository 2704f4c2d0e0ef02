"""Link a share of what scripts/clear_eyes.py drew into another folder: what a model learns.

    python scripts/some_pictures.py PICTURES OUT                # what `sight` reads in 85 minutes
    python scripts/some_pictures.py PICTURES MORE --mix more --without OUT    # and in 98 minutes
    python scripts/some_pictures.py PICTURES OUT --mix clothes  # what is no clothes
    python scripts/some_pictures.py PICTURES OUT --mix clear    # what `nano-digits` read last

All pictures for validation are linked. A seed decides which of the others.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from glyphsight.files import new_directory

SIGHT = {
    "plain": 16000,
    "turned": 3500,
    "rewritten": 1500,
    "coarse": 1500,
    "very coarse": 300,
    "photographed": 1200,
    "printed": 1800,
    "segments": 900,
    "shadowed": 800,
    "letter": 4200,
    "sketch": 1400,
    "sketch, turned": 1400,
    "thing": 2200,
    "clothes": 900,
    "page, cut": 500,
    "page": 250,
    "word": 350,
    "scribble": 600,
    "texture": 500,
    "blob": 450,
    "empty page": 500,
    "empty page, shadowed": 350,
}
"""Training pictures of each kind."""
MORE = {
    "plain": 13000,
    "turned": 4500,
    "rewritten": 4500,
    "coarse": 2000,
    "very coarse": 200,
    "photographed": 1500,
    "printed": 2000,
    "segments": 800,
    "letter": 4500,
    "sketch": 700,
    "sketch, turned": 700,
    "thing": 1500,
    "clothes": 1000,
    "page, cut": 400,
    "page": 400,
    "word": 250,
    "scribble": 1000,
    "texture": 800,
    "blob": 800,
    "empty page": 1600,
    "empty page, shadowed": 900,
}
"""The same for its last stage: two thirds are digits."""
CLOTHES = {
    "digit": 5000,
    "sketch": 4000,
    "sketch, turned": 4000,
    "thing": 11000,
    "letter": 8000,
    "word": 1500,
    "scribble": 2500,
    "texture": 2500,
    "page": 900,
    "empty page": 2500,
    "blob": 2500,
    "page, cut": 2000,
    "empty page, shadowed": 2000,
}
"""The same, for a model that knows clothes and reads them elsewhere."""
CLEAR = {
    "plain": 12000,
    "turned": 4000,
    "rewritten": 3000,
    "coarse": 4500,
    "very coarse": 1750,
    "photographed": 4000,
    "shadowed": 3000,
    "printed": 5500,
    "segments": 3500,
    "letter": 8500,
    "sketch": 4500,
    "sketch, turned": 4000,
    "thing": 10000,
    "icon": 10000,
    "texture": 1500,
    "blob": 2000,
    "scribble": 2000,
    "clothes": 2000,
    "empty page": 2000,
    "empty page, shadowed": 2000,
    "page": 600,
    "page, cut": 2000,
    "word": 1000,
}
PRINT = {
    "printed": 20000,
    "letter": 26000,
    "segments": 7000,
    "coarse": 20000,
    "word": 2500,
    "rewritten": 15000,
}
"""The same, for the last two stages of `nano-digits`."""
ASKED = {
    "plain": 9500,
    "turned": 2500,
    "rewritten": 2300,
    "coarse": 1200,
    "very coarse": 150,
    "photographed": 1700,
    "shadowed": 800,
    "printed": 1500,
    "segments": 450,
    "letter": 1900,
    "icon": 900,
    "sketch": 300,
    "sketch, turned": 300,
    "thing": 1500,
    "texture": 200,
    "blob": 200,
    "scribble": 200,
    "clothes": 200,
    "empty page": 200,
    "empty page, shadowed": 200,
    "page": 150,
    "page, cut": 150,
    "word": 120,
}
"""The same, for `sight-vqa`: some of the digits are asked about."""
DOUBT = {
    "plain": 6500,
    "turned": 1500,
    "rewritten": 1500,
    "coarse": 1000,
    "very coarse": 100,
    "photographed": 1000,
    "shadowed": 500,
    "printed": 1800,
    "segments": 500,
    "letter": 4000,
    "icon": 1500,
    "sketch": 500,
    "sketch, turned": 500,
    "thing": 3500,
    "texture": 400,
    "blob": 300,
    "scribble": 700,
    "clothes": 300,
    "empty page": 400,
    "empty page, shadowed": 300,
    "page": 250,
    "page, cut": 250,
    "word": 250,
}
"""The same, for a stage more: half show no digit."""
SUMS = {
    "plain": 6000,
    "turned": 1500,
    "rewritten": 1500,
    "coarse": 1500,
    "very coarse": 150,
    "photographed": 900,
    "shadowed": 500,
    "printed": 2200,
    "segments": 800,
    "letter": 2000,
    "icon": 700,
    "sketch": 300,
    "sketch, turned": 300,
    "thing": 600,
    "texture": 150,
    "blob": 100,
    "scribble": 200,
    "clothes": 100,
    "empty page": 150,
    "empty page, shadowed": 100,
    "page": 100,
    "page, cut": 100,
    "word": 100,
}
"""The same, for its last stage: of digits to add up, of other hands and prints."""
MIXES = {
    "sight": SIGHT,
    "more": MORE,
    "clothes": CLOTHES,
    "clear": CLEAR,
    "print": PRINT,
    "asked": ASKED,
    "doubt": DOUBT,
    "sums": SUMS,
}


def main() -> None:
    """Choose and link."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mix", choices=MIXES, default="sight")
    parser.add_argument("--without", type=Path, help="folder of pictures that were linked before")
    given = parser.parse_args()
    random = np.random.default_rng(12)
    with new_directory(given.out) as out:
        for part in ("train", "val"):
            kinds: defaultdict[str, list[Path]] = defaultdict(list)
            for file in sorted(given.pictures.glob(f"{part}/*/*.png")):
                inside = file.relative_to(given.pictures)
                if part == "train" and given.without and (given.without / inside).exists():
                    continue
                kinds[file.name.partition("-")[0]].append(inside)
            for kind, files in sorted(kinds.items()):
                most = MIXES[given.mix].get(kind, 0) if part == "train" else len(files)
                for row in sorted(random.permutation(len(files))[:most]):
                    target = out / files[row]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.link(given.pictures / files[row], target)


if __name__ == "__main__":
    main()
