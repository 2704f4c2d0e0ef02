"""The first reading of a source, part by part: the answer, grid and hashes of each item."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.lib.format import read_array, write_array
from numpy.typing import NDArray

from glyphsight import parallel
from glyphsight.codec import Profile
from glyphsight.codec.encode import level_grids
from glyphsight.console import progress_bar
from glyphsight.dataset.build.assign import UNUSABLE, Items
from glyphsight.dataset.build.settings import Build
from glyphsight.dataset.filesystem import STATE, Directory
from glyphsight.dataset.likeness import alike_hashes, exact_hashes
from glyphsight.errors import DatasetError, PictureError
from glyphsight.files import normal
from glyphsight.parallel import Workers
from glyphsight.sources import Batch, Failure, Part

_NONE = np.zeros(0, dtype=np.uint64)
_TOLD = "items.json"


@dataclass(frozen=True)
class Gathered:
    """The scans of all parts together, by split of the source."""

    labels: list[str]  # all answers, sorted
    items: dict[str, Items]
    starts: dict[str, NDArray[np.int64]]  # [parts + 1], number of the first item of each part
    failures: dict[str, list[Failure]]  # what cannot be read or encoded

    @property
    def failed(self) -> list[Failure]:
        """The failures of all splits."""
        return [failure for some in self.failures.values() for failure in some]


def scan_all(build: Build, parts: dict[str, list[Part]], workers: Workers, quiet: bool) -> Gathered:
    """Scan the parts of the splits that no earlier call has scanned; return all items."""
    tasks = [(part, number) for own in parts.values() for number, part in enumerate(own)]
    there = build.directory.names(f"{STATE}/scan")
    todo = [task for task in tasks if PurePosixPath(_scan_name(*task)).name not in there]
    done = len(tasks) - len(todo)
    with progress_bar(len(tasks), " parts", "scan", disable=quiet, initial=done) as bar:
        pictures = 0
        for number in parallel.map(partial(_scan_one, build), todo, workers, ordered=False):
            pictures += number
            bar.set_postfix_str(f"{pictures:,} pictures", refresh=False)
            bar.update()
    return _gather(build.directory, parts)


def _gather(directory: Directory, parts: dict[str, list[Part]]) -> Gathered:
    """Put the scans of the parts of each split together, taken one after the other."""
    numbers: dict[str, int] = {}  # in the order in which answers turn up
    items: dict[str, Items] = {}
    starts: dict[str, NDArray[np.int64]] = {}
    failures: dict[str, list[Failure]] = {split: [] for split in parts}
    for split, own in parts.items():
        codes, exact, alike = [np.zeros(0, dtype=np.int32)], [_NONE], [_NONE]
        for number, part in enumerate(own):
            with directory.reading(_scan_name(part, number)) as path, np.load(path) as scan:
                labels, failed = json.loads(scan["note"].tobytes())
                known = [numbers.setdefault(label, len(numbers)) for label in labels]
                codes.append(np.array([*known, UNUSABLE], dtype=np.int32)[scan["codes"]])
                exact.append(scan["exact"])
                alike.append(scan["alike"])
                failures[split] += [Failure(*both) for both in failed]
        starts[split] = np.cumsum([len(found) for found in codes], dtype=np.int64)
        items[split] = Items(np.concatenate(codes), np.concatenate(exact), np.concatenate(alike))
    labels = sorted(numbers)
    rank = {label: number for number, label in enumerate(labels)}
    table = np.array([*(rank[label] for label in numbers), UNUSABLE], dtype=np.int32)
    for split, found in items.items():
        items[split] = Items(table[found.codes], found.exact, found.alike)
    return Gathered(labels, items, starts, failures)


def grids_name(part: Part, number: int) -> str:
    """Return the name of the file with the grids of a part, the ``number``-th of its split."""
    return f"{STATE}/grids/{part.split}-{number:05d}.zip"


def read_grids(path: Path) -> Iterator[Batch]:
    """Yield items in the pieces they were kept in, grids in place of pixels."""
    with ZipFile(path) as archive:
        told = json.loads(archive.read(_TOLD))
        at = 0
        for name in archive.namelist():
            if name == _TOLD:
                continue
            with archive.open(name) as stream:
                levels: NDArray[np.uint8] = read_array(stream, allow_pickle=False)
            stop = at + len(levels)
            yield Batch(levels, *(each[at:stop] for each in told))
            at = stop


def _scan_name(part: Part, number: int) -> str:
    return f"{STATE}/scan/{part.split}-{number:05d}.npz"


def _scan_one(build: Build, task: tuple[Part, int]) -> int:
    """Scan a part into the state folder; return the number of its items."""
    with (
        build.directory.writing(grids_name(*task)) as path,
        ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as kept,
    ):
        scanned = _scan_part(build, task[0], kept)
    with build.directory.writing(_scan_name(*task)) as path, path.open("wb") as stream:
        np.savez(stream, **scanned)
    return len(scanned["codes"])


def _scan_part(build: Build, part: Part, kept: ZipFile) -> dict[str, Any]:
    """Keep the level grids of a part as they come; return codes, hashes and a note for the scan.

    A picture that cannot be encoded has a grid without cells. Answers, names and questions follow.
    """
    names: dict[str, int] = {}
    codes: list[int] = []
    told: tuple[list[str], ...] = ([], [], [])
    exact, alike = [_NONE], [_NONE]
    failures: list[Failure] = []
    pieces = count()
    for batch in build.source.read(part):
        if isinstance(batch, Failure):
            failures.append(batch)
            continue
        labels = [normal(label) for label in batch.labels]  # of a user's source too
        grids, bad = _grids(batch, build.settings.profile)
        for levels in grids:
            with kept.open(f"{next(pieces):05d}.npy", "w", force_zip64=True) as stream:
                write_array(stream, levels, allow_pickle=False)
            if not build.settings.keep_duplicates:
                exact.append(exact_hashes(levels))
                alike.append(alike_hashes(levels))
        failures += bad.values()
        for held, some in zip(told, (labels, batch.ids, batch.questions), strict=True):
            held += some
        codes += [
            UNUSABLE if row in bad else names.setdefault(label, len(names))
            for row, label in enumerate(labels)
        ]
    kept.writestr(_TOLD, json.dumps(told))
    note = json.dumps([list(names), [[failure.id, failure.reason] for failure in failures]])
    return {
        "note": np.frombuffer(note.encode(), dtype=np.uint8),
        "codes": np.array(codes, dtype=np.int32),
        "exact": np.concatenate(exact),
        "alike": np.concatenate(alike),
    }


def _grids(batch: Batch, profile: Profile) -> tuple[list[NDArray[np.uint8]], dict[int, Failure]]:
    """Return the grids of a batch, and the failures by their number in it."""
    try:
        return list(level_grids(batch.pixels, profile)), {}
    except PictureError:
        pass
    grids: list[NDArray[np.uint8]] = []
    bad: dict[int, Failure] = {}
    for row, name in enumerate(batch.ids):
        try:
            grids += level_grids(batch.pixels[row : row + 1], profile)
        except PictureError as error:
            bad[row] = Failure(name, f"{name}: {error}")
            grids.append(np.zeros((1, 0, 0), dtype=np.uint8))
    return grids, bad


def rows_named(
    build: Build, parts: list[Part], scanned: Gathered, names: Mapping[str, str]
) -> NDArray[np.int64]:
    """Find the items of the training split that have the names, each with its answer."""
    codes, starts = scanned.items["train"].codes, scanned.starts["train"]
    rows: dict[str, int] = {}
    for number, part in enumerate(parts):
        with build.directory.reading(grids_name(part, number)) as path, ZipFile(path) as archive:
            ids: list[str] = json.loads(archive.read(_TOLD))[1]
        for row, name in enumerate(ids, int(starts[number])):
            if name not in names:
                continue
            answer = names[name] if codes[row] == UNUSABLE else scanned.labels[codes[row]]
            if answer != names[name]:
                raise DatasetError(
                    f"{build.spec}: the answer to {name} is {answer!r}, in the dataset that "
                    f"holds it out {names[name]!r}; give a dataset of this source"
                )
            rows[name] = row
    if missing := sorted(names.keys() - rows.keys()):
        raise DatasetError(
            f"{build.spec}: {len(missing)} of the {len(names)} pictures to be held out are not in "
            f"its training split, such as {missing[0]}; give a dataset of this source"
        )
    return np.array(list(rows.values()), dtype=np.int64)
