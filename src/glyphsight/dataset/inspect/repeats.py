"""Duplicates, contradictions and leaks, found with 24 bytes per record in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.dataset.inspect.items import Grid, Item, batched, read_grids
from glyphsight.dataset.likeness import alike_hashes
from glyphsight.dataset.record import Record
from glyphsight.errors import FormatError
from glyphsight.files import hash64


def likenesses(grids: Sequence[Grid], texts: Sequence[str]) -> list[int]:
    """Return a number for each picture, equal for pictures that look alike.

    The text of a picture stands for it where there is no grid.
    """
    found = [
        hash64(text) if isinstance(grid, FormatError) else 0
        for grid, text in zip(grids, texts, strict=True)
    ]
    by_shape: dict[tuple[int, ...], list[tuple[int, NDArray[np.uint8]]]] = {}
    for index, grid in enumerate(grids):
        if not isinstance(grid, FormatError):
            by_shape.setdefault(grid.shape, []).append((index, grid))
    for same in by_shape.values():
        hashes = alike_hashes(np.stack([grid for _, grid in same])).tolist()
        for (index, _), likeness in zip(same, hashes, strict=True):
            found[index] = likeness
    return found


class Traces:
    """Traces of the records of a dataset, in the order in which they are added.

    A trace is a digest of the text, the picture's likeness and a number for the answer, -1 where
    there is none. Different answers are kept once, as they are.
    """

    def __init__(self) -> None:
        self.splits: list[str] = []
        self.answers: dict[str, int] = {}
        self.texts, self.likenesses, self.answer_numbers = array("Q"), array("Q"), array("q")
        self._starts: list[int] = []

    def __len__(self) -> int:
        return len(self.texts)

    def start(self, split: str) -> None:
        """Begin another split; the records added from here on belong to it."""
        self.splits.append(split)
        self._starts.append(len(self))

    def add(self, text: str, answer: str, likeness: int) -> None:
        """Keep the trace of a record: its text, that is pictures and question, and its likeness."""
        self._keep(hash64(text), likeness, self.answers.setdefault(answer, len(self.answers)))

    def skip(self) -> None:
        """Count an entry that is no record, and like no other."""
        own = hash64(f"\0{len(self)}")
        self._keep(own, own, -1)

    def _keep(self, text: int, likeness: int, answer: int) -> None:
        self.texts.append(text)
        self.likenesses.append(likeness)
        self.answer_numbers.append(answer)

    def split_of(self) -> NDArray[np.int64]:
        """Return the number of each record's split, int64[N]."""
        sizes = np.diff([*self._starts, len(self)])
        return np.repeat(np.arange(len(self.splits)), sizes).astype(np.int64)


def look_through(
    items: Iterator[Item], profile: Profile, traces: Traces
) -> Iterator[tuple[Item, list[Grid]]]:
    """Yield each entry with the level grids of its pictures, and keep its trace."""
    for batch in batched(items):
        texts = [text for item in batch if item.record for text in item.record.pictures]
        grids = list(read_grids(texts, profile))
        pairs = zip(grids, likenesses(grids, texts), strict=True)
        for item in batch:
            own: list[tuple[Grid, int]] = []
            if item.record is None:
                traces.skip()
            else:
                own = list(islice(pairs, len(item.record.pictures)))
                text, looks = _key(item.record), [likeness for _, likeness in own]
                likeness = looks[0] if len(looks) == 1 else hash64(f"{looks}{text}")
                traces.add(text, item.record.answer, likeness)
            yield item, [grid for grid, _ in own]


def _key(record: Record) -> str:
    """Return the text that has one answer: pictures and question.

    Without a picture the answer belongs to the text, since "Draw a 7" has many right answers.
    """
    if not record.pictures:
        return f"{record.question}\0{record.answer}"
    return f"{record.picture}\0{record.question}" if record.question else record.picture


def find_repeats(traces: Traces) -> dict[str, NDArray[np.int64]]:
    """Compare every record with all before it, by sorting: N log N.

    Returns:
        Pairs of record numbers from 0 by kind, int64[K, 2]: the record, and the first that it
        repeats. The kinds are ``contradictions``, the same text with another answer, in whatever
        split; ``leaks`` and ``duplicates``, the same text and answer in an earlier and in the same
        split; ``lookalikes``, another text of equal likeness in an earlier split. A record whose
        text has two answers before it can be a contradiction and a leak or duplicate too.
    """
    split, answers = traces.split_of(), np.array(traces.answer_numbers, dtype=np.int64)
    numbers = np.arange(len(traces))
    first = _first(np.array(traces.texts, dtype=np.uint64))
    same = _first(first * (len(traces.answers) + 1) + answers + 1)
    alike = _first(np.array(traces.likenesses, dtype=np.uint64))
    leaked = (first != numbers) & (split[first] != split)
    chosen = {
        "contradictions": (answers[first] != answers, first),
        "leaks": (split[same] != split, same),
        "duplicates": ((same != numbers) & (split[same] == split), same),
        "lookalikes": ((split[alike] != split) & ~leaked, alike),
    }
    return {
        kind: np.stack([numbers[which], earlier[which]], axis=1)
        for kind, (which, earlier) in chosen.items()
    }


def _first(keys: NDArray[np.uint64] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each key the index of its first occurrence, int64[N]."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)].astype(np.int64)
