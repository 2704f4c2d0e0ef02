"""Figures of a dataset: records, answers, ink, sizes, lengths, repeats."""

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
from glyphsight.dataset.inspect.items import Drawn, Item, batched, pair_of, read_items
from glyphsight.dataset.inspect.repeats import (
    Repeats,
    Traces,
    counts_by_split,
    find_repeats,
    key,
    look_at,
)
from glyphsight.dataset.storage import DatasetInfo, read_info, split_files
from glyphsight.errors import FormatError

MAX_MEANS = 60
"""Number of answers with a mean picture."""

_TOKEN_RECORDS = 2000  # per split; counting all takes longer than all else
_ALIKE_RECORDS = 1000
_ALIKE_CELLS = 1 << 19
_SAMPLES = 6

PairCounter = Callable[[Sequence[tuple[str, str]]], list[int]]
"""Function that counts the tokens of each pair of prompt and completion."""


@dataclass(frozen=True)
class Spread:
    """Spread of a number over records."""

    least: int
    median: float
    mean: float
    most: int

    @staticmethod
    def of(numbers: Sequence[int]) -> Spread:
        """Compute the spread of at least one number."""
        values = np.asarray(numbers)
        return Spread(
            int(values.min()), float(np.median(values)), float(values.mean()), int(values.max())
        )


def spread_text(spread: Spread | None) -> str:
    """Write a spread in words, or the one number where all are equal."""
    if spread is None:
        return "–"
    if spread.least == spread.most:
        return f"{spread.most:,}"
    return f"{spread.least:,} to {spread.most:,}, mean {spread.mean:,.1f}"


def natural(answer: str) -> list[Any]:
    """Return a key that sorts answers as people count: ``9`` before ``10``."""
    parts = re.split(r"([0-9]{1,18})", answer)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


