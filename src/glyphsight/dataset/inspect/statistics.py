"""Figures of a dataset: records, answers, ink, sizes, lengths, repeats."""

from __future__ import annotations

import random
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.codec.prepare import dark_on_light
from glyphsight.dataset.inspect.items import Drawn, Item, pair_of, read_grids, read_items
from glyphsight.dataset.inspect.repeats import Traces, find_repeats, look_through
from glyphsight.dataset.storage import read_info, split_files
from glyphsight.errors import FormatError

MAX_MEANS = 60  # number of answers with a mean picture

_DRAWN = 2000  # records per split; counting the tokens of all takes longer than all else
_SAMPLES = 6
_MIXED = 0.05  # a share of pictures of the other polarity that blurs means

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
    """Figures of a split."""

    records: int
    unreadable: int  # entries that are no record, or have a picture that cannot be read
    answers: dict[str, int]  # records per answer, the most frequent first
    questions: int  # different questions that records have of their own
    ink: float | None  # mean level of all cells, 0 to 1; None without a picture
    sizes: dict[str, int]  # pictures per grid size, COLUMNSxROWS, in cells
    characters: Spread | None  # of the pictures of a record as text
    dark_on_light: float | None = None  # share of pictures, among records drawn at random
    tokens: Spread | None = None  # of prompt and completion together
    token_records: int = 0  # drawn at random, whose tokens were counted
    duplicates: int = 0  # records that repeat one before them in the split
    contradictions: int = 0  # whose pictures and question have another answer before them
    leaks: int = 0  # that an earlier split has too
    lookalikes: int = 0  # whose pictures look like other ones of an earlier split


@dataclass(frozen=True)
class Statistics:
    """Figures of a dataset, and what a page shows of it."""

    path: str
    profile: Profile
    splits: dict[str, SplitStatistics]
    tokenizer: str  # that counted the tokens; "" for none
    token_counts: dict[str, list[int]] = field(default_factory=dict)  # of the records drawn
    # Mean level of each cell by answer, 0 to 1, [rows, columns], of records with one picture.
    means: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    samples: dict[str, list[Item]] = field(default_factory=dict)  # some records of each split

    @property
    def doubt(self) -> str:
        """Sentence on mean pictures that say nothing since polarity is mixed; "" for none."""
        shares = [split.dark_on_light for split in self.splits.values()]
        known = [share for share in shares if share is not None]
        if all(share < _MIXED for share in known) or all(share > 1 - _MIXED for share in known):
            return ""
        return (
            "some pictures are dark on light, others bright on dark, so mean pictures and ink say "
            "little; dataset build --invert auto makes ink bright in all"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "path": self.path,
            "format": self.profile.format,
            "palette": self.profile.palette,
            "tokenizer": self.tokenizer,
            "splits": {name: asdict(split) for name, split in self.splits.items()},
        }


class _Means:
    """Sums of pictures by answer, of the first answers that come."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[NDArray[np.int64], int]] = {}

    def add(self, answer: str, grid: NDArray[np.uint8]) -> None:
        """Add a picture of any size, stretched to the size of the first."""
        if answer not in self._sums and len(self._sums) == MAX_MEANS:
            return
        shape = next(iter(self._sums.values()))[0].shape if self._sums else grid.shape
        rows, columns = (np.arange(n) * o // n for n, o in zip(shape, grid.shape, strict=True))
        total, count = self._sums.get(answer, (np.zeros(shape, dtype=np.int64), 0))
        total += grid[np.ix_(rows, columns)]  # each cell is that of the nearest one
        self._sums[answer] = total, count + 1

    def means(self, levels: int) -> dict[str, NDArray[np.float64]]:
        """Return the mean picture of each answer, in the order of the answers."""
        return {
            answer: self._sums[answer][0] / (self._sums[answer][1] * (levels - 1))
            for answer in sorted(self._sums, key=natural)
        }


def collect_statistics(
    path: Path, profile: Profile, *, tokens: PairCounter | None = None, tokenizer: str = ""
) -> Statistics:
    """Count a dataset in one reading; ``tokens`` counts by the tokenizer of that name.

    Raises:
        DatasetError: The dataset cannot be read.
    """
    files, info = split_files(path), read_info(path)
    traces, means = Traces(), _Means()
    splits: dict[str, SplitStatistics] = {}
    token_counts: dict[str, list[int]] = {}
    drawn: dict[str, list[Item]] = {}
    for name, parts in files.items():
        traces.start(name)
        draw = Drawn(_DRAWN, seed=0)
        figures = _count(read_items(parts, info), profile, traces, means, draw)
        drawn[name] = draw.in_order()
        pairs = [pair_of(item, info) for item in drawn[name]]
        counts = tokens(pairs) if tokens and pairs else []
        token_counts[name] = counts
        spread = Spread.of(counts) if counts else None
        texts = (text for item in drawn[name] if item.record for text in item.record.pictures)
        grids = (grid for grid in read_grids(texts, profile) if not isinstance(grid, FormatError))
        dark = [bool(dark_on_light(grid[None])[0]) for grid in grids]
        share = sum(dark) / len(dark) if dark else None
        splits[name] = replace(
            figures, dark_on_light=share, tokens=spread, token_records=len(counts)
        )
    for kind, found in find_repeats(traces).items():
        repeats = np.bincount(traces.split_of()[found[:, 0]], minlength=len(splits))
        for name, count in zip(splits, repeats.tolist(), strict=True):
            splits[name] = replace(splits[name], **{kind: count})
    return Statistics(
        path=str(path),
        profile=profile,
        splits=splits,
        tokenizer=tokenizer if tokens else "",
        token_counts=token_counts,
        means=means.means(profile.levels),
        samples={name: _some(items, _SAMPLES) for name, items in drawn.items()},
    )


def _count(
    items: Iterator[Item], profile: Profile, traces: Traces, means: _Means, draw: Drawn
) -> SplitStatistics:
    """Count the records of a split, and keep their traces, means and a random draw of them."""
    records = unreadable = levels = cells = 0
    answers: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    questions: set[str] = set()
    characters = array("Q")
    for item, looked in look_through(items, profile, traces):
        records += 1
        if (record := item.record) is None:
            unreadable += 1
            continue
        grids = [grid for grid in looked if not isinstance(grid, FormatError)]
        unreadable += len(grids) < len(looked)
        answers[record.answer] += 1
        questions.add(record.question)
        characters.append(len(record.picture))
        draw.offer(item)
        for grid in grids:
            sizes[f"{grid.shape[1]}x{grid.shape[0]}"] += 1
            levels += int(grid.sum())
            cells += grid.size
        if len(looked) == len(grids) == 1:
            means.add(record.answer, grids[0])
    return SplitStatistics(
        records=records,
        unreadable=unreadable,
        answers=dict(sorted(answers.items(), key=lambda pair: (-pair[1], pair[0]))),
        questions=len(questions - {""}),
        ink=levels / (cells * (profile.levels - 1)) if cells else None,
        sizes=dict(sizes.most_common()),
        characters=Spread.of(characters) if characters else None,
    )


def _some(items: Sequence[Item], most: int) -> list[Item]:
    """Draw at most ``most`` items at random, in their order."""
    chosen = random.Random(1).sample(range(len(items)), min(most, len(items)))
    return [items[index] for index in sorted(chosen)]
