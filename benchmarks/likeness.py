"""What the builder's perceptual hash takes for alike among MNIST's digits, at several sizes.

    python benchmarks/likeness.py --mnist DIR

DIR holds MNIST's IDX files. Cells are those in which a picture differs from the first one it is
taken to be like, of 220. The last columns say how many pictures keep their hash when they change a
little.
"""

from __future__ import annotations

import argparse
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glyphsight.codec.encode import level_grids
from glyphsight.dataset import likeness
from glyphsight.media.change import Augmentation, augment
from glyphsight.sources import load_split, open_source

SOME = 5000  # pictures that are changed
SIDES = (8, 10, 12, 16)


def grids(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The level grids of many pictures, in the published format."""
    return np.concatenate(list(level_grids(pixels)))


def as_jpeg(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each picture saved as a JPEG of quality 90 and read again."""
    found = []
    for picture in pixels:
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "JPEG", quality=90)
        found.append(np.asarray(Image.open(stream)))
    return np.stack(found)


def main() -> None:
    """Print a line for each size of the hash's grid; the builder's is 12."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", required=True, help="directory with MNIST's IDX files")
    source = open_source(f"idx:{parser.parse_args().mnist}")
    train, test = load_split(source, "train"), load_split(source, "test")
    levels, others, labels = grids(train.pixels), grids(test.pixels), np.array(train.labels)
    numbers = np.arange(SOME)
    noise = np.random.default_rng(0).integers(-8, 9, (SOME, 28, 28))
    changed = {
        "JPEG": as_jpeg(train.pixels[:SOME]),
        "noise of 8": np.clip(train.pixels[:SOME] + noise, 0, 255).astype(np.uint8),
        "quarter of a pixel": augment(
            train.pixels[:SOME], Augmentation(0.25, 0, 0, 0), 0, 1, numbers
        ),
    }
    print(
        "| grid | alike | of them 1 | other digit | cells: half | 99 % | most | as a test digit | "
        + " | ".join(changed)
        + " |\n|"
        + "---|" * (8 + len(changed))
    )
    ways = {f"{side}": likeness.alike_hashes for side in SIDES} | {"same": likeness.exact_hashes}
    for name, hashes_of in ways.items():
        if name != "same":
            likeness._SIDE = int(name)
        hashes = hashes_of(levels)
        _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
        later = np.flatnonzero(first[group] != np.arange(len(hashes)))
        like = first[group][later]
        cells = (levels[later] != levels[like]).sum(axis=(1, 2))
        half, most_of, most = np.percentile(cells, [50, 99, 100])
        kept = [(hashes_of(grids(each)) == hashes[:SOME]).mean() for each in changed.values()]
        print(
            f"| {name} | {len(later)} | {(labels[later] == '1').sum()} "
            f"| {(labels[later] != labels[like]).sum()} | {half:.0f} | {most_of:.0f} | {most:.0f} "
            f"| {np.isin(hashes, hashes_of(others)).sum()} | "
            + " | ".join(f"{share:.0%}" for share in kept)
            + " |"
        )


if __name__ == "__main__":
    main()
