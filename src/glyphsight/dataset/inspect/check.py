"""Says what is wrong where in a dataset."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.dataset.inspect.grids import GridReader, read_profile
from glyphsight.dataset.inspect.items import Item, batched, read_items, taught_pair
from glyphsight.dataset.inspect.leaks import Traces, find_repeats, likenesses
from glyphsight.dataset.record import KEYS
from glyphsight.dataset.storage import (
    Frame,
    read_frame,
    read_sources,
    sources_file,
    split_files,
)
from glyphsight.errors import DatasetError, FormatError

_SPECIAL_TOKENS = 16  # more than any tokenizer puts around a record
_COPY = re.compile(r" copy [0-9]+\Z")  # as a build ends the source of a changed copy


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a dataset.

    Attributes:
        file: The file at fault.
        record: 1-based number of the record in it, 0 for the file as a whole.
        reason: What is wrong.
        kind: What sort of problem it is: file, record, picture, size, answer, contradiction, leak
            or window; of notes duplicate, look-alike or sizes.
    """

    file: str
    record: int
    reason: str
    kind: str = "record"

    def __str__(self) -> str:
        place = f"{self.file}: record {self.record}" if self.record else self.file
        return f"{place}: {self.reason}"


@dataclass(frozen=True)
class Window:
    """How much a model takes.

    Attributes:
        model: What the user calls it.
        tokens: The longest sequence it takes.
        count: Tokens of each pair of prompt and completion, the end token included.
    """

    model: str
    tokens: int
    count: Callable[[Sequence[tuple[str, str]]], list[int]]


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        records: Records looked at, by file.
        spoilt: Records with a problem, by file.
        problems: The first problems.
        found: All problems, by kind.
        notes: What is worth knowing and no problem in itself.
    """

    records: dict[str, int] = field(default_factory=dict)
    spoilt: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    found: dict[str, int] = field(default_factory=dict)
    notes: list[Problem] = field(default_factory=list)


def check_dataset(
    path: Path,
    profile: Profile | None = None,
    *,
    labels: Collection[str] | None = None,
    window: Window | None = None,
    strict: bool = False,
    keep: int | None = None,
) -> CheckReport:
    """Check a dataset file, or every split of a dataset directory.

    Problems are: a file that cannot be read or is empty; a record of the wrong form, with a picture
    that cannot be read, a false size or an empty answer; an answer outside ``labels`` or, without
    them, one of a held-out split that the training split never gives (unless most answers there
    are given to one picture, as free text is; copies and repeats of a picture do not count); a text
    with two answers; a text and answer that an earlier split has too; a record longer than
    ``window``. Notes are: texts repeated with the same answer
    within a split, pictures that look alike across splits, and grids of several sizes.

    A file is read once, in order; of each record 22 bytes stay in memory.

    Args:
        path: A dataset in any layout.
        profile: Format and palette of its pictures; None for what its manifest says.
        labels: All answers that may occur.
        window: The model that shall learn from it.
        strict: Take notes as problems.
        keep: How many problems to keep for the report; all are counted. None for all.

    Raises:
        DatasetError: There is nothing to check at ``path``.
    """
    splits = split_files(path)
    frame = read_frame(path)
    check = _Check(profile or read_profile(path), frame, labels, window, strict, keep)
    for split, files in splits.items():
        check.start(split)
        for file in files:
            check.file(split, file)
    check.compare()
    return check.report


class _Check:
    """The state of a check while files are read."""

    def __init__(
        self,
        profile: Profile,
        frame: Frame,
        labels: Collection[str] | None,
        window: Window | None,
        strict: bool,
        keep: int | None,
    ) -> None:
        self.report = CheckReport()
        self._reader = GridReader(profile)
        self._frame = frame
        self._labels = None if labels is None else frozenset(labels)
        self._window = window
        self._strict = strict
        self._keep = keep
        self._traces = Traces()
        self._files: list[str] = []  # with the number of records before each
        self._starts: list[int] = []
        self._spoilt = bytearray()
        self._copied = bytearray()
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._taught: frozenset[str] | None = None
        self._whole = True

    def tell(self, problem: Problem) -> None:
        """Count a problem, and keep it while there is room."""
        found = self.report.found
        found[problem.kind] = found.get(problem.kind, 0) + 1
        if self._keep is None or len(self.report.problems) < self._keep:
            self.report.problems.append(problem)

    def start(self, split: str) -> None:
        """A split begins; what the training split taught is known by then."""
        if self._traces.splits == ["train"] and self._whole:
            answers = self._traces.answers
            own = np.frombuffer(self._copied, dtype=np.uint8) == 0
            pictures = len(np.unique(self._traces.texts()[own]))
            if 2 * len(answers) <= pictures:
                self._taught = frozenset(answers)
        self._traces.start(split)

    def file(self, split: str, file: Path) -> None:
        """Check each record of a file alone and keep its trace."""
        name = str(file)
        before, whole = len(self._traces), True
        self._files.append(name)
        self._starts.append(before)
        try:
            for batch in batched(read_items(split, file, self._frame)):
                self._batch(batch)
        except DatasetError as error:
            reason = str(error).removeprefix(f"{name}: ")
            if count := len(self._traces) - before:
                reason += f"; nothing after record {count} was looked at"
            self.tell(Problem(name, 0, reason, "file"))
            self._whole = whole = False
            if not count:
                return
        count = len(self._traces) - before
        self.report.records[name] = count
        if not count:
            self.tell(Problem(name, 0, "holds no record", "file"))
        lines = sum(1 for _ in read_sources(file))
        if whole and lines not in (0, count):
            reason = f"{sources_file(file).name} has {lines} lines for {count} records"
            self.tell(Problem(name, 0, reason, "file"))

    def _batch(self, items: list[Item]) -> None:
        texts = [item.record.picture for item in items if item.record]
        grids = self._reader.read(texts)
        read = iter(zip(grids, likenesses(grids, texts), strict=True))
        long = self._too_long(items)
        for place, item in enumerate(items):
            self._spoilt.append(0)
            copied = item.record is not None and _COPY.search(item.record.source) is not None
            self._copied.append(copied)
            if item.record is None:
                self._spoil(item, "record", item.fault)
                self._traces.skip()
                continue
            grid, likeness = next(read)
            for kind, reason in self._answer_problems(item):
                self._spoil(item, kind, reason)
            if isinstance(grid, FormatError):
                self._spoil(item, "picture", f"{_called(item, 'ASCII_image', 'picture')} {grid}")
            else:
                rows, columns = grid.shape
                self._sizes[columns, rows] += 1
                width = self._reader.columns(grid)
                if "size" in item.value and item.record.size != str(width):
                    self._spoil(
                        item,
                        "size",
                        f"'size' says {item.record.size!r}, the rows are {width} glyphs wide",
                    )
            if place in long:
                self._spoil(item, "window", long[place])
            self._traces.add(item.record.picture, item.record.answer, likeness)

    def _spoil(self, item: Item, kind: str, reason: str) -> None:
        self._mark(len(self._spoilt) - 1, str(item.file))
        self.tell(Problem(str(item.file), item.number, reason, kind))

    def _mark(self, index: int, file: str) -> None:
        if not self._spoilt[index]:
            self._spoilt[index] = 1
            self.report.spoilt[file] = self.report.spoilt.get(file, 0) + 1

    def _answer_problems(self, item: Item) -> Iterator[tuple[str, str]]:
        """What is wrong with the keys and the answer of a record."""
        if item.record is None:
            return
        keys = tuple(item.value)
        if keys != KEYS and "size" in item.value and item.file.suffix == ".json":
            yield (
                "record",
                f"keys are {', '.join(item.value)}; the format has exactly {', '.join(KEYS)}, "
                "in order",
            )
        answer, called = item.record.answer, _called(item, "Response", "answer")
        if not answer.strip():
            yield "answer", f"{called} is empty"
        elif self._labels is not None:
            if answer not in self._labels:
                yield "answer", f"{called} {_short(answer)} is none of the labels given"
        elif self._taught is not None and item.split != "train" and answer not in self._taught:
            yield "answer", f"{called} {_short(answer)} never occurs in the training split"

    def _too_long(self, items: list[Item]) -> dict[int, str]:
        """Which items the window does not take whole; no text has more tokens than bytes."""
        window = self._window
        if window is None:
            return {}
        pairs = {
            place: taught_pair(item, self._frame) for place, item in enumerate(items) if item.record
        }
        doubtful = {
            place: pair
            for place, pair in pairs.items()
            if sum(len(text.encode("utf-8", "replace")) for text in pair) + _SPECIAL_TOKENS
            > window.tokens
        }
        counts = window.count(list(doubtful.values())) if doubtful else []
        return {
            place: f"{count} tokens, {window.model} takes {window.tokens}; its answer would be "
            "cut. Encode it with fewer columns"
            for place, count in zip(doubtful, counts, strict=True)
            if count > window.tokens
        }

    def _place(self, index: int) -> tuple[str, int]:
        """File and number of a record, of its number among all."""
        at = bisect_right(self._starts, index) - 1
        return self._files[at], index - self._starts[at] + 1

    def compare(self) -> None:
        """Compare all records with each other, by their traces."""
        traces = self._traces
        repeats = find_repeats(traces)
        names = list(traces.answers)
        answers = traces.answer_numbers()
        split_of = traces.split_of()
        for index, first in repeats.contradictions.tolist():
            here, there = _short(names[answers[index]]), _short(names[answers[first]])
            where = self._where(first, index)
            reason = f"answers {here}, the same picture in {where} answers {there}"
            self._tell_of(index, "contradiction", reason)
        for index, first in repeats.leaks.tolist():
            where = f"{self._where(first, index)} of split {traces.splits[split_of[first]]}"
            reason = f"leaks: {where} has the same picture and answer; leave one out"
            self._tell_of(index, "leak", reason)
        for kind, does, they, pairs in (
            (
                "duplicate",
                "repeats the picture and answer of",
                "repeat one before them",
                repeats.duplicates,
            ),
            (
                "look-alike",
                "looks like",
                "look like one of an earlier split",
                repeats.lookalikes,
            ),
        ):
            if self._strict:
                for index, first in pairs.tolist():
                    self._tell_of(index, kind, f"{does} {self._where(first, index)}")
                continue
            for number, split in enumerate(traces.splits):
                inside = pairs[split_of[pairs[:, 0]] == number]
                if len(inside):
                    self._note(kind, does, they, inside, split)
        if len(self._sizes) > 1:
            common = ", ".join(
                f"{columns}x{rows} ({count})"
                for (columns, rows), count in self._sizes.most_common(3)
            )
            reason = f"grids of {len(self._sizes)} sizes, most often {common}"
            note = Problem(self._files[0], 0, reason, "sizes")
            if self._strict:
                self.tell(note)
            else:
                self.report.notes.append(note)

    def _tell_of(self, index: int, kind: str, reason: str) -> None:
        """Tell a problem of a record that was read before, of its number among all."""
        file, number = self._place(index)
        self._mark(index, file)
        self.tell(Problem(file, number, reason, kind))

    def _note(self, kind: str, does: str, they: str, pairs: NDArray[np.int64], split: str) -> None:
        """Note the first of the pairs in a split, and how many there are."""
        index, first = pairs[0].tolist()
        file, number = self._place(index)
        reason = f"{does} {self._where(first, index)}"
        if len(pairs) > 1:
            reason += f"; {len(pairs)} records{f' of split {split}' if split else ''} {they}"
        self.report.notes.append(Problem(file, number, reason, kind))

    def _where(self, index: int, beside: int) -> str:
        """A record's place in words, with its file where that is another than ``beside``'s."""
        file, number = self._place(index)
        same = file == self._place(beside)[0]
        return f"record {number}" if same else f"{file}: record {number}"


def _called(item: Item, key: str, otherwise: str) -> str:
    """What to call a part of a record: by its key where the layout has it."""
    return repr(key) if key in item.value else f"the {otherwise}"


def _short(answer: str) -> str:
    return repr(answer if len(answer) <= 40 else answer[:40] + "...")
