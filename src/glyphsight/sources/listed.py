"""Sources that list the files of a local directory, each with its answer."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError, PictureError
from glyphsight.files import hash64
from glyphsight.sources.base import PART, Failure, Part, Pictures, batches
from glyphsight.sources.items import answer_text, one_line_name
from glyphsight.sources.location import directory, in_order, licence_of, take_options

_SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini")  # a file manager's own


class Item(NamedTuple):
    """A file and its answer.

    Attributes:
        name: Path relative to the directory, ``/`` between folders.
        answer: "" where there is none.
        problem: Why it is not to be read, or "".
    """

    name: str
    answer: str
    problem: str = ""


Listing = dict[str, list[Item]]

_held: dict[tuple[type, str], Listing] = {}  # the last one of this process


def walk(root: Path) -> list[str]:
    """Files under a directory, relative and sorted; not hidden ones, nor a file manager's own.

    Links are followed, each folder is entered once.

    Raises:
        DatasetError: A folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise DatasetError(f"{error.filename}: cannot be read ({error.strerror})")

    found = []
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        stat = Path(folder).stat()
        if (stat.st_dev, stat.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        place = Path(folder).relative_to(root).as_posix()
        found += [
            name if place == "." else f"{place}/{name}"
            for name in names
            if not name.startswith(".") and name.lower() not in _SYSTEM
        ]
    return sorted(found)


class ListedSource(ABC):
    """A local directory of files, listed once a process; a subclass says what they mean."""

    give = ""
    options: tuple[str, ...] = ()

    def __init__(self, location: str) -> None:
        self._location = location
        place, self._chosen = take_options(location, *self.options)
        self._directory = directory(place, self.give)
        self._listed = False

    @abstractmethod
    def listing(self) -> Listing:
        """Every file by split, in a fixed order."""

    @abstractmethod
    def load(self, path: Path) -> NDArray[np.uint8]:
        """Pixels uint8[H, W] of a file."""

    @property
    def licence(self) -> str:
        """As its LICENSE file or dataset card says."""
        return licence_of(self._directory)

    @property
    def splits(self) -> tuple[str, ...]:
        """Those the directory has."""
        return in_order(self._files(again=not self._listed))

    def parts(self, split: str) -> list[Part]:
        """Ranges of the listing, each with a digest of its names and answers."""
        items = self._files(again=not self._listed)[split]
        return [
            Part(split, (start, start + len(some), _digest(some)))
            for start in range(0, len(items), PART)
            if (some := items[start : start + PART])
        ]

    def read(self, part: Part) -> Iterator[Pictures | Failure]:
        """Files of a range; ids are their names."""
        start, stop, digest = part.location
        for again in (False, True):
            items = self._files(again=again).get(part.split, [])[int(start) : int(stop)]
            if _digest(items) == digest:
                break
        else:
            raise DatasetError(f"{self._directory}: changed since it was listed; start again")
        yield from batches(map(self._read_one, items))

    def _read_one(self, item: Item) -> tuple[str, str, NDArray[np.uint8]] | Failure:
        name, path = one_line_name(item.name), self._directory / item.name
        problem = item.problem
        try:
            if not problem:
                return name, answer_text(item.answer), self.load(path)
        except ValueError as error:
            problem = f"{path}: {error}; rename its folder"
        except PictureError as error:
            problem = str(error)
        return Failure(name, one_line_name(problem))

    def _files(self, again: bool) -> Listing:
        key = (type(self), self._location)
        if again or key not in _held:
            found = self.listing()
            _held.clear()
            _held[key] = found
            self._listed = True
        return _held[key]


def _digest(items: list[Item]) -> str:
    told = "\0".join(part for item in items for part in item)
    return f"{hash64(told):016x}"
