"""What a format is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Format(Protocol):
    """A way to write level grids as text. ``read(render_batch(grid)) == grid``, for every grid.

    Attributes:
        name: What ``--format`` calls it.
        cell: Rows and columns of the grid that one glyph holds: (1, 1), or (4, 2) for braille.
        max_levels: The most levels it can carry.
    """

    name: str
    cell: tuple[int, int]
    max_levels: int

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids uint8[N, rows, columns], values below ``len(palette)``, as N texts."""
        ...

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read one text back to its grid uint8[rows, columns].

        Raises:
            FormatError: Names the line and what is wrong with it.
        """
        ...
