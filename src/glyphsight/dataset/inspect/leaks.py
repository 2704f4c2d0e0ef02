"""Duplicates, contradictions and leakage, found with a few bytes a record in memory."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.dataset.build.likeness import alike_hashes
from glyphsight.errors import FormatError


def digest(text: str) -> int:
    """8 bytes of BLAKE2b of a text, as a number."""
    raw = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(raw, "little")


def likenesses(grids: Sequence[NDArray[np.uint8] | FormatError], texts: Sequence[str]) -> list[int]:
    """A number for each picture, equal for those that look alike.

    Args:
        grids: The level grid of each, uint8[rows, columns], or why it has none.
        texts: The text of each, which stands for the picture where there is no grid.
    """
    found = [0] * len(grids)
    groups: dict[tuple[int, ...], list[tuple[int, NDArray[np.uint8]]]] = {}
    for place, grid in enumerate(grids):
        if isinstance(grid, FormatError):
            found[place] = digest(texts[place])
        else:
            groups.setdefault(grid.shape, []).append((place, grid))
    for same in groups.values():
        hashes = alike_hashes(np.stack([grid for _, grid in same])).tolist()
        for (place, _), likeness in zip(same, hashes, strict=True):
            found[place] = likeness
    return found


class Traces:
    """What is kept of the records of a dataset, in the order in which they are added.

    20 bytes a record: a digest of the text, the picture's likeness and a number for the answer.
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
        """What is added from here on belongs to another split."""
        self.splits.append(split)
        self._starts.append(len(self))

    def add(self, text: str, answer: str, likeness: int) -> None:
        """Keep the trace of a record.

        Args:
            text: The picture as text.
            answer: What belongs to it.
            likeness: Equal for pictures that look alike; below 2**64.
        """
        self._texts.append(digest(text))
        self._likenesses.append(likeness)
        self._answers.append(self.answers.setdefault(answer, len(self.answers)))

    def skip(self) -> None:
        """Count a record that has no picture or answer, and is like no other."""
        own = digest(f"\0{len(self)}")
        self._texts.append(own)
        self._likenesses.append(own)
        self._answers.append(-1)

    def split_of(self) -> NDArray[np.int64]:
        """The number of each record's split, int64[N]."""
        return np.repeat(
            np.arange(len(self.splits)), np.diff(np.array([*self._starts, len(self)]))
        ).astype(np.int64)

    def place(self, index: int) -> tuple[str, int]:
        """The split of a record and its number there, from 0."""
        split = bisect_right(self._starts, index) - 1
        return self.splits[split], index - self._starts[split]

    def texts(self) -> NDArray[np.uint64]:
        """Digest of each text, uint64[N]."""
        return np.frombuffer(self._texts, dtype=np.uint64)

    def likenesses(self) -> NDArray[np.uint64]:
        """Likeness of each picture, uint64[N]."""
        return np.frombuffer(self._likenesses, dtype=np.uint64)

    def answer_numbers(self) -> NDArray[np.int32]:
        """Number of each answer, -1 where there is none; int32[N]."""
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
    """For each key the index of its first occurrence, int64[N]."""
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
    """How many of the repeating records lie in each split."""
    found = np.bincount(traces.split_of()[pairs[:, 0]], minlength=len(traces.splits))
    return dict(zip(traces.splits, found.tolist(), strict=True))
