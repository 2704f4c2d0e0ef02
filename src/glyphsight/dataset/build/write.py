"""Records written: shards read, changed where they are copies, encoded, and joined into files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from glyphsight import parallel
from glyphsight.codec import encode_batch
from glyphsight.codec.encode import columns_of, level_grids
from glyphsight.codec.formats import get_format
from glyphsight.console import progress_bar
from glyphsight.dataset.build.scan import grids_name, read_grids
from glyphsight.dataset.build.settings import Build
from glyphsight.dataset.filesystem import STATE, Directory
from glyphsight.dataset.layouts import Output, join
from glyphsight.dataset.likeness import alike_hashes
from glyphsight.dataset.record import Record
from glyphsight.dataset.storage import sources_file, write_sources
from glyphsight.errors import DatasetError
from glyphsight.files import checksum
from glyphsight.media.change import augment
from glyphsight.media.change_sound import augment_sounds
from glyphsight.parallel import Workers
from glyphsight.sources import Batch, Failure, Part

_ATTEMPTS = 8  # at a copy that looks like no held-out picture


@dataclass(frozen=True)
class Segment:
    """Records of a shard that come from one part."""

    part: Part
    number: int  # of the part in its split
    items: NDArray[np.int64]  # [n], numbers of its items, ascending; some may repeat
    turn: int  # 0 for the unchanged pictures, else the number of the copy
    first: int  # number of the first among the items of its split


@dataclass(frozen=True)
class Shard:
    """Consecutive records of a split, which one process writes at a time."""

    key: str  # its name in the state folder, such as train-00000
    name: str  # the file it becomes, or the piece of one
    first: int  # number of its first record in the split
    segments: tuple[Segment, ...]  # sources of its records, in order

    def __len__(self) -> int:
        return sum(len(segment.items) for segment in self.segments)

    @property
    def note(self) -> str:
        """Name of the note that says that the shard is in place."""
        return f"{STATE}/done/{self.key}.json"

    @property
    def sources(self) -> str:
        """Name of the piece with the sources of its records."""
        return f"{STATE}/pieces/{self.key}.sources.txt"


@dataclass(frozen=True)
class Split:
    """The records that a split will have."""

    name: str
    parts: list[Part]  # of the source, which its items come from
    starts: NDArray[np.int64]  # [parts + 1], number of the first item of each part
    rows: NDArray[np.int64]  # [n], items of the split, ascending; some may repeat
    copies: int  # rounds of changed copies, which follow one another

    def __len__(self) -> int:
        return len(self.rows) * (self.copies + 1)

    def shards(self, build: Build) -> Iterator[Shard]:
        """Yield the shards, one at least, of the settings' size each but for the last."""
        layout, size = build.layout, build.settings.shard_size
        count = max(1, -(-len(self) // size))
        for number in range(count):
            key = f"{self.name}-{number:05d}"
            name = f"{STATE}/pieces/{key}"
            if layout.sharded:
                name = f"data/{key}-of-{count:05d}{layout.suffix}"
            first = number * size
            segments = self._segments(first, min(len(self), first + size))
            yield Shard(key, name, first, tuple(segments))

    def _segments(self, at: int, stop: int) -> Iterator[Segment]:
        """Yield what the records from ``at`` to ``stop`` come from."""
        while at < stop:
            turn, first = divmod(at, len(self.rows))
            part = int(np.searchsorted(self.starts, self.rows[first], "right")) - 1
            end = int(np.searchsorted(self.rows, self.starts[part + 1]))
            end = min(end, first + stop - at)
            items = self.rows[first:end] - self.starts[part]
            yield Segment(self.parts[part], part, items, turn, first)
            at += end - first


def write_shard(build: Build, shard: Shard) -> int:
    """Put a shard in place, then the note that it is, and return the number of its records."""
    sources = io.BytesIO()
    with build.directory.writing(shard.name) as path:
        with path.open("wb") as stream:
            records = _records(build, shard, sources)
            build.layout.write(records, stream, build.settings.wordings, shard.first)
        entry = _entry(shard.name, path, len(shard))
    if not build.layout.sourced:
        build.directory.write(shard.sources, sources.getvalue())
    build.directory.write(shard.note, json.dumps(entry).encode())
    return len(shard)


def _records(build: Build, shard: Shard, sources: IO[bytes]) -> Iterator[Record]:
    profile = build.settings.profile
    size = str(profile.width)
    for segment in shard.segments:
        copy = f" copy {segment.turn}" if segment.turn else ""
        for some, items in _texts(build, segment):
            told = zip(some, items.labels, items.questions, items.ids, strict=True)
            for text, label, question, name in told:
                if profile.widest is not None:
                    size = str(columns_of(text, profile))
                record = Record((text,), label, question, size, f"{build.spec} {name}{copy}")
                write_sources([record], sources)
                yield record


def _kept(build: Build, segment: Segment) -> Iterator[Batch]:
    """Yield the items of a part as the scan kept them, grids in place of pixels."""
    with build.directory.reading(grids_name(segment.part, segment.number)) as path:
        yield from read_grids(path)


def _texts(build: Build, segment: Segment) -> Iterator[tuple[list[str], Batch]]:
    """Yield texts and their items: unchanged ones as the scan kept them, copies from the source."""
    at = done = 0
    items, part, profile = segment.items, segment.part, build.settings.profile
    for batch in build.source.read(part) if segment.turn else _kept(build, segment):
        if isinstance(batch, Failure):
            continue
        stop = int(np.searchsorted(items, at + len(batch)))
        if stop > done:
            found = batch.take(items[done:stop] - at)
            if segment.turn:
                numbers = np.arange(segment.first + done, segment.first + stop)
                texts = encode_batch(_changed(build, found.pixels, segment.turn, numbers), profile)
            else:
                texts = get_format(profile.format).render_batch(found.pixels, profile.palette)
            yield texts, found
        at, done = at + len(batch), stop
        if done == len(items):
            return
    raise DatasetError(
        f"{part.split} {' '.join(map(str, part.location))}: gives {at} items, it gave "
        f"{int(items[-1]) + 1} or more before; the source has changed, run again with --force"
    )


def _changed(
    build: Build, pixels: NDArray[np.uint8], turn: int, numbers: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Change copies; draw again those that look like held-out pictures, unchanged at last."""
    settings, copies, left = build.settings, pixels.copy(), np.arange(len(pixels))
    change = augment_sounds if getattr(build.source, "sounds", False) else augment
    for attempt in range(_ATTEMPTS):
        draw = turn + (attempt << 32)
        drawn = change(pixels[left], settings.augmentation, settings.seed, draw, numbers[left])
        if not build.held_out:
            return drawn
        grids = level_grids(drawn, settings.profile)
        hashes = np.concatenate([alike_hashes(levels) for levels in grids])
        alike = np.isin(hashes, _held_out_hashes(build.directory, build.held_out))
        copies[left[~alike]] = drawn[~alike]
        left = left[alike]
        if not len(left):
            break
    return copies


@lru_cache(maxsize=1)
def _held_out_hashes(directory: Directory, name: str) -> NDArray[np.uint64]:
    return np.frombuffer(directory.read(name), dtype=np.uint64)


def write_missing(build: Build, split: Split, workers: Workers, quiet: bool) -> None:
    """Write the shards of a split that are not in place."""
    notes = build.directory.names(f"{STATE}/done")
    left, done = [], 0
    for shard in split.shards(build):
        if f"{shard.key}.json" in notes and _noted(build.directory, shard) is not None:
            done += len(shard)
        else:
            left.append(shard)
    with progress_bar(
        len(split), " records", f"write {split.name}", disable=quiet, initial=done
    ) as bar:
        for count in parallel.map(partial(write_shard, build), left, workers, ordered=False):
            bar.update(count)


def finish_split(build: Build, split: Split) -> list[dict[str, Any]]:
    """Join the pieces where the layout wants one file; return the files for the manifest."""
    directory, layout = build.directory, build.layout
    entries: list[dict[str, Any]] = []
    sources: list[str] = []
    for shard in split.shards(build):
        entry = _noted(directory, shard)
        if entry is None:
            raise DatasetError(
                f"{directory.path(shard.name)}: vanished while the dataset was built; run again"
            )
        entries.append(entry)
        sources.append(shard.sources)
    if layout.sharded:
        return entries
    joined = []
    names, pieces = _joined_names(layout, split.name), [entry["name"] for entry in entries]
    for name, own in zip(names, (pieces, sources), strict=False):
        with directory.writing(name) as path:
            with path.open("wb") as stream:
                if own is pieces:
                    join(layout, _pieces(directory, own), stream)
                else:
                    stream.writelines(piece.read_bytes() for piece in _pieces(directory, own))
            joined.append(_entry(name, path, len(split)))
    return joined


def targets(build: Build, splits: Iterable[Split]) -> set[str]:
    """Return the names of all files that the dataset will have."""
    if build.layout.sharded:
        return {shard.name for split in splits for shard in split.shards(build)}
    return joined_files(build.layout, (split.name for split in splits))


def joined_files(layout: Output, splits: Iterable[str]) -> set[str]:
    """Return the names of the files that splits become where these are joined from pieces."""
    if layout.sharded:
        return set()
    return {name for split in splits for name in _joined_names(layout, split)}


def _joined_names(layout: Output, split: str) -> list[str]:
    """Return the name of a split's file, and of the file with its records' sources."""
    name = Path(f"{split}{layout.suffix}")
    return [str(name), *([] if layout.sourced else [str(sources_file(name))])]


def _noted(directory: Directory, shard: Shard) -> dict[str, Any] | None:
    """Read the note that a shard is in place; None where it is not."""
    entry: Any = directory.read_json(shard.note)
    whole = isinstance(entry, dict) and directory.size(shard.name) == entry.get("bytes", -1)
    return entry if whole else None


def _entry(name: str, path: Path, records: int) -> dict[str, Any]:
    """Describe a file for the manifest."""
    size, digest = path.stat().st_size, checksum([path])
    return {"name": name, "records": records, "bytes": size, "sha256": digest}


def _pieces(directory: Directory, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        with directory.reading(name) as path:
            yield path
