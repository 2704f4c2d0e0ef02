"""The level grids of a part, kept from the scan until they are written as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.lib.format import read_array, write_array
from numpy.typing import NDArray

_NOTE = "items.json"


class GridWriter:
    """Writes grids as they come, so that no more than a batch is held."""

    def __init__(self, path: Path) -> None:
        self._zip = ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1)
        self._count = 0

    def __enter__(self) -> GridWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    def add(self, levels: NDArray[np.uint8]) -> None:
        """Keep uint8[n, rows, columns], the next n items."""
        with self._zip.open(f"{self._count:05d}.npy", "w", force_zip64=True) as stream:
            write_array(stream, levels, allow_pickle=False)
        self._count += 1

    def name(self, ids: list[str], labels: list[str]) -> None:
        """Note the names and the answers of all items, at the end."""
        self._zip.writestr(_NOTE, json.dumps([ids, labels]))


def read_names(path: Path) -> list[str]:
    """The names of all items, in order."""
    with ZipFile(path) as archive:
        names: list[str] = json.loads(archive.read(_NOTE))[0]
    return names


def read_grids(path: Path) -> Iterator[tuple[NDArray[np.uint8], list[str], list[str]]]:
    """Grids, names and answers, in the pieces they were kept in."""
    with ZipFile(path) as archive:
        ids, labels = json.loads(archive.read(_NOTE))
        at = 0
        for name in archive.namelist():
            if name == _NOTE:
                continue
            with archive.open(name) as stream:
                levels: NDArray[np.uint8] = read_array(stream, allow_pickle=False)
            stop = at + len(levels)
            yield levels, ids[at:stop], labels[at:stop]
            at = stop
