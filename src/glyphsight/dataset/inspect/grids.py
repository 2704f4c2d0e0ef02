"""Level grids of the pictures of a dataset, many at a time, and the profile of their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import get_format
from glyphsight.codec.formats.base import Format, code_points
from glyphsight.dataset.storage import read_manifest
from glyphsight.errors import DatasetError, FormatError

Grid = NDArray[np.uint8] | FormatError
"""Level grid uint8[rows, columns] of a picture, or the reason why its text has none."""

_MAX_TEMPLATES = 256
_UNKNOWN = 255


def read_profile(path: Path, form: str | None = None, palette: str | None = None) -> Profile:
    """Read the profile of a dataset's pictures.

    Args:
        path: Dataset directory, or a file of one.
        form: Name of the format; None for that of ``manifest.json`` beside the data, else the
            published one.
        palette: Glyphs of the palette or its name; None as above.

    Raises:
        DatasetError: The manifest is damaged.
        FormatError: There is no such format or palette.
    """
    profile = PUBLISHED
    if (form is None or palette is None) and "profile" in (manifest := read_manifest(path)):
        try:
            profile = Profile(**manifest["profile"])
        except (TypeError, FormatError) as error:
            raise DatasetError(
                f"{path}: profile in its manifest: damaged ({error}); build the dataset again, or "
                "give format and palette"
            ) from error
    profile = replace(
        profile,
        format=profile.format if form is None else form,
        palette=profile.palette if palette is None else palette,
        threshold="equal",  # says nothing of the text, and its number depends on the palette
    )
    get_format(profile.format)
    return profile


@dataclass(frozen=True)
class _Template:
    """Texts of one length and one grid size, in which each cell has an index of its own.

    Attributes:
        codes: Text of the darkest grid, uint32[L].
        cells: Index of each cell in the text, in the order of the grid; int64[rows * columns].
        level_of: Level of each code point, 255 where it is no glyph; uint8[code points].
        shape: Rows and columns.
    """

    codes: NDArray[np.uint32]
    cells: NDArray[np.int64]
    level_of: NDArray[np.uint8]
    shape: tuple[int, int]

    def read(self, codes: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return grids uint8[N, rows, columns] of texts uint32[N, L], and which are right."""
        found = codes[:, self.cells]
        levels = self.level_of[np.minimum(found, len(self.level_of) - 1)]
        right = (levels != _UNKNOWN).all(axis=1)
        around = codes.copy()
        around[:, self.cells] = self.codes[self.cells]
        right &= (around == self.codes).all(axis=1)
        return levels.reshape(-1, *self.shape), right


def _template(form: Format, palette: str, shape: tuple[int, int]) -> _Template | None:
    """Make the template of a grid size; None for a format whose cells have no fixed index."""
    last = len(palette) - 1
    grids = np.zeros((4, *shape), dtype=np.uint8)
    grids[1] = last
    grids[2] = np.arange(shape[0] * shape[1]).reshape(shape) % len(palette)
    grids[3] = np.random.default_rng(0).integers(0, len(palette), shape)
    texts = form.render_batch(grids, palette)
    if len({len(text) for text in texts}) > 1:
        return None
    codes = np.stack([code_points(text) for text in texts])
    cells = np.flatnonzero(codes[0] != codes[1])
    if len(cells) != shape[0] * shape[1]:
        return None
    glyphs = np.zeros(len(palette), dtype=np.uint32)
    glyphs[grids[2].reshape(-1)] = codes[2][cells]
    level_of = np.full(int(glyphs.max()) + 2, _UNKNOWN, dtype=np.uint8)
    level_of[glyphs] = np.arange(len(palette))
    if len(palette) > shape[0] * shape[1]:  # not every glyph was seen
        return None
    template = _Template(codes[0], cells, level_of, shape)
    read, right = template.read(codes)
    return template if right.all() and np.array_equal(read, grids) else None


class GridReader:
    """Reader of texts of one profile: as strict as the format, many times as fast.

    Most formats give each cell an index of its own in texts of one length. Such texts are read
    together; a text that does not fit is read by the format, which knows what is wrong with it.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.format = get_format(profile.format)
        self._templates: dict[int, _Template | None] = {}

    def read(self, texts: Sequence[str]) -> list[Grid]:
        """Return the grid of each text, or the reason why it has none."""
        found: list[Grid | None] = [None] * len(texts)
        groups: dict[int, list[int]] = {}
        for index, text in enumerate(texts):
            groups.setdefault(len(text), []).append(index)
        for length, group in groups.items():
            template = self._template(length, texts[group[0]])
            if template is None:
                continue
            codes = code_points("".join(texts[index] for index in group))
            grids, right = template.read(codes.reshape(len(group), length))
            for index, grid, good in zip(group, grids, right.tolist(), strict=True):
                if good:
                    found[index] = grid
        return [
            self._read_one(text) if grid is None else grid
            for text, grid in zip(texts, found, strict=True)
        ]

    def columns(self, grid: NDArray[np.uint8]) -> int:
        """Return the glyphs per row of a grid, which is the ``size`` of a record."""
        return int(grid.shape[1]) // self.format.cell[1]

    def _read_one(self, text: str) -> Grid:
        try:
            return self.format.read(text, self.profile.palette)
        except FormatError as error:
            return error

    def _template(self, length: int, text: str) -> _Template | None:
        """Return the template for a length, made from the first text of it that can be read."""
        if length in self._templates:
            return self._templates[length]
        if len(self._templates) >= _MAX_TEMPLATES:
            return None
        grid = self._read_one(text)
        if isinstance(grid, FormatError):
            return None
        rows, columns = grid.shape
        made = _template(self.format, self.profile.palette, (rows, columns))
        self._templates[length] = made
        return made


def cell_ratio(profile: Profile) -> float:
    """Compute the width of a level cell over its height, as a reader should see it."""
    tall, wide = get_format(profile.format).cell
    return profile.aspect * tall / wide
