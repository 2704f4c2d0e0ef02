"""From a source of labelled pictures to a dataset: scan, assign, write; see docs/design."""

from __future__ import annotations

import glob
import inspect
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.console import progress_bar
from glyphsight.dataset.building.assign import BALANCES, Assigned, assign
from glyphsight.dataset.building.augment import Augmentation
from glyphsight.dataset.building.card import CARD, TokenCounter, card_records, render_card
from glyphsight.dataset.building.held_out import held_out_names, rows_named
from glyphsight.dataset.building.kept import GridWriter
from glyphsight.dataset.building.manifest import (
    belonging,
    command_of,
    finished_manifest,
    is_whole,
)
from glyphsight.dataset.building.scan import Gathered, Scanned, gather, scan_part
from glyphsight.dataset.building.state import (
    drop_state,
    keep_held_out,
    noted_files,
    open_state,
    remove_others,
    withdraw,
)
from glyphsight.dataset.building.write import (
    Shard,
    Writing,
    Written,
    cut_into_shards,
    grids_name,
    note_name,
    sha256_of,
    sources_name,
    write_shard,
)
from glyphsight.dataset.engines import Engine, open_engine
from glyphsight.dataset.outputs import Output, get_output, join
from glyphsight.dataset.place import STATE, Place, locked, open_place, put_bytes
from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.storage import MANIFEST, SPLITS, sources_file
from glyphsight.errors import DatasetError
from glyphsight.sources import Failure, Part, Source, open_source
from glyphsight.sources.listed import walk
from glyphsight.version import __version__

SHARD_SIZE = 10_000
"""Records of a shard: enough to outweigh its start, little to do again."""

_FAILURES_KEPT = 100
_CARD_SHARDS = 4  # whose records a dataset card counts


@dataclass(frozen=True)
class BuildReport:
    """What a build wrote.

    Attributes:
        records: Records written, by split.
        labels: Records of each label, by split.
        files: Path of each split's file, or the glob of its shards.
        likeness: What looks alike: ``repeats`` of the source's splits, and what was ``removed``.
        failed: How many items could not be read or encoded.
        failures: The first of them.
        found: The dataset was there already, whole, and nothing was written.
    """

    records: dict[str, int]
    labels: dict[str, dict[str, int]]
    files: dict[str, str]
    likeness: dict[str, Any] = field(default_factory=dict)
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    found: bool = False


