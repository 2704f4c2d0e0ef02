"""From a source of labelled pictures to a dataset: scan, assign, write; see docs/design."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from glyphsight.codec import encode_batch
from glyphsight.dataset.build import state
from glyphsight.dataset.build.assign import UNUSABLE, Assigned, assign
from glyphsight.dataset.build.card import CARD, TokenCounter, write_card
from glyphsight.dataset.build.scan import Gathered, rows_named, scan_all
from glyphsight.dataset.build.settings import USUAL, Build, BuildSettings
from glyphsight.dataset.build.write import Split, finish_split, joined_files, targets, write_missing
from glyphsight.dataset.filesystem import STATE, Directory, open_directory
from glyphsight.dataset.storage import MANIFEST, SPLITS, load_dataset, read_manifest
from glyphsight.errors import DatasetError
from glyphsight.extras import need
from glyphsight.files import hash64, json_line, matching, walk
from glyphsight.parallel import HERE, Workers, same_processes
from glyphsight.sources import Failure, Part, Source, open_source
from glyphsight.sources.location import split_options
from glyphsight.version import __version__

_FAILURES_KEPT = 100
_EXISTING = ("replace", "refuse", "rebuild")


@dataclass(frozen=True)
class BuildReport:
    """Result of a build."""

    records: dict[str, int]  # number of records written, by split
    labels: dict[str, dict[str, int]]  # number of records of each label, by split
    files: dict[str, str]  # path of each split's file, or the glob of its shards
    # Numbers of look-alikes: ``repeats`` in the source's splits, and ``removed`` ones
    likeness: dict[str, Any] = field(default_factory=dict)
    failed: int = 0  # number of items that could not be read or encoded
    failures: list[Failure] = field(default_factory=list)  # the first of them
    found: bool = False  # True where the dataset was there already, whole, and nothing was written


def build_dataset(
    source: str,
    out: str | os.PathLike[str],
    settings: BuildSettings = USUAL,
    *,
    workers: Workers = HERE,
    existing: str = "replace",
    counter: TokenCounter | None = None,
    quiet: bool = False,
) -> BuildReport:
    """Write the splits of a source as a dataset into ``out``, ``manifest.json`` last.

    Killed at any moment a build leaves whole files; called again with the same arguments it
    resumes. The bytes depend neither on that nor on the workers.

    Args:
        source: Source SPEC, such as ``bundled`` or ``idx:DIR``.
        out: Directory, or a URL that fsspec can write to, such as ``s3://bucket/digits``. Files in
            it are replaced one by one, atomically; those of an earlier dataset are removed.
        settings: Settings that decide the bytes.
        workers: Processes that share the work. A script that asks for more than one needs its
            ``if __name__ == "__main__":``, since each process imports it.
        existing: Fate of a finished dataset in ``out``. With ``replace`` and ``refuse`` the same
            dataset is kept; one that was built otherwise is replaced, or is an error. With
            ``rebuild`` any is built again.
        counter: Counter of the tokens that a dataset card tells; None leaves them out.
        quiet: True for no progress bar.

    Raises:
        DatasetError: The source cannot be read, has no such split, a setting cannot be, or another
            dataset is there that is not to be replaced.
        FormatError: No picture could be encoded with the profile.
        GlyphsightError: Nothing can be written there, or another build is writing.
    """
    if existing not in _EXISTING:
        raise DatasetError(f"existing is {existing!r}; give one of {', '.join(_EXISTING)}")
    plan = _planned(source, out, settings, counter)
    directory, layout = plan.build.directory, plan.build.layout
    with directory.locked():
        done = state.finished_manifest(directory)
        if existing != "rebuild":
            if done and done.get("stamp") == plan.stamp and state.is_whole(done, directory):
                directory.remove(STATE)
                return _report(done, directory, found=True)
            if existing == "refuse":
                state.check_replaces(directory, done, plan.said | {"plan": plan.digest})
            names = {MANIFEST, *([CARD] if layout.card else ())}
            state.check_files(directory, names | joined_files(layout, plan.wanted), done)
        state.open_state(directory, plan.stamp)
        with same_processes():
            found = scan_all(plan.build, plan.parts, workers, quiet)
            try:
                assigned = _assigned(plan, found)
            except DatasetError:
                directory.remove(STATE)
                directory.remove_if_empty()
                raise
            splits = [
                Split(
                    name,
                    plan.parts[origin],
                    found.starts[origin],
                    assigned.rows[name],
                    settings.copies if name == "train" else 0,
                )
                for name, origin in assigned.origin.items()
            ]
            manifest = plan.said | _told(plan, found, assigned, splits)
            manifest["files"] = _write(plan.build, splits, assigned, workers, quiet)
        manifest |= {"plan": plan.digest, "stamp": plan.stamp}
        if layout.card:
            write_card(directory, manifest, counter)
            manifest["card"] = CARD
        state.remove_others(directory, state.files_of(manifest))
        directory.write(MANIFEST, (json_line(manifest, indent=2) + "\n").encode())
        directory.remove(STATE)
        return replace(_report(manifest, directory, found=False), failures=found.failed)


@dataclass(frozen=True)
class _Plan:
    """A build that is asked for, told apart from every other."""

    build: Build
    wanted: list[str]  # splits to make
    parts: dict[str, list[Part]]  # of the source's own splits that decide what is in them
    held_out: Mapping[str, str]  # names of the pictures to hold out, with their answers
    said: dict[str, Any]  # settings as the manifest has them
    digest: str  # hash of the settings and the parts
    stamp: str  # hash of that and of the local files of the source


def _planned(
    spec: str, out: str | os.PathLike[str], settings: BuildSettings, counter: TokenCounter | None
) -> _Plan:
    """Check what is asked for, before anything is written."""
    source = open_source(spec, settings.max_pixels)
    build = Build(spec, source, open_directory(out), settings)
    encode_batch(np.zeros((1, 1, 1), dtype=np.uint8), settings.profile)  # not one error per picture
    build.layout.write([], io.BytesIO(), settings.wordings)  # a missing package, before the scan
    if build.layout.card:
        need("data", "jinja2")
    held_out = _names_to_hold_out(build, out)
    wanted, needed = _splits(build)
    parts = {name: source.parts(name) for name in needed}
    said = {"source": spec, "licence": source.licence} | settings.as_json()
    said["glyphsight"] = __version__
    if settings.hold_out is not None:
        said["held_out"] = _hash(sorted(held_out))
    if build.layout.card and counter is not None:
        said["tokenizer"] = counter.tokenizer
    digest = _hash([said, {name: [asdict(part) for part in own] for name, own in parts.items()}])
    stamp = _hash([digest, _local_files(spec, out)])
    return _Plan(build, wanted, parts, held_out, said, digest, stamp)


def _hash(value: Any) -> str:
    """Return a hash of a JSON value: 32 hexadecimal digits."""
    return blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


def _names_to_hold_out(build: Build, out: str | os.PathLike[str]) -> dict[str, str]:
    """Return what the source calls the pictures to be held out, with their answers."""
    spec, splits, dataset = build.spec, build.source.splits, build.settings.hold_out
    if dataset is None:
        return {}
    if "train" not in splits or "validation" in splits:
        raise DatasetError(
            f"{spec}: has the splits {', '.join(splits)}; hold_out takes pictures out of a "
            "training split for a validation split that is not there yet; leave it out"
        )
    if not Path(dataset).is_dir():
        raise DatasetError(
            f"{dataset}: no directory here; give --hold-out a dataset's directory, of a remote "
            "one a local copy"
        )
    if Path(dataset).resolve() == Path(out).resolve():
        raise DatasetError(f"{dataset}: --hold-out is --out itself; give another dataset")
    own = read_manifest(Path(dataset)).get("source")
    records = load_dataset(Path(dataset), "validation")
    if not records or not all(record.source.startswith(f"{own} ") for record in records):
        raise DatasetError(
            f"{dataset}: does not say which pictures it holds out for validation; give a dataset "
            "that glyphsight dataset build made"
        )
    return {record.source.removeprefix(f"{own} "): record.answer for record in records}


def _splits(build: Build) -> tuple[list[str], list[str]]:
    """Return the splits to make, and the source's own that decide what is in them."""
    spec, source, settings = build.spec, build.source, build.settings
    own, chosen = set(source.splits), settings.split
    if settings.test and ("test" in own or "train" not in own):
        raise DatasetError(
            f"{spec}: has the splits {', '.join(source.splits)}; --test takes pictures out of a "
            "training split for a test split that is not there yet; leave it out"
        )
    sizes = {"validation": settings.validation, "test": settings.test}
    derived = {name for name, size in sizes.items() if size != 0 and "train" in own} - own
    available = own | derived
    if chosen is not None and chosen not in available:
        raise DatasetError(
            f"{spec}: has no split {chosen!r}; give one of {', '.join(sorted(available))}"
            + ("; or hold one out with --test N" if chosen == "test" and "train" in own else "")
        )
    wanted = [name for name in SPLITS if name in available and chosen in (None, name)]
    if not wanted:
        raise DatasetError(
            f"{spec}: has the splits {', '.join(source.splits)}; give a source with "
            f"one of {', '.join(SPLITS)}"
        )
    needed = {name if name in own else "train" for name in wanted}
    if not settings.keep_duplicates and wanted != ["test"]:
        needed |= {"test"} & own
    if not settings.keep_duplicates and "train" in wanted:
        needed |= {"validation"} & own
    return wanted, [name for name in SPLITS if name in needed]


