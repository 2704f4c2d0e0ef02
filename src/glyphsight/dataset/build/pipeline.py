"""From a source of labelled pictures to a dataset: scan, assign, write; see docs/design."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.dataset.build.assign import BALANCES, Assigned, assign
from glyphsight.dataset.build.card import CARD, TokenCounter
from glyphsight.dataset.build.finish import finish_split, targets, write_card, write_missing
from glyphsight.dataset.build.held_out import rows_named
from glyphsight.dataset.build.manifest import (
    belonging,
    command_of,
    finished_manifest,
    is_whole,
)
from glyphsight.dataset.build.plan import (
    check_card,
    check_numbers,
    check_replaces,
    digest,
    local_files,
    names_to_hold_out,
    splits_to_make,
)
from glyphsight.dataset.build.scan import Gathered, scan_all
from glyphsight.dataset.build.state import (
    drop_state,
    keep_held_out,
    open_state,
    remove_others,
    withdraw,
)
from glyphsight.dataset.build.write import (
    Writing,
    cut_into_shards,
)
from glyphsight.dataset.filesystem import STATE, Place, locked, open_place, put_bytes
from glyphsight.dataset.layouts import get_output
from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.storage import MANIFEST
from glyphsight.errors import DatasetError
from glyphsight.media.augment import Augmentation
from glyphsight.parallel import Workers, same_processes
from glyphsight.sources import Failure, open_source
from glyphsight.version import __version__

SHARD_SIZE = 10_000
"""Records of a shard: enough to outweigh its start, little to do again."""

_FAILURES_KEPT = 100


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
    replace: bool = True,
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
        replace: Put this dataset in the place of a finished one that was built otherwise; without,
            and without ``force``, that is an error.
        counter: Counts the tokens that a dataset card tells; None leaves them out.
        quiet: Show no progress bar.

    Raises:
        DatasetError: The source cannot be read, has no such split, a setting makes no sense, or
            another dataset is there that is not to be replaced.
        FormatError: No picture could be encoded with the profile.
    """
    source, layout = open_source(spec), get_output(output)
    place, processes = open_place(out), Workers(engine, workers, ray_address)
    how, words = augmentation or Augmentation(), tuple(wordings) or (Prompt(),)
    check_numbers(limit=limit, validation=validation, copies=copies, seed=seed)
    if balance not in BALANCES:
        raise DatasetError(f"balance is one of {', '.join(BALANCES)}, not {balance!r}")
    if shard_size < 1:
        raise DatasetError(f"shard size must be at least 1, not {shard_size}")
    encode_batch(np.zeros((1, 1, 1), dtype=np.uint8), profile)  # one error, not one a picture
    names = names_to_hold_out(hold_out, validation, source, spec, str(out))
    wanted, needed = splits_to_make(source, spec, split, validation != 0, not keep_duplicates)
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
        settings["held_out"] = digest(sorted(names))
    if layout.card and counter is not None:
        settings["tokenizer"] = counter.tokenizer
    plan = digest([settings, {name: [asdict(p) for p in own] for name, own in parts.items()}])
    stamp = digest([plan, local_files(spec, out)])
    with locked(place):
        done = finished_manifest(place)
        if done is not None and not force and done.get("stamp") == stamp and is_whole(done, place):
            place.remove(STATE)
            return _report(done, place, found=True)
        if not (force or replace):
            check_replaces(place, done, settings | {"plan": plan})
        check_card(place, layout, done, force)
        open_state(place, stamp, force)
        with same_processes():
            found = scan_all(processes, source, place, parts, profile, not keep_duplicates, quiet)
            try:
                named = None
                if hold_out is not None and "train" in parts:
                    named = rows_named(place, parts["train"], found, names, spec)
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
            withdraw(place, targets(layout, {name: cut() for name, cut in shards.items()}))
            forbidden = keep_held_out(place, assigned.held_out) if copies else ""
            writing = Writing(spec, source, place, output, words, profile, how, seed, forbidden)
            entries = {}
            for name, cut in shards.items():
                total = len(assigned.rows[name]) * (rounds[name] + 1)
                write_missing(processes, writing, cut, total, name, quiet)
                entries[name] = finish_split(place, layout, name, cut())
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
            write_card(place, manifest, counter)
            manifest["card"] = CARD
        remove_others(place, belonging(manifest))
        text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
        put_bytes(place, MANIFEST, text.encode())
        place.remove(STATE)
        report = _report(manifest, place, found=False)
        report.failures[:] = found.failures
        return report


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