def build_dataset(
    spec: str,
    out: str | os.PathLike[str],
    *,
    profile: Profile = PUBLISHED,
    split: str | None = None,
    limit: int | None = None,
    validation: int | None = None,
    hold_out: str | None = None,
    copies: int = 0,
    augmentation: Augmentation | None = None,
    balance: str = "none",
    keep_duplicates: bool = False,
    seed: int = 0,
    output: str = "json",
    wordings: Sequence[Prompt] = (),
    shard_size: int = SHARD_SIZE,
    workers: int | None = 1,
    engine: str = "local",
    ray_address: str | None = None,
    force: bool = False,
    counter: TokenCounter | None = None,
    quiet: bool = False,
) -> BuildReport:
    """Write the splits of a source as a dataset into ``out``, ``manifest.json`` last.

    Killed at any moment it leaves whole files; called again with the same arguments it goes on. The
    bytes depend neither on that nor on the engine and its workers.

    Args:
        spec: Source, such as ``bundled`` or ``idx:DIR``.
        out: Directory, or a URL that fsspec can write to, such as ``s3://bucket/digits``. Files in
            it are replaced one by one, atomically; those of an earlier dataset go.
        profile: How pictures become text.
        split: Build this split alone.
        limit: At most so many pictures a split, stratified by label.
        validation: Pictures held out of the training split when the source has no validation
            split; None for a tenth, 2,000 at most. Which ones depends on the profile too, since
            look-alikes stay together.
        hold_out: Directory of a dataset of the same source whose validation pictures are held out
            here too, in place of ``validation``: so that several profiles are judged on the same
            pictures, less those that look like a test picture in this one.
        copies: Changed copies of each training picture, beside the picture itself.
        augmentation: How the copies are changed; None for the default.
        balance: Of the training split: ``none``, ``down`` to the rarest answer, or ``up`` to the
            most common by repeating pictures.
        keep_duplicates: Leave pictures that look alike in whatever split they are.
        seed: Of the held-out choice, the limit, the balance and the changes.
        output: Name of the layout.
        wordings: Words around the picture, where the layout has any; none for the default.
        shard_size: Records of a shard.
        workers: Processes at most; None for one a core. A script that asks for more than one
            needs its ``if __name__ == "__main__":``, since each process imports it.
        engine: ``local`` or ``ray``.
        ray_address: Of a Ray cluster; None for one on this machine.
        force: Build anew what is there already.
        counter: Counts the tokens that a dataset card tells; None leaves them out.
        quiet: Show no progress bar.

    Raises:
        DatasetError: The source cannot be read, has no such split, or a setting makes no sense.
        FormatError: No picture could be encoded with the profile.
    """
    source, layout = open_source(spec), get_output(output)
    place, worker = open_place(out), open_engine(engine, workers, ray_address)
    how, words = augmentation or Augmentation(), tuple(wordings) or (Prompt(),)
    _check_numbers(limit=limit, validation=validation, copies=copies, seed=seed)
    if balance not in BALANCES:
        raise DatasetError(f"balance is one of {', '.join(BALANCES)}, not {balance!r}")
    if shard_size < 1:
        raise DatasetError(f"shard size must be at least 1, not {shard_size}")
    encode_batch(np.zeros((1, 1, 1), dtype=np.uint8), profile)  # one error, not one a picture
    names = _names_to_hold_out(hold_out, validation, source, spec, str(out))
    wanted, needed = _splits(source, spec, split, validation != 0, not keep_duplicates)
    parts = {name: source.parts(name) for name in needed}
    settings = {
        "source": spec,
        "licence": source.licence,
        "profile": asdict(profile),
        "split": split,
        "limit": limit,
        "validation": validation,
        "copies": copies,
        "augmentation": asdict(how) if copies else None,
        "balance": balance,
        "keep_duplicates": keep_duplicates,
        "seed": seed,
        "output": output,
        "wordings": [asdict(wording) for wording in words],
        "shard_size": shard_size,
        "glyphsight": __version__,
    }
    if hold_out is not None:
        settings["hold_out"] = hold_out
        settings["held_out"] = _digest(sorted(names))
    if layout.card and counter is not None:
        settings["tokenizer"] = counter.tokenizer
    plan = _digest([settings, {name: [asdict(p) for p in own] for name, own in parts.items()}])
    stamp = _digest([plan, _local_files(spec, out)])
    with locked(place):
        done = finished_manifest(place)
        if done is not None and not force and done.get("stamp") == stamp and is_whole(done, place):
            place.remove(STATE)
            return _report(done, place, found=True)
        _check_card(place, layout, done, force)
        open_state(place, stamp, force)
        with closing(worker):
            found = _scan(worker, source, place, parts, profile, not keep_duplicates, quiet)
            try:
                named = None
                if hold_out is not None and "train" in parts:
                    named = rows_named(place, parts["train"], found.starts["train"], names, spec)
                assigned = assign(
                    found.items,
                    wanted,
                    validation=0 if "validation" in source.splits else validation,
                    named=named,
                    limit=limit,
                    balance=balance,
                    likeness=not keep_duplicates,
                    seed=seed,
                    where=spec,
                )
                _check_filled(spec, assigned, found)
            except DatasetError:
                drop_state(place)
                raise
            rounds = {name: copies if name == "train" else 0 for name in wanted}
            shards = {
                name: partial(
                    cut_into_shards,
                    name,
                    layout,
                    parts[assigned.origin[name]],
                    found.starts[assigned.origin[name]],
                    assigned.rows[name],
                    rounds[name],
                    shard_size,
                )
                for name in wanted
            }
            withdraw(place, _targets(layout, {name: cut() for name, cut in shards.items()}))
            forbidden = keep_held_out(place, assigned.held_out) if copies else ""
            writing = Writing(spec, source, place, output, words, profile, how, seed, forbidden)
            entries = {}
            for name, cut in shards.items():
                total = len(assigned.rows[name]) * (rounds[name] + 1)
                _write(worker, writing, cut, total, name, quiet)
                entries[name] = _finish(place, layout, name, cut())
        manifest = settings | {
            "records": {name: len(assigned.rows[name]) * (rounds[name] + 1) for name in wanted},
            "labels": {name: _count_labels(found, assigned, name, rounds[name]) for name in wanted},
            "likeness": {
                key: {name: asdict(count) for name, count in counts.items()}
                for key, counts in (("repeats", assigned.repeats), ("removed", assigned.removed))
            },
            "failures": {
                "count": len(found.failures),
                "items": [asdict(failure) for failure in found.failures[:_FAILURES_KEPT]],
            },
            "command": command_of(settings, profile, how, _defaults()),
            "files": entries,
            "plan": plan,
            "stamp": stamp,
        }
        if layout.card:
            _write_card(place, manifest, counter)
            manifest["card"] = CARD
        remove_others(place, belonging(manifest))
        text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
        put_bytes(place, MANIFEST, text.encode())
        place.remove(STATE)
        report = _report(manifest, place, found=False)
        report.failures[:] = found.failures
        return report


