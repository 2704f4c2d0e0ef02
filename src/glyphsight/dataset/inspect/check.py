"""Problems of a dataset, each with its file and record."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glyphsight.codec import Profile
from glyphsight.dataset.inspect.items import (
    Grid,
    Item,
    pair_of,
    read_items,
    read_profile,
    text_width,
)
from glyphsight.dataset.inspect.repeats import Traces, find_repeats, look_through
from glyphsight.dataset.inspect.statistics import PairCounter
from glyphsight.dataset.record import KEYS, QUESTION, Record
from glyphsight.dataset.storage import (
    DatasetInfo,
    read_info,
    read_sources,
    sources_file,
    split_files,
)
from glyphsight.errors import DatasetError, FormatError

_SPECIAL_TOKENS = 16  # more than any tokenizer puts around a record
_COPY = re.compile(r" copy [0-9]+\Z")  # as a build ends the source of a changed copy


@dataclass(frozen=True)
class Problem:
    """One problem of a dataset."""

    file: str  # file at fault
    record: int  # number of the record in it, from 1; 0 for the file as a whole
    reason: str  # explanation of the problem
    # Sort of problem: file, record, picture, size, answer, contradiction, leak or window; of notes
    # duplicate, look-alike, contradiction or sizes
    kind: str = "record"

    def __str__(self) -> str:
        where = f"{self.file}: record {self.record}" if self.record else self.file
        return f"{where}: {self.reason}"


@dataclass(frozen=True)
class Window:
    """Limit on the length of a record."""

    model: str  # name that the user gave the model
    tokens: int  # longest sequence that the model takes
    count: PairCounter


@dataclass(frozen=True)
class CheckReport:
    """Result of a check."""

    records: dict[str, int] = field(default_factory=dict)  # number of records checked, by file
    spoilt: dict[str, int] = field(default_factory=dict)  # records with a problem, by file
    problems: list[Problem] = field(default_factory=list)  # first problems
    found: dict[str, int] = field(default_factory=dict)  # number of all problems, by kind
    notes: list[Problem] = field(default_factory=list)  # facts that are no problem


def check_dataset(
    path: Path,
    profile: Profile | None = None,
    *,
    labels: Collection[str] | None = None,
    window: Window | None = None,
    strict: bool = False,
    keep: int | None = None,
) -> CheckReport:
    """Check a dataset file, or every split of a dataset directory, each file read once, in order.

    The help of ``dataset check`` lists problems and notes. Where most answers are given to one
    picture, answers are open: any may be new in a held-out split, and two of several words to the
    same pictures and question are a note. Copies and repeats do not count for that.

    Args:
        path: Dataset in any layout.
        profile: Format and palette of its pictures; None for those of its manifest.
        labels: All answers that may occur.
        window: Model that is to learn from it.
        strict: True where notes count as problems.
        keep: Number of problems to keep for the report; all are counted. None for all.

    Raises:
        DatasetError: There is no dataset at ``path``.
    """
    splits = split_files(path)
    known = None if labels is None else frozenset(labels)
    check = _Check(profile or read_profile(path), read_info(path), known, window, keep)
    for split, files in splits.items():
        check.start(split)
        for file in files:
            check.file(file)
    check.compare(strict)
    return check.report


@dataclass
class _Check:
    """State of a check while files are read."""

    _profile: Profile
    _info: DatasetInfo
    _labels: Collection[str] | None
    _window: Window | None
    _keep: int | None
    report: CheckReport = field(default_factory=CheckReport)
    _traces: Traces = field(default_factory=Traces)
    _files: list[str] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)  # number of records before each file
    _spoilt: set[int] = field(default_factory=set)
    _copied: bytearray = field(default_factory=bytearray)
    _sizes: Counter[str] = field(default_factory=Counter)
    _trained: frozenset[str] | None = None  # answers of the training split, if closed
    _whole: bool = True

    def tell(self, problem: Problem, index: int | None = None) -> None:
        """Count a problem of the record with an index among all; keep it while there is room."""
        found = self.report.found
        found[problem.kind] = found.get(problem.kind, 0) + 1
        if self._keep is None or len(self.report.problems) < self._keep:
            self.report.problems.append(problem)
        if index is not None and index not in self._spoilt:
            self._spoilt.add(index)
            self.report.spoilt[problem.file] = self.report.spoilt.get(problem.file, 0) + 1

    def start(self, split: str) -> None:
        """Begin a split; the answers of the training split are known by then."""
        if self._traces.splits == ["train"] and self._whole and not self._open():
            self._trained = frozenset(self._traces.answers)
        self._traces.start(split)

    def _open(self) -> bool:
        """Return whether most answers so far are given to one picture alone, as free text is."""
        own = np.frombuffer(self._copied, dtype=np.uint8) == 0
        return 2 * len(self._traces.answers) > len(np.unique(np.array(self._traces.texts)[own]))

    def file(self, file: Path) -> None:
        """Check each record of a file alone and keep its trace."""
        name, before, whole = str(file), len(self._traces), True
        self._files.append(name)
        self._starts.append(before)
        try:
            items = read_items([file], self._info)
            for item, grids in look_through(items, self._profile, self._traces):
                self._check_item(item, grids)
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

    def _check_item(self, item: Item, grids: list[Grid]) -> None:
        record, index = item.record, len(self._traces) - 1
        self._copied.append(record is not None and bool(_COPY.search(record.source)))
        problems = [("record", item.fault)]
        if record is not None:
            problems = [
                *self._answer_problems(item, record),
                *self._picture_problems(item, record, grids),
                *self._length_problems(item),
            ]
        for kind, reason in problems:
            self.tell(Problem(str(item.file), item.number, reason, kind), index)

    def _answer_problems(self, item: Item, record: Record) -> Iterator[tuple[str, str]]:
        """Yield kind and reason of what is wrong with the keys and the answer of a record."""
        if "size" in item.value and item.file.suffix == ".json":
            wanted = (*KEYS, *([QUESTION] if record.question else []))
            if tuple(item.value) != wanted:
                yield (
                    "record",
                    f"keys are {', '.join(item.value)}; the format has exactly "
                    f"{', '.join(wanted)}, in order",
                )
        answer, called = record.answer, _called(item, "Response", "answer")
        if not answer.strip():
            yield "answer", f"{called} is empty"
        elif self._labels is not None:
            if answer not in self._labels:
                yield "answer", f"{called} {_short(answer)} is none of the labels given"
        elif self._trained is not None and answer not in self._trained:
            yield "answer", f"{called} {_short(answer)} never occurs in the training split"

    def _picture_problems(
        self, item: Item, record: Record, grids: list[Grid]
    ) -> Iterator[tuple[str, str]]:
        """Yield kind and reason of what is wrong with the pictures of a record and their size."""
        widths = []
        for number, grid in enumerate(grids, start=1):
            if isinstance(grid, FormatError):
                which = f" picture {number}" if len(grids) > 1 else ""
                yield "picture", f"{_called(item, 'ASCII_image', 'picture')}{which} {grid}"
            else:
                self._sizes[f"{grid.shape[1]}x{grid.shape[0]}"] += 1
                widths.append(str(text_width(grid, self._profile)))
        size = " ".join(widths)
        if "size" in item.value and len(widths) == len(grids) and record.size != size:
            yield "size", f"'size' says {record.size!r}, the rows are {size or 'none'} glyphs wide"

    def _length_problems(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield kind and reason where the window does not take a record whole."""
        window = self._window
        if window is None:
            return
        pair = pair_of(item, self._info)
        size = sum(len(text.encode("utf-8", "replace")) for text in pair)
        if size + _SPECIAL_TOKENS <= window.tokens:  # no text has more tokens than bytes
            return
        [count] = window.count([pair])
        if count > window.tokens:
            yield (
                "window",
                f"{count} tokens, {window.model} takes {window.tokens}; its answer would be cut; "
                "encode it with fewer columns",
            )

    def compare(self, strict: bool) -> None:
        """Compare all records with each other, by their traces."""
        traces, repeats = self._traces, find_repeats(self._traces)
        names, answers, split_of = list(traces.answers), traces.answer_numbers, traces.split_of()
        lenient, free = self._open() and not strict, []
        for index, first in repeats["contradictions"].tolist():
            here, there = names[answers[index]], names[answers[first]]
            if lenient and len(here.split()) > 1 and len(there.split()) > 1:
                free.append((index, first))
                continue
            where = f"the same picture in {self._where(first, index)} answers {_short(there)}"
            self._tell_of(index, "contradiction", f"answers {_short(here)}, {where}")
        for index, first in repeats["leaks"].tolist():
            where = f"{self._where(first, index)} of split {traces.splits[split_of[first]]}"
            reason = f"leaks: {where} has the same picture and answer; leave one out"
            self._tell_of(index, "leak", reason)
        again = "repeats the picture and answer of", "repeat one before them"
        alike = "looks like", "look like one of an earlier split"
        other = "answers otherwise than", "answer otherwise than one before them"
        for kind, (does, they), pairs in (
            ("duplicate", again, repeats["duplicates"]),
            ("look-alike", alike, repeats["lookalikes"]),
            ("contradiction", other, np.array(free, dtype=np.int64).reshape(-1, 2)),
        ):
            for number, split in enumerate(traces.splits):
                inside = pairs[split_of[pairs[:, 0]] == number]
                for index, first in (inside if strict else inside[:1]).tolist():
                    reason = f"{does} {self._where(first, index)}"
                    if strict:
                        self._tell_of(index, kind, reason)
                        continue
                    if len(inside) > 1:
                        within = f" of split {split}" if split else ""
                        reason += f"; {len(inside)} records{within} {they}"
                    self.report.notes.append(Problem(*self._file_and_number(index), reason, kind))
        if len(self._sizes) > 1:
            common = ", ".join(f"{size} ({n})" for size, n in self._sizes.most_common(3))
            reason = f"grids of {len(self._sizes)} sizes, most often {common}"
            tell = self.tell if strict else self.report.notes.append
            tell(Problem(self._files[0], 0, reason, "sizes"))

    def _tell_of(self, index: int, kind: str, reason: str) -> None:
        """Tell a problem of a record that was read before, by its index among all."""
        self.tell(Problem(*self._file_and_number(index), reason, kind), index)

    def _file_and_number(self, index: int) -> tuple[str, int]:
        """Return file and number of a record, of its index among all."""
        at = bisect_right(self._starts, index) - 1
        return self._files[at], index - self._starts[at] + 1

    def _where(self, index: int, beside: int) -> str:
        """Name a record, with its file where that is another than ``beside``'s."""
        file, number = self._file_and_number(index)
        same = file == self._file_and_number(beside)[0]
        return f"record {number}" if same else f"{file}: record {number}"


def _called(item: Item, name: str, otherwise: str) -> str:
    """Name a part of a record: by its key where the layout has it."""
    return repr(name) if name in item.value else f"the {otherwise}"


def _short(answer: str) -> str:
    return repr(answer if len(answer) <= 40 else answer[:40] + "...")