def _local_files(spec: str, out: str | os.PathLike[str]) -> list[tuple[str, int, int]]:
    """Return path, size and time of a source's local files, the dataset's own left out."""
    location = os.path.expanduser(spec.partition(":")[2])  # noqa: PTH111 - not always a path
    mine = Path(out).resolve()
    if not location:
        return []
    if not Path(location).exists():
        location, _ = split_options(location)
    if Path(location).is_dir():
        found = [Path(location, name) for name in walk(Path(location))]
    else:
        folder, names = matching(location)
        found = [Path(folder, name) for name in names]
    stats = [
        (path, path.stat())
        for path in found
        if path.is_file() and mine not in path.resolve().parents
    ]
    return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _assigned(plan: _Plan, found: Gathered) -> Assigned:
    """Share the items out to splits; why one would stay empty is said first."""
    for split, items in found.items.items():
        if not (items.codes != UNUSABLE).any() and (failed := found.failures[split]):
            raise DatasetError(
                f"{plan.build.spec}: the split {split} is empty: {_first_of(failed)}"
            )
    named, settings, spec = None, plan.build.settings, plan.build.spec
    if settings.hold_out is not None and "train" in plan.parts:
        named = rows_named(plan.build, plan.parts["train"], found, plan.held_out)
    if "validation" in plan.build.source.splits:
        settings = replace(settings, validation=0)
    try:
        assigned = assign(found.items, plan.wanted, settings, spec, named)
    except DatasetError as error:
        if found.failed:  # why there are so few
            few = str(error).removeprefix(f"{spec}: ")
            raise DatasetError(f"{spec}: {_first_of(found.failed)}; besides, {few}") from None
        raise
    for name, rows in assigned.rows.items():
        if not len(rows):
            alike = "; what there was looks like held-out pictures; keep it with --keep-duplicates"
            unread = f"; {_first_of(found.failed)}" if found.failed else ""
            why = unread or (alike if name in assigned.removed else "; give more pictures")
            raise DatasetError(f"{spec}: no picture is left for the split {name}{why}")
    return assigned


