"""Duplicates, contradictions and leaks, found with a few bytes per record in memory."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glyphsight.dataset.build.likeness import alike_hashes
from glyphsight.dataset.inspect.grids import Grid, GridReader
from glyphsight.dataset.record import Record
from glyphsight.errors import FormatError
from glyphsight.files import hash64


def likenesses(grids: Sequence[Grid], texts: Sequence[str]) -> list[int]:
    """Return a number for each picture, equal for pictures that look alike.

    Args:
        grids: Level grid of each picture, or the reason why it has none.
        texts: Text of each picture, which stands for it where there is no grid.
    """
    found = [0] * len(grids)
    groups: dict[tuple[int, ...], list[tuple[int, NDArray[np.uint8]]]] = {}
    for index, grid in enumerate(grids):
        if isinstance(grid, FormatError):
            found[index] = hash64(texts[index])
        else:
            groups.setdefault(grid.shape, []).append((index, grid))
    for same in groups.values():
        hashes = alike_hashes(np.stack([grid for _, grid in same])).tolist()
        for (index, _), likeness in zip(same, hashes, strict=True):
            found[index] = likeness
    return found


class Seen(NamedTuple):
    """The pictures of a record.

    Attributes:
        grids: Level grid of each picture, or the reason why it has none.
        likeness: Number that is equal for records whose pictures look alike; below 2**64.
    """

    grids: list[Grid]
    likeness: int


def look_at(records: Sequence[Record], reader: GridReader) -> list[Seen]:
    """Read the pictures of some records, all together."""
    texts = [picture for record in records for picture in record.pictures]
    grids = reader.read(texts)
    pairs = zip(grids, likenesses(grids, texts), strict=True)
    seen = []
    for record in records:
        own = list(islice(pairs, len(record.pictures)))
        likeness = own[0][1] if len(own) == 1 else hash64(f"{[one for _, one in own]}{key(record)}")
        seen.append(Seen([grid for grid, _ in own], likeness))
    return seen


def key(record: Record) -> str:
    """Return the text that has one answer: pictures and question.

    Without a picture the answer belongs to the text, since "Draw a 7" has many right answers.
    """
    if not record.pictures:
        return f"{record.question}\0{record.answer}"
    return f"{record.picture}\0{record.question}" if record.question else record.picture


class Traces:
    """Traces of the records of a dataset, in the order in which they are added.

    20 bytes per record: a digest of the text, the picture's likeness and a number for the answer.
    Different answers are kept once, as they are.
    """

    def __init__(self) -> None:
        self._texts = array("Q")
        self._likenesses = array("Q")
        self._answers = array("i")
        self._starts: list[int] = []
        self.splits: list[str] = []
        self.answers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def start(self, split: str) -> None:
        """Begin another split; the records added from here on belong to it."""
        self.splits.append(split)
        self._starts.append(len(self))

    def add(self, text: str, answer: str, likeness: int) -> None:
        """Keep the trace of a record.

        Args:
            text: Pictures and question; see :func:`key`.
            answer: Answer of the record.
            likeness: Number that is equal for pictures that look alike; below 2**64.
        """
        self._texts.append(hash64(text))
        self._likenesses.append(likeness)
        self._answers.append(self.answers.setdefault(answer, len(self.answers)))

    def skip(self) -> None:
        """Count an entry that is no record, and like no other."""
        own = hash64(f"\0{len(self)}")
        self._texts.append(own)
        self._likenesses.append(own)
        self._answers.append(-1)

    def split_of(self) -> NDArray[np.int64]:
        """Return the number of each record's split, int64[N]."""
        return np.repeat(
            np.arange(len(self.splits)), np.diff(np.array([*self._starts, len(self)]))
        ).astype(np.int64)

    def split_and_number(self, index: int) -> tuple[str, int]:
        """Return the split of a record and its number there, from 0."""
        split = bisect_right(self._starts, index) - 1
        return self.splits[split], index - self._starts[split]

    def texts(self) -> NDArray[np.uint64]:
        """Return the digest of each text, uint64[N]."""
        return np.frombuffer(self._texts, dtype=np.uint64)

    def likenesses(self) -> NDArray[np.uint64]:
        """Return the likeness of each picture, uint64[N]."""
        return np.frombuffer(self._likenesses, dtype=np.uint64)

    def answer_numbers(self) -> NDArray[np.int32]:
        """Return the number of each answer, -1 where there is none; int32[N]."""
        return np.frombuffer(self._answers, dtype=np.int32)


@dataclass(frozen=True)
class Repeats:
    """Records whose text or looks another record had before them, as pairs of record numbers.

    Records are numbered from 0 in the order in which their traces were kept. Each array is
    int64[K, 2]: the record, and the first one that it repeats. A record whose text has two answers
    before it can be a contradiction and a leak or duplicate too.

    Attributes:
        contradictions: The same text with another answer, in whatever split.
        leaks: The same text and answer in an earlier split.
        duplicates: The same text and answer in the same split.
        lookalikes: Another text of equal likeness in an earlier split.
    """

    contradictions: NDArray[np.int64]
    leaks: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    lookalikes: NDArray[np.int64]


def _first(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each key the index of its first occurrence, int64[N]."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    result: NDArray[np.int64] = first[inverse.reshape(-1)].astype(np.int64)
    return result


def _pairs(chosen: NDArray[np.bool_], first: NDArray[np.int64]) -> NDArray[np.int64]:
    records = np.flatnonzero(chosen).astype(np.int64)
    return np.stack([records, first[records]], axis=1)


def find_repeats(traces: Traces) -> Repeats:
    """Compare every record with all before it, by sorting: N log N."""
    split = traces.split_of()
    answers = traces.answer_numbers()
    texts = traces.texts()
    numbers = np.arange(len(texts))
    first = _first(texts)
    kinds = len(traces.answers) + 1  # with none
    same = _first((first * kinds + answers + 1).astype(np.uint64))
    again, repeated = first != numbers, same != numbers
    elsewhere = split[same] != split
    alike = _first(traces.likenesses())
    looks = (split[alike] != split) & ~(again & (split[first] != split))
    return Repeats(
        contradictions=_pairs(again & (answers[first] != answers), first),
        leaks=_pairs(repeated & elsewhere, same),
        duplicates=_pairs(repeated & ~elsewhere, same),
        lookalikes=_pairs(looks, alike),
    )


def counts_by_split(pairs: NDArray[np.int64], traces: Traces) -> dict[str, int]:
    """Count the repeating records in each split."""
    found = np.bincount(traces.split_of()[pairs[:, 0]], minlength=len(traces.splits))
    return dict(zip(traces.splits, found.tolist(), strict=True))
