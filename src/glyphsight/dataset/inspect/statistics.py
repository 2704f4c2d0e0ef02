"""What a dataset holds, in figures: records, answers, ink, sizes, lengths, repeats."""

from __future__ import annotations

import random
import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.dataset.inspect.grids import GridReader
from glyphsight.dataset.inspect.items import Drawn, Item, batched, read_items, taught_pair
from glyphsight.dataset.inspect.leaks import (
    Repeats,
    Traces,
    counts_by_split,
    find_repeats,
    likenesses,
)
from glyphsight.dataset.storage import Frame, read_frame, split_files
from glyphsight.errors import FormatError

MAX_MEANS = 60
"""Answers of which a mean picture is kept."""

_TOKEN_RECORDS = 2000  # of each split; counting all takes longer than all else
_ALIKE_RECORDS = 1000
_ALIKE_CELLS = 1 << 19
_SAMPLES = 6

PairCounter = Callable[[Sequence[tuple[str, str]]], list[int]]
"""Tokens of each pair of prompt and completion."""


@dataclass(frozen=True)
class Spread:
    """How a number is spread over records."""

    least: int
    median: float
    mean: float
    most: int

    @staticmethod
    def of(numbers: Sequence[int]) -> Spread:
        """Of at least one number."""
        values = np.asarray(numbers)
        return Spread(
            int(values.min()), float(np.median(values)), float(values.mean()), int(values.max())
        )


def spread_text(spread: Spread | None) -> str:
    """A spread in words, or the one number that all are."""
    if spread is None:
        return "–"
    if spread.least == spread.most:
        return f"{spread.most:,}"
    return f"{spread.least:,} to {spread.most:,}, mean {spread.mean:,.1f}"


def natural(answer: str) -> list[Any]:
    """A key that sorts answers as people count: ``9`` before ``10``."""
    parts = re.split(r"([0-9]{1,18})", answer)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


@dataclass(frozen=True)
class SplitStatistics:
    """What a split holds.

    Attributes:
        records: Records in it.
        unreadable: Those that are no record or whose picture cannot be read; the figures below
            leave them out where they need what cannot be read.
        answers: Records of each answer, the most frequent first.
        ink: Mean level of all cells as a share of the brightest, 0 to 1; None without a picture.
        sizes: Records of each grid size, ``COLUMNSxROWS``, in cells.
        characters: Of the pictures as text.
        tokens: Of prompt and completion together.
        token_records: How many records, drawn at random, tokens were counted of.
        duplicates: Records that repeat text and answer of one before them in the split.
        contradictions: Records whose text has another answer before them, in any split.
        leaks: Records whose text and answer an earlier split has.
        lookalikes: Records of another text that look like one of an earlier split.
    """

    records: int
    unreadable: int
    answers: dict[str, int]
    ink: float | None
    sizes: dict[str, int]
    characters: Spread | None
    tokens: Spread | None
    token_records: int
    duplicates: int
    contradictions: int
    leaks: int
    lookalikes: int


@dataclass(frozen=True)
class Alike:
    """The most alike pictures of a held-out and the training split.

    Attributes:
        difference: Mean difference of their cells as a share of full brightness; 0 for equal ones.
        cells: How many cells differ.
        held_out: The held-out record.
        training: The training record.
        compared: How many held-out records were compared with every training record of their size;
            where that is not all, they are drawn at random among those of the most frequent size.
    """

    difference: float
    cells: int
    held_out: Item
    training: Item
    compared: int