def _names_to_hold_out(
    hold_out: str | None, validation: int | None, source: Source, spec: str, out: str
) -> frozenset[str]:
    """What the source calls the pictures to be held out; none where no dataset says it."""
    if hold_out is None:
        return frozenset()
    if validation is not None:
        raise DatasetError("hold_out and validation: give one of them")
    if "train" not in source.splits or "validation" in source.splits:
        raise DatasetError(
            f"{spec}: has the splits {', '.join(source.splits)}; hold_out takes pictures out of a "
            "training split for a validation split that is not there yet"
        )
    return held_out_names(hold_out, out)


def _splits(
    source: Source, spec: str, chosen: str | None, hold_out: bool, likeness: bool
) -> tuple[list[str], list[str]]:
    """The splits to make, and the source's own that decide what is in them."""
    own = set(source.splits)
    derived = hold_out and "train" in own and "validation" not in own
    available = own | ({"validation"} if derived else set())
    if chosen is not None and chosen not in available:
        raise DatasetError(
            f"{spec}: has no split {chosen!r}; it gives {', '.join(sorted(available))}"
        )
    wanted = [name for name in SPLITS if name in available and chosen in (None, name)]
    if not wanted:
        raise DatasetError(
            f"{spec}: has the splits {', '.join(source.splits)}; one of {', '.join(SPLITS)} is "
            "needed"
        )
    needed = {name if name in own else "train" for name in wanted}
    if likeness and {"train", "validation"} & set(wanted):
        needed |= {"test"} & own
    if likeness and "train" in wanted:
        needed |= {"validation"} & own
    return wanted, [name for name in SPLITS if name in needed]


def _digest(value: Any) -> str:
    return blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


def _local_files(spec: str, out: str | os.PathLike[str]) -> list[tuple[str, int, int]]:
    """Path, size and time of the files a SPEC's location names here, the dataset's own left out."""
    location, mine = spec.partition(":")[2], Path(out).resolve()
    if not location:
        return []
    found: list[Path] = []
    if not Path(location).exists():  # what follows a question mark are the source's options
        location = location.rpartition("?")[0] or location
    for match in sorted(glob.glob(location, recursive=True)) or [location]:  # noqa: PTH207
        path = Path(match)
        found += [path / name for name in walk(path)] if path.is_dir() else [path]
    stats = [
        (path, path.stat())
        for path in found
        if path.is_file() and mine not in path.resolve().parents
    ]
    return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _check_numbers(**numbers: Any) -> None:
    """Refuse what is no count; the seed and the rest of them start at 0, a limit at 1."""
    for name, value in numbers.items():
        least = 1 if name == "limit" else 0
        optional = name in ("limit", "validation") and value is None
        if not optional and (type(value) is not int or value < least):
            raise DatasetError(f"{name} is a whole number from {least} up, not {value!r}")


def _check_card(place: Place, layout: Output, done: dict[str, Any] | None, force: bool) -> None:
    """Refuse to write a dataset card over a file that no dataset of ours left there."""
    ours = noted_files(place) | (belonging(done) if done is not None else set())
    if layout.card and not force and CARD not in ours and place.size(CARD) is not None:
        raise DatasetError(
            f"{place.path(CARD)}: is there already and no dataset card of this place; move it "
            "away, or add --force"
        )


