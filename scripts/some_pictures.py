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

COUNTS = """
kind                   sight    more clothes   clear   print   asked   doubt    sums
plain                  16000   13000       0   12000       0    9500    6500    6000
turned                  3500    4500       0    4000       0    2500    1500    1500
rewritten               1500    4500       0    3000   15000    2300    1500    1500
coarse                  1500    2000       0    4500   20000    1200    1000    1500
very coarse              300     200       0    1750       0     150     100     150
photographed            1200    1500       0    4000       0    1700    1000     900
shadowed                 800       0       0    3000       0     800     500     500
printed                 1800    2000       0    5500   20000    1500    1800    2200
segments                 900     800       0    3500    7000     450     500     800
letter                  4200    4500    8000    8500   26000    1900    4000    2000
sketch                  1400     700    4000    4500       0     300     500     300
sketch, turned          1400     700    4000    4000       0     300     500     300
thing                   2200    1500   11000   10000       0    1500    3500     600
icon                       0       0       0   10000       0     900    1500     700
texture                  500     800    2500    1500       0     200     400     150
blob                     450     800    2500    2000       0     200     300     100
scribble                 600    1000    2500    2000       0     200     700     200
clothes                  900    1000       0    2000       0     200     300     100
empty page               500    1600    2500    2000       0     200     400     150
empty page, shadowed     350     900    2000    2000       0     200     300     100
page                     250     400     900     600       0     150     250     100
page, cut                500     400    2000    2000       0     150     250     100
word                     350     250    1500    1000    2500     120     250     100
digit                      0       0    5000       0       0       0       0       0
"""
"""Training pictures of each kind in each mix.

``sight`` and ``more`` are for the last two stages of `sight`: two thirds of ``more`` are digits.
``clothes`` is for a model that knows clothes and reads them elsewhere, ``clear`` and ``print`` for
the last two stages of `nano-digits`. The others are for `sight-vqa`: of ``asked`` some digits are
asked about, of ``doubt`` half show no digit, ``sums`` has digits of other hands and prints to add
up.
"""
KINDS, *_MIXES = zip(*(line.rsplit(maxsplit=8) for line in COUNTS.split("\n")[1:-1]), strict=True)
MIXES = {name: dict(zip(KINDS[1:], map(int, own), strict=True)) for name, *own in _MIXES}


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