@dataclass(frozen=True)
class SplitStatistics:
    """Figures of a split.

    Attributes:
        records: Number of records.
        unreadable: Number of entries that are no record or have a picture that cannot be read; the
            figures below leave them out where they need what cannot be read.
        answers: Number of records per answer, the most frequent first.
        questions: Number of different questions that records have of their own.
        ink: Mean level of all cells as a share of the brightest, 0 to 1; None without a picture.
        sizes: Number of pictures per grid size, ``COLUMNSxROWS``, in cells.
        characters: Characters of the pictures of a record as text.
        tokens: Tokens of prompt and completion together.
        token_records: Number of records, drawn at random, whose tokens were counted.
        duplicates: Number of records that repeat one before them in the split.
        contradictions: Number of records whose pictures and question have another answer before
            them, in any split.
        leaks: Number of records that an earlier split has too.
        lookalikes: Number of records whose pictures look like other ones of an earlier split.
    """

    records: int
    unreadable: int
    answers: dict[str, int]
    questions: int
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
        cells: Number of cells that differ.
        held_out: Held-out record.
        training: Training record.
        compared: Number of held-out records that were compared with every training record of their
            size; where that is not all, they are drawn at random among those of the most frequent
            size.
    """

    difference: float
    cells: int
    held_out: Item
    training: Item
    compared: int


@dataclass(frozen=True)
class Statistics:
    """Figures of a dataset, and what a page shows of it.

    Attributes:
        path: Path of the dataset.
        profile: Format and palette of its pictures.
        splits: Figures of each split.
        alike: Most alike pair across splits; None where nothing can be compared.
        tokenizer: Name of the tokenizer that counted the tokens; "" for none.
        token_counts: Tokens of the records drawn, by split.
        means: Mean level of each cell by answer, as a share of the brightest, float64[rows,
            columns] of the first picture's size, pictures of other sizes stretched to it; of
            records with one picture.
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
        """Return the figures as JSON values."""
        alike = self.alike and {
            "difference": self.alike.difference,
            "cells": self.alike.cells,
            "held_out": _file_and_number(self.alike.held_out),
            "training": _file_and_number(self.alike.training),
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


def _file_and_number(item: Item) -> dict[str, Any]:
    return {"file": str(item.file), "record": item.number}


class _Means:
    """Sums of pictures by answer."""

    def __init__(self, levels: int) -> None:
        self._brightest = levels - 1
        self._sums: dict[str, tuple[NDArray[np.int64], int]] = {}

    def add(self, grids: Sequence[NDArray[np.uint8]], answers: Sequence[str]) -> None:
        """Add some pictures, grids of any size."""
        chosen: dict[str, list[NDArray[np.uint8]]] = {}
        for grid, answer in zip(grids, answers, strict=True):
            known = answer in self._sums or answer in chosen
            if known or len(self._sums.keys() | chosen.keys()) < MAX_MEANS:
                chosen.setdefault(answer, []).append(grid)
        for answer, some in chosen.items():
            first = next(iter(self._sums.values()))[0] if self._sums else grids[0]
            stacked = np.stack([_stretched(grid, first.shape) for grid in some])
            total, count = self._sums.get(answer, (0, 0))
            self._sums[answer] = total + stacked.sum(axis=0, dtype=np.int64), count + len(some)

    def means(self) -> dict[str, NDArray[np.float64]]:
        """Return the mean picture of each answer, in the order of the answers."""
        return {
            answer: total / (count * self._brightest)
            for answer, (total, count) in sorted(
                self._sums.items(), key=lambda pair: natural(pair[0])
            )
        }


def _stretched(grid: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Stretch a grid to another size, each cell that of the nearest one."""
    if grid.shape == shape:
        return grid
    rows, columns = (
        np.arange(new) * old // new for new, old in zip(shape, grid.shape, strict=True)
    )
    stretched: NDArray[np.uint8] = grid[np.ix_(rows, columns)]
    return stretched


class _Split:
    """Counts of a split while it is read."""

    def __init__(self) -> None:
        self.records = self.unreadable = 0
        self.answers: Counter[str] = Counter()
        self.questions: set[str] = set()
        self.sizes: Counter[str] = Counter()
        self.characters = array("Q")
        self.levels = self.cells = 0
        self.for_tokens = Drawn(_TOKEN_RECORDS, seed=0)
        self.for_show = Drawn(_SAMPLES, seed=1)
        self.for_comparison = Drawn(_ALIKE_RECORDS, seed=2)

    def figures(self, token_counts: list[int], levels: int, **found: int) -> SplitStatistics:
        """Return the figures of the split.

        Args:
            token_counts: Tokens of the records drawn for that.
            levels: Levels of a cell.
            **found: Number of repeats of each kind.
        """
        return SplitStatistics(
            records=self.records,
            unreadable=self.unreadable,
            answers=dict(sorted(self.answers.items(), key=lambda pair: (-pair[1], pair[0]))),
            questions=len(self.questions - {""}),
            ink=self.levels / (self.cells * (levels - 1)) if self.cells else None,
            sizes=dict(self.sizes.most_common()),
            characters=Spread.of(self.characters) if self.characters else None,
            tokens=Spread.of(token_counts) if token_counts else None,
            token_records=len(token_counts),
            **found,
        )


def collect_statistics(
    path: Path, profile: Profile, *, tokens: PairCounter | None = None, tokenizer: str = ""
) -> Statistics:
    """Count a dataset in one reading, and find the most alike pair in another.

    Args:
        path: Dataset in any layout.
        profile: Format and palette of its pictures.
        tokens: Function that counts tokens; None for none.
        tokenizer: Name of its tokenizer.

    Raises:
        DatasetError: The dataset cannot be read.
    """
    reader, traces, means = GridReader(profile), Traces(), _Means(profile.levels)
    files, info = split_files(path), read_info(path)
    found: dict[str, _Split] = {}
    for name, parts in files.items():
        traces.start(name)
        found[name] = _Split()
        for batch in batched(read_items(name, parts, info)):
            _count(batch, found[name], reader, traces, means)
    repeats = find_repeats(traces)
    counts = {kind: counts_by_split(pairs, traces) for kind, pairs in vars(repeats).items()}
    splits: dict[str, SplitStatistics] = {}
    token_counts: dict[str, list[int]] = {}
    for name, split in found.items():
        pairs = [pair_of(item, info) for item in split.for_tokens.in_order()]
        token_counts[name] = tokens(pairs) if tokens and pairs else []
        of_split = {kind: of_kind[name] for kind, of_kind in counts.items()}
        splits[name] = split.figures(token_counts[name], profile.levels, **of_split)
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
        alike=_equal_pair(repeats, traces, files, info)
        or _most_alike(held_out, files.get("train", []), reader, info),
        tokenizer=tokenizer if tokens else "",
        token_counts=token_counts,
        means=means.means(),
        samples={name: split.for_show.in_order() for name, split in found.items()},
    )


def _count(
    items: list[Item], split: _Split, reader: GridReader, traces: Traces, means: _Means
) -> None:
    """Count a batch of a split."""
    seen = iter(look_at([item.record for item in items if item.record], reader))
    alone: list[tuple[NDArray[np.uint8], str]] = []  # records of one picture
    for item in items:
        split.records += 1
        if (record := item.record) is None:
            split.unreadable += 1
            traces.skip()
            continue
        looked = next(seen)
        grids = [grid for grid in looked.grids if not isinstance(grid, FormatError)]
        split.answers[record.answer] += 1
        split.questions.add(record.question)
        split.characters.append(len(record.picture))
        traces.add(key(record), record.answer, looked.likeness)
        split.for_tokens.offer(item)
        split.for_show.offer(item)
        split.unreadable += len(grids) < len(looked.grids)
        for grid in grids:
            split.sizes[f"{grid.shape[1]}x{grid.shape[0]}"] += 1
            split.levels += int(grid.sum())
            split.cells += grid.size
        if len(looked.grids) == len(grids) == 1:
            split.for_comparison.offer(item)
            alone.append((grids[0], record.answer))
    means.add([grid for grid, _ in alone], [answer for _, answer in alone])


def _equal_pair(
    repeats: Repeats, traces: Traces, files: dict[str, list[Path]], info: DatasetInfo
) -> Alike | None:
    """Return the first held-out record whose text a training record has: none is more alike."""
    for index, first in np.concatenate([repeats.leaks, repeats.contradictions]).tolist():
        ours, theirs = traces.split_and_number(index), traces.split_and_number(first)
        if theirs[0] == "train" != ours[0]:
            held_out, training = (
                next(islice(read_items(split, files[split], info), number, None))
                for split, number in (ours, theirs)
            )
            compared = int((traces.split_of() != traces.splits.index("train")).sum())
            return Alike(0.0, 0, held_out, training, compared)
    return None


def _most_alike(
    held_out: list[Item], training: list[Path], reader: GridReader, info: DatasetInfo
) -> Alike | None:
    """Compare every training picture with some held-out ones of the same size.

    The squared distance of all pairs comes from one matrix product per batch.
    """
    grids = _with_grids(held_out, reader)
    if not grids or not training:
        return None
    shape = Counter(grid.shape for _, grid in grids).most_common(1)[0][0]
    chosen = [(item, grid) for item, grid in grids if grid.shape == shape]
    room = max(1, min(_ALIKE_RECORDS, _ALIKE_CELLS // (shape[0] * shape[1])))
    chosen = random.Random(3).sample(chosen, min(room, len(chosen)))
    ours = np.stack([grid.reshape(-1) for _, grid in chosen]).astype(np.float32)
    lengths = (ours**2).sum(axis=1)
    best: tuple[float, int, Item, NDArray[np.uint8]] | None = None
    for batch in batched(read_items("train", training, info)):
        same = [(item, grid) for item, grid in _with_grids(batch, reader) if grid.shape == shape]
        if not same:
            continue
        theirs = np.stack([grid.reshape(-1) for _, grid in same]).astype(np.float32)
        distances = (theirs**2).sum(axis=1)[:, None] - 2 * (theirs @ ours.T) + lengths
        there, here = divmod(int(distances.argmin()), len(chosen))
        distance = float(distances[there, here])
        if best is None or distance < best[0]:
            best = distance, here, *same[there]
    if best is None:
        return None
    _, here, theirs_item, grid = best
    apart = np.abs(chosen[here][1].astype(np.int64) - grid)
    return Alike(
        difference=float(apart.mean()) / (reader.profile.levels - 1),
        cells=int((apart > 0).sum()),
        held_out=chosen[here][0],
        training=theirs_item,
        compared=len(chosen),
    )


def _with_grids(items: Sequence[Item], reader: GridReader) -> list[tuple[Item, NDArray[np.uint8]]]:
    """Return the records of one readable picture, each with its grid."""
    single = [item for item in items if item.record and len(item.record.pictures) == 1]
    grids = reader.read([item.record.picture for item in single if item.record])
    pairs = zip(single, grids, strict=True)
    return [(item, grid) for item, grid in pairs if not isinstance(grid, FormatError)]