def _first_of(failures: list[Failure]) -> str:
    return f"{len(failures)} could not be read, the first: {failures[0].reason}"


def _write(
    build: Build, splits: list[Split], assigned: Assigned, workers: Workers, quiet: bool
) -> dict[str, list[dict[str, Any]]]:
    """Write all splits; return the files of each for the manifest."""
    state.withdraw(build.directory, targets(build, splits))
    if build.settings.copies and len(assigned.held_out):
        data = assigned.held_out.tobytes()
        build = replace(build, held_out=f"{STATE}/held-out-{hash64(data):016x}")
        build.directory.write(build.held_out, data)
    files = {}
    for split in splits:
        write_missing(build, split, workers, quiet)
        files[split.name] = finish_split(build, split)
    return files


def _told(plan: _Plan, found: Gathered, assigned: Assigned, splits: list[Split]) -> dict[str, Any]:
    """Return what the manifest says of the items."""
    labels: dict[str, dict[str, int]] = {}
    for split in splits:
        codes = found.items[assigned.origin[split.name]].codes[split.rows]
        counts = np.bincount(codes, minlength=len(found.labels)) * (split.copies + 1)
        pairs = zip(found.labels, counts.tolist(), strict=True)
        labels[split.name] = {label: count for label, count in pairs if count}
    return {
        "records": {split: sum(counts.values()) for split, counts in labels.items()},
        "labels": labels,
        "likeness": {
            key: {name: asdict(count) for name, count in counts.items()}
            for key, counts in (("repeats", assigned.repeats), ("removed", assigned.removed))
        },
        "failures": {
            "count": len(found.failed),
            "items": [asdict(failure) for failure in found.failed[:_FAILURES_KEPT]],
        },
        "command": plan.build.settings.command(plan.build.spec),
    }


def _report(manifest: dict[str, Any], directory: Directory, found: bool) -> BuildReport:
    files = {}
    for split, entries in manifest["files"].items():
        first = entries[0]["name"]
        if len(entries) > 1 and "/" in first:
            first = f"data/{split}-*{Path(first).suffix}"
        files[split] = directory.path(first)
    written = manifest["records"], manifest["labels"], files, manifest["likeness"]
    failures = [Failure(**item) for item in manifest["failures"]["items"]]
    return BuildReport(*written, manifest["failures"]["count"], failures, found)
