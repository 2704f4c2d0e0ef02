"""Make folders of icons and sketches whose names `nano-names` does not know.

    npm install --prefix NPM @iconify/json
    python scripts/unseen.py --quickdraw FILE --icons NPM/node_modules/@iconify/json --out UNSEEN

UNSEEN/sketches and UNSEEN/icons hold train/NAME/N.png and test/NAME/N.png of twenty names each.
Test icons are by the designers that `scripts/open_eyes.py` holds out, 8 or more per name, and no
training icon is by one of them; of a thing's 100 sketches the last 20 are for tests. Names that
say what a known one says are left out. `benchmarks/few_shot.py` reads the folders.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from eyes import kinds
from eyes.kinds import Pixels
from PIL import Image

SKETCHES = (
    "angel,ant,bee,camel,castle,cow,dolphin,dragon,frog,helicopter,horse,kangaroo,lighthouse,owl,"
    "penguin,piano,pineapple,skull,spider,windmill"
)
TESTED = 8
TWINS = {"hash"}  # of "hashtag"


def sketches(file: Path) -> dict[str, dict[str, list[Pixels]]]:
    """Read the sketches of twenty things: part to name to pictures."""
    loaded = np.load(file)
    names = [str(name) for name in loaded["names"]]
    found: dict[str, dict[str, list[Pixels]]] = {"train": {}, "test": {}}
    for name in SKETCHES.split(","):
        own = [kinds.bold(one) for one in loaded["pixels"][loaded["labels"] == names.index(name)]]
        found["train"][name], found["test"][name] = own[:-20], own[-20:]
    return found


RANKS = slice(kinds.NAMES, 4 * kinds.NAMES)


def icon_names(sets: Sequence[dict[str, Any]]) -> list[str]:
    """Find the twenty commonest names of icons after the known ones."""
    known = {word for name in kinds.icon_names(sets)["train"] for word in name.split()}
    new = [
        name
        for name, own in kinds.icon_names(sets, RANKS)["test"].items()
        if len(own) >= TESTED and name not in TWINS and not known & set(name.split())
    ][:20]
    if len(new) < 20:
        raise SystemExit(f"icons: {len(new)} new names have {TESTED} test icons; give all sets")
    return new


def icons(package: Path) -> dict[str, dict[str, list[Pixels]]]:
    """Draw the icons of twenty new names, as `sketches` does."""
    sets = kinds.icon_sets(package)
    names, ranked = icon_names(sets), kinds.icon_names(sets, RANKS)
    return {
        part: {name: [kinds.render(svg) for _, svg in ranked[part][name]] for name in names}
        for part in ("train", "test")
    }


def main() -> None:
    """Write both folders."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quickdraw", type=Path, required=True, help="its npz file")
    parser.add_argument("--icons", type=Path, required=True, help="directory of @iconify/json")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    for kind, parts in (("sketches", sketches(given.quickdraw)), ("icons", icons(given.icons))):
        for part, names in parts.items():
            for name, pictures in names.items():
                folder = given.out / kind / part / name
                folder.mkdir(parents=True, exist_ok=True)
                for number, pixels in enumerate(pictures):
                    Image.fromarray(pixels).save(folder / f"{number}.png")
            print(kind, part, {name: len(own) for name, own in names.items()})


if __name__ == "__main__":
    main()
