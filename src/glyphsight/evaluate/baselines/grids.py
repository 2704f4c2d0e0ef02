"""What a baseline learns from and is judged on: the level grids of texts, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset import Record
from glyphsight.dataset.inspect.grids import GridReader
from glyphsight.errors import DatasetError, FormatError


@dataclass(frozen=True)
class Grids:
    """Labelled level grids, read from the very texts a model reads.

    Attributes:
        cells: The grid of each text, uint8[rows, columns], values below ``levels``; their shapes
            may differ.
        labels: The right answer to each.
        levels: Number of brightness levels, at least 2.
        where: What they were read from, for messages.
    """

    cells: list[NDArray[np.uint8]]
    labels: list[str]
    levels: int
    where: str

    @staticmethod
    def read(
        texts: Sequence[str],
        labels: Sequence[str],
        profile: Profile = PUBLISHED,
        where: str = "these texts",
    ) -> Grids:
        """Read texts back to their grids, strictly.

        Args:
            texts: As a model reads them, without the prompt's words.
            labels: The right answer to each.
            profile: How they were written; its format and palette matter.
            where: What they come from, for messages.

        Raises:
            DatasetError: Not one label a text, or a text is not in this format; names the record.
        """
        if len(texts) != len(labels):
            raise DatasetError(f"{where}: {len(texts)} texts but {len(labels)} labels")
        cells = []
        for number, grid in enumerate(GridReader(profile).read(texts), start=1):
            if isinstance(grid, FormatError):
                raise DatasetError(
                    f"{where}: record {number}: {grid}; baselines read what the text holds: give "
                    "the format and the palette it was written in, or mend it"
                )
            cells.append(grid)
        return Grids(cells, list(labels), profile.levels, where)

    @staticmethod
    def of(records: Sequence[Record], profile: Profile, where: str) -> Grids:
        """Read the texts of records back to their grids; raises as :meth:`read` does."""
        texts, labels = [one.picture for one in records], [one.answer for one in records]
        return Grids.read(texts, labels, profile, where)

    @property
    def size(self) -> tuple[int, int]:
        """The most rows and the most columns of any grid; 0 and 0 where there is none."""
        return (
            max((grid.shape[0] for grid in self.cells), default=0),
            max((grid.shape[1] for grid in self.cells), default=0),
        )

    def only(self, rows: NDArray[np.int64]) -> Grids:
        """Those records alone."""
        chosen = rows.tolist()
        return Grids(
            [self.cells[row] for row in chosen],
            [self.labels[row] for row in chosen],
            self.levels,
            self.where,
        )

    def padded(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """All grids in the middle of one size, uint8[N, rows, columns], the darkest level around.

        A grid that leaves an odd number of rows or columns free lies nearer to the top and left.
        """
        stack = np.zeros((len(self.cells), *size), dtype=np.uint8)
        for place, grid in zip(stack, self.cells, strict=True):
            (rows, columns), (tall, wide) = grid.shape, size
            top, left = (tall - rows) // 2, (wide - columns) // 2
            place[top : top + rows, left : left + columns] = grid
        return stack
