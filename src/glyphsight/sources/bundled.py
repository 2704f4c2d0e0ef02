"""Real handwritten digits that ship with the package, so that everything works offline.

``assets/digits.npz`` is made by ``scripts/bundle_digits.py``: 20,000 training and 2,000 validation
digits from MNIST's training file, stratified, and its complete test file.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from glyphsight.errors import DatasetError
from glyphsight.sources.base import Pictures


class BundledSource:
    """The bundled MNIST digits.

    Attributes:
        splits: ``train`` (20,000), ``validation`` (2,000) and ``test`` (10,000).
        licence: MNIST's.
    """

    splits = ("train", "validation", "test")
    licence = "MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0"

    def __init__(self, location: str = "") -> None:
        if location:
            raise DatasetError(f"bundled:{location}: the bundled digits take no location; drop it")

    def load(self, split: str) -> Pictures:
        """All digits of ``split``; ids name the item's index in MNIST's own file."""
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
