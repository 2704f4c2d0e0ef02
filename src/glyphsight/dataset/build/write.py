"""The records of a shard: read, changed where it is a copy, encoded and put in place whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import IO

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.encode import level_grids
from glyphsight.codec.formats import get_format
from glyphsight.dataset.build.grid_archive import read_grids
from glyphsight.dataset.build.likeness import alike_hashes
from glyphsight.dataset.filesystem import STATE, Place, put_bytes
from glyphsight.dataset.layouts import Output, get_output
from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import Record
from glyphsight.dataset.storage import write_sources
from glyphsight.errors import DatasetError
from glyphsight.files import checksum
from glyphsight.media.augment import Augmentation, augment
from glyphsight.sources import Failure, Part, Source

_HELD = 1024  # records
_ATTEMPTS = 8  # at a copy that looks like no held-out picture


@dataclass(frozen=True)
class Writing:
    """What is the same for every shard of a build.

    Attributes:
        spec: What records call the source.
        source: The source.
        place: Where to write.
        output: Name of the layout.
        wordings: Words around the picture.
        profile: How pictures become text.
        augmentation: How copies are changed.
        seed: Of the changes.
        held_out: Name of the file with the hashes that no copy may have, "" for none.
    """

    spec: str
    source: Source
    place: Place
    output: str
    wordings: tuple[Prompt, ...]
    profile: Profile
    augmentation: Augmentation
    seed: int
    held_out: str = ""


@dataclass(frozen=True)
class Segment:
    """Records of a shard that come from one part.

    Attributes:
        part: The part.
        number: Its number in its split.
        items: int64[n], which items of it, ascending; some may repeat.
        turn: 0 for the pictures as they are, else which copy of them.
        first: Number of the first among the items of its split.
    """

    part: Part
    number: int
    items: NDArray[np.int64]
    turn: int
    first: int


@dataclass(frozen=True)
class Shard:
    """A run of consecutive records of a split: what one process writes at a time.

    Attributes:
        key: Its name in the state folder, such as ``train-00000``.
        name: The file it becomes, or the piece of one.
        first: Number of its first record in the split.
        segments: Where its records come from, in order.
    """

    key: str
    name: str
    first: int
    segments: tuple[Segment, ...]

    def __len__(self) -> int:
        return sum(len(segment.items) for segment in self.segments)


@dataclass(frozen=True)
class Written:
    """A file that is in place.

    Attributes:
        records: Records in it.
        bytes: Its size.
        sha256: Of its bytes, in hexadecimal.
    """

    records: int
    bytes: int
    sha256: str


def note_name(key: str) -> str:
    """Name of the note that says that a shard is in place."""
    return f"{STATE}/done/{key}.json"


def grids_name(part: Part, number: int) -> str:
    """Name of the file with the grids of a part, the ``number``-th of its split."""
    return f"{STATE}/grids/{part.split}-{number:05d}.zip"


def sources_name(key: str) -> str:
    """Name of the piece that says where each record of a shard was made from."""
    return f"{STATE}/pieces/{key}.sources.txt"


def cut_into_shards(
    split: str,
    output: Output,
    parts: list[Part],
    starts: NDArray[np.int64],
    rows: NDArray[np.int64],
    copies: int,
    size: int,
) -> Iterator[Shard]:
    """The shards of a split, one at least; each round of copies follows the one before.

    Args:
        split: Name of the split.
        output: Its layout.
        parts: The parts its items come from.
        starts: int64[parts + 1], number of the first item of each part.
        rows: int64[n], the items of the split, ascending.
        copies: Rounds of copies.
        size: Records of a shard.
    """
    total = len(rows) * (copies + 1)
    count = max(1, -(-total // size))
    for number in range(count):
        first, stop = number * size, min(total, (number + 1) * size)
        segments: list[Segment] = []
        at = first
        while at < stop:
            turn, place = divmod(at, len(rows))
            part = int(np.searchsorted(starts, rows[place], "right")) - 1
            end = int(np.searchsorted(rows, starts[part + 1]))
            end = min(end, place + stop - at)
            segments.append(Segment(parts[part], part, rows[place:end] - starts[part], turn, place))
            at += end - place
        key = f"{split}-{number:05d}"
        name = f"{STATE}/pieces/{key}"
        if output.sharded:
            name = f"data/{split}-{number:05d}-of-{count:05d}{output.suffix}"
        yield Shard(key, name, first, tuple(segments))


def write_shard(how: Writing, shard: Shard) -> Written:
    """Put a shard in place, then the note that it is; done twice it gives the same.

    Raises:
        DatasetError: The source gives other items than it gave before.
    """
    output = get_output(how.output)
    with how.place.writing(shard.name) as path:
        if output.sourced:
            with path.open("wb") as stream:
                output.write(_records(how, shard), stream, how.wordings, shard.first)
        else:
            with (
                how.place.writing(sources_name(shard.key)) as beside,
                path.open("wb") as stream,
                beside.open("wb") as lines,
            ):
                records = _noting_sources(_records(how, shard), lines)
                output.write(records, stream, how.wordings, shard.first)
        written = Written(len(shard), path.stat().st_size, checksum([path]))
    put_bytes(how.place, note_name(shard.key), json.dumps(vars(written)).encode())
    return written


def _noting_sources(records: Iterator[Record], lines: IO[bytes]) -> Iterator[Record]:
    while held := list(islice(records, _HELD)):
        write_sources(held, lines)
        yield from held


def _records(how: Writing, shard: Shard) -> Iterator[Record]:
    size = str(how.profile.width)
    for segment in shard.segments:
        copy = f" copy {segment.turn}" if segment.turn else ""
        texts = _copied_texts(how, segment) if segment.turn else _kept_texts(how, segment)
        for some, ids, labels in texts:
            for text, name, label in zip(some, ids, labels, strict=True):
                yield Record((text,), label, size=size, source=f"{how.spec} {name}{copy}")


_Texts = tuple[list[str], list[str], list[str]]


def _kept_texts(how: Writing, segment: Segment) -> Iterator[_Texts]:
    """Texts, ids and labels of pictures as they are, from the grids of the scan."""
    form = get_format(how.profile.format)
    at = done = 0
    with how.place.reading(grids_name(segment.part, segment.number)) as path:
        for levels, ids, labels in read_grids(path):
            stop = int(np.searchsorted(segment.items, at + len(levels)))
            if stop > done:
                chosen = segment.items[done:stop] - at
                texts = form.render_batch(levels[chosen], how.profile.palette)
                yield texts, [ids[i] for i in chosen], [labels[i] for i in chosen]
            at, done = at + len(levels), stop


def _copied_texts(how: Writing, segment: Segment) -> Iterator[_Texts]:
    """Texts, ids and labels of changed copies, from the source itself.

    Raises:
        DatasetError: It gives other items than it gave before.
    """
    at = done = 0
    items, part = segment.items, segment.part
    for batch in how.source.read(part):
        if isinstance(batch, Failure):
            continue
        stop = int(np.searchsorted(items, at + len(batch)))
        if stop > done:
            found = batch.take(items[done:stop] - at)
            numbers = np.arange(segment.first + done, segment.first + stop)
            pixels = _changed(how, found.pixels, segment.turn, numbers)
            yield encode_batch(pixels, how.profile), found.ids, found.labels
        at, done = at + len(batch), stop
        if done == len(items):
            return
    raise DatasetError(
        f"{part.split} {' '.join(map(str, part.place))}: gives {at} items, it gave "
        f"{int(items[-1]) + 1} or more before; the source has changed, run again with --force"
    )


def _changed(
    how: Writing, pixels: NDArray[np.uint8], turn: int, numbers: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Copies; one that looks like a held-out picture is drawn again, and is no change at last."""
    copies = augment(pixels, how.augmentation, how.seed, turn, numbers)
    if not how.held_out:
        return copies
    looks = _held_out_hashes(how.place, how.held_out)
    left = np.arange(len(copies))
    for attempt in range(1, _ATTEMPTS + 1):
        grids = level_grids(copies[left], how.profile)
        hashes = np.concatenate([alike_hashes(levels) for levels in grids])
        left = left[np.isin(hashes, looks)]
        if not len(left):
            break
        copies[left] = pixels[left]
        if attempt < _ATTEMPTS:
            other = turn + (attempt << 32)
            again = augment(pixels[left], how.augmentation, how.seed, other, numbers[left])
            copies[left] = again
    return copies


@lru_cache(maxsize=1)
def _held_out_hashes(place: Place, name: str) -> NDArray[np.uint64]:
    return np.frombuffer(place.read(name), dtype=np.uint64)
