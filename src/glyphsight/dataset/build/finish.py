"""The files of a split: its shards written, joined where the layout wants one file, and listed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from glyphsight import parallel
from glyphsight.console import progress_bar
from glyphsight.dataset.build.card import CARD, TokenCounter, card_records, render_card
from glyphsight.dataset.build.write import (
    Shard,
    Writing,
    Written,
    note_name,
    sources_name,
    write_shard,
)
from glyphsight.dataset.filesystem import STATE, Place, put_bytes
from glyphsight.dataset.layouts import Output, join
from glyphsight.dataset.storage import sources_file
from glyphsight.errors import DatasetError
from glyphsight.files import checksum
from glyphsight.parallel import Workers

_CARD_SHARDS = 4  # whose records a dataset card counts


def write_missing(
    workers: Workers,
    how: Writing,
    cut: Callable[[], Iterator[Shard]],
    total: int,
    split: str,
    quiet: bool,
) -> None:
    """Write the shards of a split that are not in place."""
    noted = how.place.names(f"{STATE}/done")
    there = {
        shard.key: len(shard)
        for shard in cut()
        if f"{shard.key}.json" in noted and _noted(how.place, shard) is not None
    }
    left = (shard for shard in cut() if shard.key not in there)
    with progress_bar(
        total, "rec", f"write {split}", disable=quiet, initial=sum(there.values()), unit_scale=True
    ) as bar:
        for written in parallel.map(partial(write_shard, how), left, workers, ordered=False):
            bar.update(written.records)


def finish_split(
    place: Place, output: Output, split: str, shards: Iterable[Shard]
) -> list[dict[str, Any]]:
    """Join the pieces where the layout wants one file; what the manifest says of the files."""
    entries: list[dict[str, Any]] = []
    keys: list[str] = []
    records = 0
    for shard in shards:
        written = _noted(place, shard)
        if written is None:
            raise DatasetError(
                f"{place.path(shard.name)}: vanished while the dataset was built; run again"
            )
        entries.append({"name": shard.name} | vars(written))
        keys.append(shard.key)
        records += written.records
    if output.sharded:
        return entries
    names = _joined_names(output, split)
    with place.writing(names[0]) as path:
        with path.open("wb") as stream:
            join(output, _pieces(place, [entry["name"] for entry in entries]), stream)
        joined = [_entry(names[0], path, records)]
    for name in names[1:]:
        with place.writing(name) as path:
            with path.open("wb") as stream:
                for piece in _pieces(place, [sources_name(key) for key in keys]):
                    stream.write(piece.read_bytes())
            joined.append(_entry(name, path, records))
    return joined


def targets(output: Output, shards: dict[str, Iterator[Shard]]) -> set[str]:
    """Names of all files that the dataset will have."""
    if output.sharded:
        return {shard.name for own in shards.values() for shard in own}
    return {name for split in shards for name in _joined_names(output, split)}


def _joined_names(output: Output, split: str) -> list[str]:
    """The file of a split, and the one that says where its records are from."""
    name = Path(f"{split}{output.suffix}")
    return [str(name), *([] if output.sourced else [str(sources_file(name))])]


def _noted(place: Place, shard: Shard) -> Written | None:
    """The note that a shard is in place, where it is."""
    try:
        written = Written(**json.loads(place.read(note_name(shard.key))))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return written if place.size(shard.name) == written.bytes else None


def _entry(name: str, path: Path, records: int) -> dict[str, Any]:
    return {"name": name} | vars(Written(records, path.stat().st_size, checksum([path])))


def _pieces(place: Place, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        with place.reading(name) as path:
            yield path


def write_card(place: Place, manifest: dict[str, Any], counter: TokenCounter | None) -> None:
    """The dataset card, from the manifest and the first records of the largest split."""
    split = max(manifest["records"], key=manifest["records"].__getitem__)
    shards = [entry["name"] for entry in manifest["files"][split]]
    with ExitStack() as stack:
        files = [stack.enter_context(place.reading(name)) for name in shards[:_CARD_SHARDS]]
        card = render_card(
            PurePosixPath(place.root).name or Path(place.root).resolve().name,
            manifest,
            card_records(files),
            command=manifest["command"],
            counter=counter,
        )
    put_bytes(place, CARD, card.encode())
