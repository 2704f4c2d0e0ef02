"""Real handwritten digits that ship with the package, so that everything works offline.

``assets/digits.npz`` is made by ``scripts/bundle_digits.py``: 20,000 training and 2,000 validation
digits from MNIST's training file, stratified, and its complete test file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

import numpy as np

from glyphsight.errors import DatasetError
from glyphsight.sources.base import Failure, Part, Pictures, ranges

_BATCH = 1024


class BundledSource:
    """The MNIST digits that ship with the package.

    Attributes:
        splits: ``train`` (20,000), ``validation`` (2,000) and ``test`` (10,000).
        licence: MNIST's.
    """

    splits = ("train", "validation", "test")
    licence = "MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0"

    def __init__(self, location: str = "") -> None:
        if location:
            raise DatasetError("the bundled digits take no location; drop it")

    def parts(self, split: str) -> list[Part]:
        """Ranges of digits."""
        return ranges(split, len(_load(split)))

    def read(self, part: Part) -> Iterator[Pictures | Failure]:
        """Digits of a range; ids name the item's index in MNIST's own file."""
        start, stop = map(int, part.location)
        for at in range(start, stop, _BATCH):
            yield _load(part.split).take(np.arange(at, min(at + _BATCH, stop)))


@lru_cache(maxsize=3)
def _load(split: str) -> Pictures:
    """All digits of a split; unpacked once a process."""
    resource = files("glyphsight") / "assets" / "digits.npz"
    with resource.open("rb") as stream, np.load(stream) as archive:
        pixels, labels = archive[f"{split}_pixels"], archive[f"{split}_labels"]
        indices = archive[f"{split}_indices"]
    origin = "t10k" if split == "test" else "train"
    return Pictures(
        pixels,
        [str(label) for label in labels.tolist()],
        [f"{origin}-images-idx3-ubyte:{index}" for index in indices.tolist()],
    )
