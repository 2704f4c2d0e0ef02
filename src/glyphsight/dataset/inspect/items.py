"""Records of a dataset one after the other, the level grids of their pictures and their profile."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import get_format
from glyphsight.dataset.prompt import by_fixed_text
from glyphsight.dataset.record import Record
from glyphsight.dataset.storage import DatasetInfo, profile_of, read_sources, read_values, to_record
from glyphsight.errors import DatasetError, FormatError

_BATCH_RECORDS = 1024
_BATCH_CHARACTERS = 1 << 22

Grid = NDArray[np.uint8] | FormatError
"""Level grid uint8[rows, columns] of a picture, or the reason why its text has none."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a dataset file."""

    file: Path
    number: int  # of the entry in the file, from 1
    value: Any  # as JSON values
    record: Record | None  # None where the value is no record
    fault: str = ""  # reason why it is none


def read_items(files: Sequence[Path], info: DatasetInfo) -> Iterator[Item]:
    """Yield every entry of some dataset files of any layout, in order."""
    size = info.size or "0"  # only where the layout states none, and nobody asks for it
    for file in files:
        sources = read_sources(file)
        for number, value in enumerate(read_values(file), start=1):
            source = next(sources, "")
            try:
                record = to_record(value, "", info.wordings_of(file, number), size)
                "".join((*record.pictures, record.question, record.answer)).encode()
            except DatasetError as error:
                yield Item(file, number, value, None, str(error).removeprefix(": "))
                continue
            except UnicodeEncodeError as error:  # JSON can escape it; no tokenizer or file takes it
                half = f"U+{ord(error.object[error.start]):04X}"
                fault = f"holds {half}, which is no character; write it again"
                yield Item(file, number, value, None, fault)
                continue
            if source and not record.source:
                record = replace(record, source=source)
            yield Item(file, number, value, record)


def pair_of(item: Item, info: DatasetInfo) -> tuple[str, str]:
    """Return prompt and completion of a record: its own, else in the longest wording."""
    assert item.record is not None
    if "prompt" in item.value and "completion" in item.value:
        return item.value["prompt"], item.value["completion"]
    return by_fixed_text(info.wordings)[0].pair(item.record)


def batched(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Group items: at most 1,024, and about four million characters, per batch."""
    batch: list[Item] = []
    characters, fault = 0, None
    try:
        for item in items:
            batch.append(item)
            characters += len(item.record.picture) if item.record else 0
            if len(batch) == _BATCH_RECORDS or characters >= _BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
    except DatasetError as error:  # what came before it is looked at first
        fault = error
    if batch:
        yield batch
    if fault:
        raise fault


class Drawn:
    """Items drawn at random while they pass by (reservoir sampling, Vitter 1985)."""

    def __init__(self, most: int, seed: int) -> None:
        self._items: list[tuple[int, Item]] = []
        self._most = most
        self._rng = random.Random(seed)
        self._seen = 0

    def offer(self, item: Item) -> None:
        """Let an item pass by."""
        self._seen += 1
        if len(self._items) < self._most:
            self._items.append((self._seen, item))
        elif (index := self._rng.randrange(self._seen)) < self._most:
            self._items[index] = (self._seen, item)

    def in_order(self) -> list[Item]:
        """Return the drawn items in the order in which they passed by."""
        return [item for _, item in sorted(self._items, key=lambda pair: pair[0])]


def read_profile(path: Path, form: str | None = None, palette: str | None = None) -> Profile:
    """Read the profile of a dataset's pictures: as given, as its manifest says, else usual."""
    known = profile_of(path) if form is None or palette is None else None
    profile = known or PUBLISHED
    return replace(
        profile,
        format=profile.format if form is None else form,
        palette=profile.palette if palette is None else palette,
        threshold="equal",  # says nothing of the text, and its number depends on the palette
    )


def read_grids(texts: Iterable[str], profile: Profile) -> Iterator[Grid]:
    """Yield the grid of each text, or the reason why it has none."""
    form = get_format(profile.format)
    for text in texts:
        try:
            grid: Grid = form.read(text, profile.palette)
        except FormatError as error:
            grid = error
        yield grid


def text_width(grid: NDArray[np.uint8], profile: Profile) -> int:
    """Return the glyphs per row of a grid, which is the ``size`` of a record."""
    return int(grid.shape[1]) // get_format(profile.format).cell[1]


def cell_ratio(profile: Profile) -> float:
    """Compute the width of a level cell over its height, as a reader should see it."""
    tall, wide = get_format(profile.format).cell
    return profile.aspect * tall / wide
