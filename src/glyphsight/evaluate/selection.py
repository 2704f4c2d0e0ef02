"""Which records an evaluation judges: a first look at all of them, then each as it is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import Record
from glyphsight.dataset.storage import DatasetInfo, read_info, read_records, split_files
from glyphsight.errors import DatasetError
from glyphsight.sampling import stratified_sample
from glyphsight.sources import Failure, Part, Source, is_spec, open_source

_HELD = 20_000  # records kept from the first look, so that small data is read once


@dataclass(frozen=True)
class Reading:
    """Labelled pictures as text, in a fixed order: parts of a source or files of a dataset.

    Attributes:
        data: Dataset directory, dataset file or source SPEC.
        split: Which split of a directory or source.
        profile: How a source's pictures are encoded.
    """

    data: str
    split: str
    profile: Profile

    @cached_property
    def _source(self) -> Source | None:
        if not is_spec(self.data):
            return None
        source = open_source(self.data)
        if self.split not in source.splits:
            names = ", ".join(source.splits)
            raise DatasetError(f"{self.data}: has no split {self.split!r}; it has {names}")
        return source

    @cached_property
    def _info(self) -> DatasetInfo:
        return read_info(Path(self.data))

    @cached_property
    def files(self) -> list[Path]:
        """The dataset files; none for a source."""
        if self._source is not None:
            return []
        [files] = split_files(Path(self.data), self.split).values()
        return files

    def pieces(self) -> Sequence[Part | Path]:
        """What can be read apart.

        Raises:
            DatasetError: The data or the split is not there.
        """
        return self.files if self._source is None else self._source.parts(self.split)

    def read(self, piece: Part | Path) -> Iterator[Record]:
        """The records of a piece, in memory that does not grow where its layout allows.

        Raises:
            DatasetError: Names the file and what is wrong.
        """
        if isinstance(piece, Path):
            yield from read_records(piece, self._info)
        elif self._source is not None:
            size = str(self.profile.width)
            for batch in self._source.read(piece):
                if isinstance(batch, Failure):
                    raise DatasetError(batch.reason)
                for text, label in zip(
                    encode_batch(batch.pixels, self.profile), batch.labels, strict=True
                ):
                    yield Record((text,), label, size=size)


class Picker:
    """Records by their place in the whole; going forwards reads nothing twice.

    Args:
        reading: Where they come from.
        counts: Records of each of its pieces.
    """

    def __init__(self, reading: Reading, counts: Sequence[int]) -> None:
        self._reading = reading
        self._starts = np.concatenate([[0], np.cumsum(np.array(counts, dtype=np.int64))])
        self._pieces: Sequence[Part | Path] | None = None
        self._piece = -1
        self._next = 0
        self._left: Iterator[Record] = iter(())

    def take(self, places: NDArray[np.int64]) -> list[Record]:
        """The records at ascending places.

        Raises:
            DatasetError: They cannot be read, or are fewer than they were.
        """
        return [self._at(place) for place in places.tolist()]

    def _at(self, place: int) -> Record:
        piece = int(np.searchsorted(self._starts, place, side="right")) - 1
        if piece != self._piece or place < self._next:
            if self._pieces is None:
                self._pieces = self._reading.pieces()
            if piece >= len(self._pieces):
                raise self._changed()
            self._left = self._reading.read(self._pieces[piece])
            self._piece, self._next = piece, int(self._starts[piece])
        record = next(islice(self._left, place - self._next, None), None)
        self._next = place + 1
        if record is None:
            raise self._changed()
        return record

    def _changed(self) -> DatasetError:
        return DatasetError(f"{self._reading.data}: changed while it was read; start again")


@dataclass(frozen=True)
class Judged:
    """The records of an evaluation.

    Attributes:
        reading: Where they come from.
        counts: Records of each of its pieces, judged or not.
        labels: Every label of the whole split, sorted, whatever a limit left of it.
        places: Which records are judged, int64[N], ascending; at least one.
        codes: The number in ``labels`` of each one's answer, int32[N].
        held: All records of ``reading`` where they are few, else None.
        digest: SHA-256 of all records, in hexadecimal.
    """

    reading: Reading
    counts: list[int]
    labels: list[str]
    places: NDArray[np.int64]
    codes: NDArray[np.int32]
    held: list[Record] | None
    digest: str

    def __len__(self) -> int:
        return len(self.places)

    @property
    def split(self) -> str | None:
        """Its split; None where a file was named."""
        whole = not self.reading.files or Path(self.reading.data).is_dir()
        return self.reading.split if whole else None

    def name(self, row: int) -> str:
        """What a user calls the record of a row: its data and its number there, from 1."""
        place = int(self.places[row])
        if not self.reading.files:
            return f"{self.reading.data}: split {self.reading.split}: record {place + 1}"
        starts = np.cumsum([0, *self.counts])
        piece = int(np.searchsorted(starts, place, side="right")) - 1
        return f"{self.reading.files[piece]}: record {place - int(starts[piece]) + 1}"

    def picker(self) -> Picker:
        """Reads any of them."""
        return Picker(self.reading, self.counts)


def look_at(data: str, split: str, limit: int | None, seed: int, profile: Profile) -> Judged:
    """Read every record once for its answer, and choose which are judged.

    Args:
        data: Dataset directory, dataset file or source SPEC; a file has no splits.
        split: Which split of a directory or source.
        limit: At most so many records, stratified by label; None for all.
        seed: Of that choice.
        profile: How a source's pictures are encoded.

    Raises:
        DatasetError: The data cannot be read or is empty.
    """
    reading = Reading(data, split, profile)
    names: dict[str, int] = {}
    found: list[NDArray[np.int32]] = []
    held: list[Record] | None = []
    digest = sha256()
    for piece in reading.pieces():
        codes = []
        for record in reading.read(piece):
            codes.append(names.setdefault(record.answer, len(names)))
            digest.update(json.dumps(list(record.as_json().values())).encode())
            if held is not None:
                held.append(record)
                if len(held) > _HELD:
                    held = None
        found.append(np.array(codes, dtype=np.int32))
    counts = [len(codes) for codes in found]
    if not sum(counts):
        file = reading.files and not Path(data).is_dir()
        raise DatasetError(f"{data if file else f'{data}: split {split}'} holds no record")
    labels = sorted(names)
    rank = np.empty(len(labels), dtype=np.int32)
    rank[[names[label] for label in labels]] = np.arange(len(labels))
    every = rank[np.concatenate(found)]
    chosen = stratified_sample(every, len(every) if limit is None else limit, seed)
    return Judged(reading, counts, labels, chosen, every[chosen], held, digest.hexdigest())
