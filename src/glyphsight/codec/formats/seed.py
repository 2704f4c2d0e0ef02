"""The published format: one ``<row:N>...</row:N>`` line a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.text import parse, render_batch


class Seed:
    """The published format and the default."""

    name = "seed"
    cell = (1, 1)
    max_levels = 16

    def render_batch(self, levels: NDArray[np.uint8], palette: str) -> list[str]:
        """Write grids as tagged rows."""
        return render_batch(levels, palette)

    def read(self, text: str, palette: str) -> NDArray[np.uint8]:
        """Read tagged rows, strictly."""
        return parse(text, palette)
