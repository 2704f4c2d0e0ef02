"""Files in a dataset's directory beside its records: the manifest, and a build under way."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from glyphsight.dataset.filesystem import STATE, Directory
from glyphsight.dataset.storage import MANIFEST
from glyphsight.errors import DatasetError

_PLAN, _FILES = f"{STATE}/plan.json", f"{STATE}/files.json"


def finished_manifest(directory: Directory) -> dict[str, Any] | None:
    """Return the manifest of a finished dataset; None where there is none that can be read."""
    found = directory.read_json(MANIFEST)
    return found if isinstance(found, dict) else None


def files_of(manifest: dict[str, Any] | None) -> set[str]:
    """Return the names of the files a manifest lists, as far as they lie in its directory."""
    listed = (manifest or {}).get("files")
    if manifest is None or "plan" not in manifest or not isinstance(listed, dict):
        return set()  # another program's
    names = [entry.get("name") for entries in listed.values() for entry in entries]
    paths = [PurePosixPath(name) for name in (*names, manifest.get("card")) if name]
    return {str(path) for path in paths if not path.is_absolute() and ".." not in path.parts}


def is_whole(manifest: dict[str, Any], directory: Directory) -> bool:
    """Check that every file that a manifest lists is there with its size."""
    return all(
        directory.size(entry["name"]) == entry["bytes"]
        for entries in manifest["files"].values()
        for entry in entries
    )


def check_replaces(
    directory: Directory, done: dict[str, Any] | None, asked: dict[str, Any]
) -> None:
    """Refuse to replace a finished dataset, of manifest ``done``, that was built otherwise."""
    if done is None or done.get("plan") in (None, asked["plan"]):
        return
    before, now = _flat(done), _flat(asked)
    changed = [
        f"{name} {before.get(name)!r}, now {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if name.partition(".")[0] in asked and name != "plan" and before.get(name) != now.get(name)
    ]
    told = ", ".join(f"{count:,} {split}" for split, count in done.get("records", {}).items())
    raise DatasetError(
        f"{directory.root}: holds another dataset ({told}; "
        f"{'; '.join(changed[:3]) or 'other items'}); choose another --out, or replace it with "
        "--force"
    )


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return the single values inside JSON objects and lists, such as ``profile.width``."""
    if not isinstance(value, dict | list):
        return {name: value}
    pairs = value.items() if isinstance(value, dict) else enumerate(value, start=1)
    inside = (_flat(each, f"{name}.{key}" if name else f"{key}") for key, each in pairs)
    return {key: each for some in inside for key, each in some.items()}


def check_files(directory: Directory, names: set[str], done: dict[str, Any] | None) -> None:
    """Refuse to write over a file that no build left there; ``done`` is the manifest there."""
    ours = noted_files(directory) | files_of(done) | ({MANIFEST} if "plan" in (done or {}) else set())
    for name in sorted(names - ours):
        if directory.size(name) is not None:
            raise DatasetError(
                f"{directory.path(name)}: is there already and of no build in this directory; "
                "move the file away, choose another --out, or add --force"
            )


def open_state(directory: Directory, stamp: str) -> None:
    """Keep the state that a build with the same plan left; drop the state of another."""
    directory.remove(f"{STATE}/tmp")
    if directory.read_json(_PLAN) != stamp:
        for name in ("plan.json", "scan", "grids", "done", "pieces"):
            directory.remove(f"{STATE}/{name}")
        directory.write(_PLAN, json.dumps(stamp).encode())


def withdraw(directory: Directory, targets: set[str]) -> None:
    """Remove the manifest, so that no dataset counts as finished, and note which files it had."""
    names = files_of(finished_manifest(directory)) | targets | noted_files(directory)
    directory.write(_FILES, json.dumps(sorted(names)).encode())
    directory.remove(MANIFEST)


def noted_files(directory: Directory) -> set[str]:
    """Return the names of the files that builds of this directory may have left."""
    return set(directory.read_json(_FILES) or ())


def remove_others(directory: Directory, belong: set[str]) -> None:
    """Remove the files that earlier builds left and that do not belong to this one."""
    for name in sorted(noted_files(directory) - belong):
        directory.remove(name)
