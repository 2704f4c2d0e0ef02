"""What every source gives: splits by name, each a batch of labelled pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pictures:
    """Labelled grayscale pictures of one size.

    Attributes:
        pixels: uint8[N, H, W], 0 black to 255 white.
        labels: N answers.
        ids: N names that say which item of the source each picture is, unique in the source.
    """

    pixels: NDArray[np.uint8]
    labels: list[str]
    ids: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Pictures:
        """The pictures at ``indices``, in that order."""
        chosen = indices.tolist()
        return Pictures(
            self.pixels[indices],
            [self.labels[i] for i in chosen],
            [self.ids[i] for i in chosen],
        )


class Source(Protocol):
    """A place labelled pictures come from."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits the source has, such as ``("train", "test")``."""
        ...

    @property
    def licence(self) -> str:
        """Licence and attribution of the pictures, or "" where the source states none."""
        ...

    def load(self, split: str) -> Pictures:
        """All pictures of one of ``splits``."""
        ...