def _check_filled(spec: str, assigned: Assigned, found: Gathered) -> None:
    """Refuse a split of which nothing is left."""
    for name, rows in assigned.rows.items():
        if len(rows):
            continue
        why = "; what there was looks like held-out pictures (--keep-duplicates keeps it)"
        if found.failures:
            why = f"; the first that cannot be read: {found.failures[0].reason}"
        elif name not in assigned.removed:
            why = ""
        raise DatasetError(f"{spec}: no picture is left for the split {name}{why}")


def _defaults() -> dict[str, Any]:
    parameters = inspect.signature(build_dataset).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def _scan_name(part: Part, number: int) -> str:
    return f"{part.split}-{number:05d}.npz"


def _scan_one(
    source: Source, place: Place, profile: Profile, likeness: bool, task: tuple[Part, int]
) -> int:
    """Scan a part into the state folder; how many items it gave."""
    with place.writing(grids_name(*task)) as path, GridWriter(path) as kept:
        scanned = scan_part(source, task[0], profile, likeness, kept)
    put_bytes(place, f"{STATE}/scan/{_scan_name(*task)}", scanned.to_bytes())
    return len(scanned.items.codes)


def _scan(
    engine: Engine,
    source: Source,
    place: Place,
    parts: dict[str, list[Part]],
    profile: Profile,
    likeness: bool,
    quiet: bool,
) -> Gathered:
    """All items of the splits, scanned now or by an earlier call."""
    tasks = [(part, number) for own in parts.values() for number, part in enumerate(own)]
    there = place.names(f"{STATE}/scan")
    todo = [task for task in tasks if _scan_name(*task) not in there]
    work = partial(_scan_one, source, place, profile, likeness)
    with _bar("scan", len(tasks), "part", quiet, len(tasks) - len(todo)) as bar:
        pictures = 0
        for _, count in engine.run(work, todo):
            pictures += count
            bar.set_postfix_str(f"{pictures:,} pictures", refresh=False)
            bar.update()
    return gather(
        {
            name: (
                Scanned.from_bytes(place.read(f"{STATE}/scan/{_scan_name(part, number)}"))
                for number, part in enumerate(own)
            )
            for name, own in parts.items()
        }
    )


def _bar(what: str, total: int, unit: str, quiet: bool, done: int = 0) -> Any:
    return progress_bar(total, unit, what, disable=quiet, initial=done, unit_scale=True)


def _targets(output: Output, shards: dict[str, Iterator[Shard]]) -> set[str]:
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


def _write(
    engine: Engine,
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
    with _bar(f"write {split}", total, "rec", quiet, sum(there.values())) as bar:
        for shard, _ in engine.run(partial(write_shard, how), left):
            bar.update(len(shard))


def _finish(
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


def _write_card(place: Place, manifest: dict[str, Any], counter: TokenCounter | None) -> None:
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


def _entry(name: str, path: Path, records: int) -> dict[str, Any]:
    return {"name": name} | vars(Written(records, path.stat().st_size, sha256_of(path)))


def _pieces(place: Place, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        with place.reading(name) as path:
            yield path


def _count_labels(found: Gathered, assigned: Assigned, split: str, copies: int) -> dict[str, int]:
    codes = found.items[assigned.origin[split]].codes[assigned.rows[split]]
    counts = np.bincount(codes, minlength=len(found.labels)) * (copies + 1)
    return {label: int(count) for label, count in zip(found.labels, counts, strict=True) if count}


def _report(manifest: dict[str, Any], place: Place, found: bool) -> BuildReport:
    files = {}
    for split, entries in manifest["files"].items():
        first = entries[0]["name"]
        if len(entries) > 1 and "/" in first:
            first = f"data/{split}-*{Path(first).suffix}"
        files[split] = place.path(first)
    return BuildReport(
        manifest["records"],
        manifest["labels"],
        files,
        manifest["likeness"],
        manifest["failures"]["count"],
        [Failure(**item) for item in manifest["failures"]["items"]],
        found,
    )
