"""The first look at a source: of each item its answer and what it looks like, part by part."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.codec.encode import level_grids
from glyphsight.dataset.assign import UNUSABLE, Items
from glyphsight.dataset.likeness import alike_hashes, exact_hashes
from glyphsight.errors import PictureError
from glyphsight.sources import Failure, Part, Pictures, Source


@dataclass(frozen=True)
class Scanned:
    """A part as it was found.

    Attributes:
        labels: The answers in it, each once.
        items: Of each item that could be read, its number in ``labels`` and its hashes.
        failures: The items that could not be read or cannot be encoded; only the latter have a
            number among the items, as unusable ones.
    """

    labels: list[str]
    items: Items
    failures: list[Failure]

    def to_bytes(self) -> bytes:
        """As a file of the state folder."""
        note = {"labels": self.labels, "failures": [[f.id, f.reason] for f in self.failures]}
        stream = io.BytesIO()
        np.savez(
            stream,
            note=np.frombuffer(json.dumps(note).encode(), dtype=np.uint8),
            codes=self.items.codes,
            exact=self.items.exact,
            alike=self.items.alike,
        )
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Scanned:
        """The inverse of :meth:`to_bytes`."""
        with np.load(io.BytesIO(data)) as archive:
            note = json.loads(archive["note"].tobytes())
            items = Items(archive["codes"], archive["exact"], archive["alike"])
        return cls(note["labels"], items, [Failure(*both) for both in note["failures"]])


def scan_part(source: Source, part: Part, profile: Profile, likeness: bool) -> Scanned:
    """Read a part and hash its level grids.

    Args:
        source: Where the part is.
        part: What to read.
        profile: How pictures become grids.
        likeness: Whether hashes are wanted.

    Raises:
        DatasetError: The part as a whole cannot be read.
    """
    names: dict[str, int] = {}
    codes: list[int] = []
    hashes: list[_Hashes] = [_NONE]
    failures: list[Failure] = []
    for batch in source.read(part):
        if isinstance(batch, Failure):
            failures.append(batch)
            continue
        try:
            found = [_look(batch.pixels, profile, likeness)]
            bad: dict[int, Failure] = {}
        except PictureError:
            found, bad = _look_one_by_one(batch, profile, likeness)
        hashes += found
        failures += bad.values()
        codes += [
            UNUSABLE if row in bad else names.setdefault(label, len(names))
            for row, label in enumerate(batch.labels)
        ]
    exact, alike = (np.concatenate(both) for both in zip(*hashes, strict=True))
    return Scanned(list(names), Items(np.array(codes, dtype=np.int32), exact, alike), failures)


_Hashes = tuple[NDArray[np.uint64], NDArray[np.uint64]]
_NONE: _Hashes = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint64)


def _look(pixels: NDArray[np.uint8], profile: Profile, likeness: bool) -> _Hashes:
    """Both hashes of each picture; none where they are not wanted, but what fails fails."""
    if not likeness and profile.crop is None:  # then the size decides, which all have
        pixels = pixels[:1]
    exact, alike = [_NONE[0]], [_NONE[1]]
    for levels in level_grids(pixels, profile):
        if likeness:
            exact.append(exact_hashes(levels))
            alike.append(alike_hashes(levels))
    return np.concatenate(exact), np.concatenate(alike)


def _look_one_by_one(
    batch: Pictures, profile: Profile, likeness: bool
) -> tuple[list[_Hashes], dict[int, Failure]]:
    """As :func:`_look`, and the pictures that cannot be encoded, by their place in the batch."""
    hashes: list[_Hashes] = []
    bad: dict[int, Failure] = {}
    for row, name in enumerate(batch.ids):
        try:
            hashes.append(_look(batch.pixels[row : row + 1], profile, likeness))
        except PictureError as error:
            bad[row] = Failure(name, f"{name}: {error}")
            if likeness:  # of no account, but it has its place
                hashes.append((np.zeros(1, dtype=np.uint64), np.zeros(1, dtype=np.uint64)))
    return hashes, bad


@dataclass(frozen=True)
class Gathered:
    """The scans of all parts together.

    Attributes:
        labels: All answers, sorted.
        items: Of each split, their numbers among the answers and hashes.
        starts: Of each split int64[parts + 1], number of the first item of each part.
        failures: The items that cannot be read or encoded.
    """

    labels: list[str]
    items: dict[str, Items]
    starts: dict[str, NDArray[np.int64]]
    failures: list[Failure]


def gather(scans: dict[str, Iterable[Scanned]]) -> Gathered:
    """Put the parts of each split together, taken one after the other."""
    numbers: dict[str, int] = {}  # in the order in which answers turn up
    items: dict[str, Items] = {}
    starts: dict[str, NDArray[np.int64]] = {}
    failures: list[Failure] = []
    for split, own in scans.items():
        codes, exact, alike = [np.zeros(0, dtype=np.int32)], [_NONE[0]], [_NONE[1]]
        for scan in own:
            places = [numbers.setdefault(label, len(numbers)) for label in scan.labels]
            codes.append(np.array([*places, UNUSABLE], dtype=np.int32)[scan.items.codes])
            exact.append(scan.items.exact)
            alike.append(scan.items.alike)
            failures += scan.failures
        starts[split] = np.cumsum([len(part) for part in codes], dtype=np.int64)
        items[split] = Items(np.concatenate(codes), np.concatenate(exact), np.concatenate(alike))
    labels = sorted(numbers)
    rank = {label: place for place, label in enumerate(labels)}
    table = np.array([*(rank[label] for label in numbers), UNUSABLE], dtype=np.int32)
    for split, found in items.items():
        items[split] = Items(table[found.codes], found.exact, found.alike)
    return Gathered(labels, items, starts, failures)