@dataclass(frozen=True)
class Statistics:
    """What a dataset holds, and what a page shows of it.

    Attributes:
        path: The dataset.
        profile: Format and palette its pictures were read in.
        splits: The figures of each split.
        alike: The most alike pair across splits; None where nothing can be compared.
        tokenizer: What tokens were counted with; "" for nothing.
        token_counts: Tokens of the records drawn, by split.
        means: Mean level of each cell by answer, as a share of the brightest, float64[rows,
            columns] of the first record's size, pictures of other sizes stretched to it.
        samples: Some records of each split, drawn at random.
    """

    path: str
    profile: Profile
    splits: dict[str, SplitStatistics]
    alike: Alike | None
    tokenizer: str
    token_counts: dict[str, list[int]] = field(default_factory=dict)
    means: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    samples: dict[str, list[Item]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values."""
        alike = None
        if self.alike is not None:
            alike = {
                "difference": self.alike.difference,
                "cells": self.alike.cells,
                "held_out": {
                    "file": str(self.alike.held_out.file),
                    "record": self.alike.held_out.number,
                },
                "training": {
                    "file": str(self.alike.training.file),
                    "record": self.alike.training.number,
                },
                "compared": self.alike.compared,
            }
        return {
            "path": self.path,
            "format": self.profile.format,
            "palette": self.profile.palette,
            "tokenizer": self.tokenizer,
            "splits": {name: asdict(split) for name, split in self.splits.items()},
            "most_alike": alike,
        }


class _Means:
    """Sums of pictures by answer."""

    def __init__(self, levels: int) -> None:
        self._brightest = levels - 1
        self._shape: tuple[int, int] | None = None
        self._sums: dict[str, tuple[NDArray[np.int64], int]] = {}

    def add(self, grids: Sequence[NDArray[np.uint8]], answers: Sequence[str]) -> None:
        """Add some pictures, grids of any size."""
        if not grids:
            return
        shape = self._shape = self._shape or (grids[0].shape[0], grids[0].shape[1])
        stacked = np.stack([_stretched(grid, shape) for grid in grids])
        places: dict[str, list[int]] = {}
        for place, answer in enumerate(answers):
            if answer in self._sums or answer in places or self._room(places):
                places.setdefault(answer, []).append(place)
        for answer, chosen in places.items():
            total, count = self._sums.get(answer, (np.zeros(shape, dtype=np.int64), 0))
            total += stacked[chosen].sum(axis=0, dtype=np.int64)
            self._sums[answer] = total, count + len(chosen)

    def _room(self, places: dict[str, list[int]]) -> bool:
        return len(self._sums.keys() | places.keys()) < MAX_MEANS

    def means(self) -> dict[str, NDArray[np.float64]]:
        """The mean picture of each answer, in the order of the answers."""
        return {
            answer: total / (count * self._brightest)
            for answer, (total, count) in sorted(
                self._sums.items(), key=lambda pair: natural(pair[0])
            )
        }


def _stretched(grid: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """A grid at another size, each cell that of the nearest place."""
    if grid.shape == shape:
        return grid
    rows = np.arange(shape[0]) * grid.shape[0] // shape[0]
    columns = np.arange(shape[1]) * grid.shape[1] // shape[1]
    stretched: NDArray[np.uint8] = grid[np.ix_(rows, columns)]
    return stretched


class _Split:
    """What is counted of a split while it is read."""

    def __init__(self) -> None:
        self.records = self.unreadable = 0
        self.answers: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()
        self.characters = array("Q")
        self.levels = self.cells = 0
        self.for_tokens = Drawn(_TOKEN_RECORDS, seed=0)
        self.for_show = Drawn(_SAMPLES, seed=1)
        self.for_comparison = Drawn(_ALIKE_RECORDS, seed=2)


def collect_statistics(
    path: Path, profile: Profile, *, tokens: PairCounter | None = None, tokenizer: str = ""
) -> Statistics:
    """Count what a dataset holds, in one reading, and find the most alike pair in another.

    Args:
        path: A dataset in any layout.
        profile: Format and palette of its pictures.
        tokens: Counts tokens; None counts none.
        tokenizer: Its name.

    Raises:
        DatasetError: The dataset cannot be read.
    """
    reader, traces = GridReader(profile), Traces()
    means = _Means(profile.levels)
    files, frame = split_files(path), read_frame(path)
    found: dict[str, _Split] = {}
    for name, parts in files.items():
        traces.start(name)
        found[name] = _Split()
        for file in parts:
            for batch in batched(read_items(name, file, frame)):
                _count(batch, found[name], reader, traces, means)
    repeats = find_repeats(traces)
    duplicates, contradictions, leaks, lookalikes = (
        counts_by_split(pairs, traces)
        for pairs in (
            repeats.duplicates,
            repeats.contradictions,
            repeats.leaks,
            repeats.lookalikes,
        )
    )
    splits: dict[str, SplitStatistics] = {}
    token_counts: dict[str, list[int]] = {}
    for name, split in found.items():
        pairs = [taught_pair(item, frame) for item in split.for_tokens.in_order()]
        token_counts[name] = tokens(pairs) if tokens and pairs else []
        splits[name] = SplitStatistics(
            records=split.records,
            unreadable=split.unreadable,
            answers=dict(sorted(split.answers.items(), key=lambda pair: (-pair[1], pair[0]))),
            ink=split.levels / (split.cells * (profile.levels - 1)) if split.cells else None,
            sizes=dict(split.sizes.most_common()),
            characters=Spread.of(split.characters) if split.characters else None,
            tokens=Spread.of(token_counts[name]) if token_counts[name] else None,
            token_records=len(token_counts[name]),
            duplicates=duplicates[name],
            contradictions=contradictions[name],
            leaks=leaks[name],
            lookalikes=lookalikes[name],
        )
    held_out = [
        item
        for name, split in found.items()
        if name != "train"
        for item in split.for_comparison.in_order()
    ]
    return Statistics(
        path=str(path),
        profile=profile,
        splits=splits,
        alike=_equal_pair(repeats, traces, files, frame)
        or _most_alike(held_out, files.get("train", []), reader, frame),
        tokenizer=tokenizer if tokens else "",
        token_counts=token_counts,
        means=means.means(),
        samples={name: split.for_show.in_order() for name, split in found.items()},
    )


def _count(
    items: list[Item], split: _Split, reader: GridReader, traces: Traces, means: _Means
) -> None:
    """Count a batch of a split."""
    texts = _texts(items)
    read_grids = reader.read(texts)
    read = iter(zip(read_grids, likenesses(read_grids, texts), strict=True))
    grids: list[NDArray[np.uint8]] = []
    answers: list[str] = []
    for item in items:
        split.records += 1
        if item.record is None:
            split.unreadable += 1
            traces.skip()
            continue
        record, (grid, likeness) = item.record, next(read)
        split.answers[record.answer] += 1
        split.characters.append(len(record.picture))
        traces.add(record.picture, record.answer, likeness)
        split.for_tokens.offer(item)
        split.for_show.offer(item)
        if isinstance(grid, FormatError):
            split.unreadable += 1
            continue
        split.for_comparison.offer(item)
        split.sizes[f"{grid.shape[1]}x{grid.shape[0]}"] += 1
        split.levels += int(grid.sum())
        split.cells += grid.size
        grids.append(grid)
        answers.append(record.answer)
    means.add(grids, answers)


def _equal_pair(
    repeats: Repeats, traces: Traces, files: dict[str, list[Path]], frame: Frame
) -> Alike | None:
    """The first held-out record whose text a training record has: none can be more alike."""
    for index, first in np.concatenate([repeats.leaks, repeats.contradictions]).tolist():
        (held_out, number), (split, other) = traces.place(index), traces.place(first)
        if split == "train" != held_out:
            return Alike(
                difference=0.0,
                cells=0,
                held_out=_read_one(held_out, files[held_out], number, frame),
                training=_read_one(split, files[split], other, frame),
                compared=int((traces.split_of() != traces.splits.index("train")).sum()),
            )
    return None


def _read_one(split: str, files: list[Path], number: int, frame: Frame) -> Item:
    """The item of a number in its split, from 0."""
    items = (item for file in files for item in read_items(split, file, frame))
    return next(islice(items, number, None))


def _most_alike(
    held_out: list[Item], training: list[Path], reader: GridReader, frame: Frame
) -> Alike | None:
    """Compare every training picture with some held-out ones of the same size.

    The squared distance of all pairs comes from one matrix product a batch.
    """
    grids = [
        (item, grid)
        for item, grid in zip(held_out, reader.read(_texts(held_out)), strict=True)
        if not isinstance(grid, FormatError)
    ]
    if not grids or not training:
        return None
    shape = Counter(grid.shape for _, grid in grids).most_common(1)[0][0]
    chosen = [(item, grid) for item, grid in grids if grid.shape == shape]
    room = max(1, min(_ALIKE_RECORDS, _ALIKE_CELLS // (shape[0] * shape[1])))
    chosen = random.Random(3).sample(chosen, min(room, len(chosen)))
    ours = np.stack([grid.reshape(-1) for _, grid in chosen]).astype(np.float32)
    lengths = (ours**2).sum(axis=1)
    best: tuple[float, Item, Item] | None = None
    for file in training:
        for batch in batched(read_items("train", file, frame)):
            items = [item for item in batch if item.record]
            same = [
                (item, grid)
                for item, grid in zip(items, reader.read(_texts(items)), strict=True)
                if not isinstance(grid, FormatError) and grid.shape == shape
            ]
            if not same:
                continue
            theirs = np.stack([grid.reshape(-1) for _, grid in same]).astype(np.float32)
            distances = (theirs**2).sum(axis=1)[:, None] - 2 * (theirs @ ours.T) + lengths
            place = int(distances.argmin())
            there, here = divmod(place, len(chosen))
            distance = float(distances[there, here])
            if best is None or distance < best[0]:
                best = distance, chosen[here][0], same[there][0]
    if best is None:
        return None
    _, ours_item, theirs_item = best
    one, other = (
        grid.astype(np.int64)
        for grid in reader.read(_texts([ours_item, theirs_item]))
        if not isinstance(grid, FormatError)
    )
    apart = np.abs(one - other)
    return Alike(
        difference=float(apart.mean()) / (reader.profile.levels - 1),
        cells=int((apart > 0).sum()),
        held_out=ours_item,
        training=theirs_item,
        compared=len(chosen),
    )


def _texts(items: Sequence[Item]) -> list[str]:
    return [item.record.picture for item in items if item.record]
