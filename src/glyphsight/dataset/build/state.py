"""What a build that is under way keeps in its place: its plan, and which files may be left over."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glyphsight.dataset.build.manifest import belonging, finished_manifest
from glyphsight.dataset.filesystem import STATE, LocalPlace, Place, put_bytes
from glyphsight.dataset.storage import MANIFEST
from glyphsight.files import hash64

_PLAN, _FILES = f"{STATE}/plan.json", f"{STATE}/files.json"


def open_state(place: Place, stamp: str, force: bool) -> None:
    """Keep what an earlier call with the same plan left, drop what another one did."""
    place.remove(f"{STATE}/tmp")
    try:
        same = json.loads(place.read(_PLAN)) == stamp
    except (FileNotFoundError, NotADirectoryError, ValueError):
        same = False
    if not same or force:
        for name in ("plan.json", "scan", "grids", "done", "pieces"):
            place.remove(f"{STATE}/{name}")
        put_bytes(place, _PLAN, json.dumps(stamp).encode())


def keep_held_out(place: Place, hashes: NDArray[np.uint64]) -> str:
    """Name of a file with the hashes that no copy may have; "" where there are none."""
    if not len(hashes):
        return ""
    data = hashes.tobytes()
    name = f"{STATE}/held-out-{hash64(data):016x}"
    put_bytes(place, name, data)
    return name


def drop_state(place: Place) -> None:
    """Forget the build that is under way, and the directory where nothing else is in it."""
    place.remove(STATE)
    if isinstance(place, LocalPlace):
        with suppress(OSError):  # it holds something else
            Path(place.root).rmdir()


def withdraw(place: Place, targets: set[str]) -> None:
    """Say that what is there is no finished dataset, and keep in mind which files it had."""
    done = finished_manifest(place)
    earlier = belonging(done) if done is not None else set()
    put_bytes(place, _FILES, json.dumps(sorted(earlier | targets | noted_files(place))).encode())
    place.remove(MANIFEST)


def noted_files(place: Place) -> set[str]:
    """Names of the files that earlier builds and this one may have left."""
    try:
        return set(json.loads(place.read(_FILES)))
    except (FileNotFoundError, ValueError):
        return set()


def remove_others(place: Place, belong: set[str]) -> None:
    """Remove what earlier builds left that is no file of this one."""
    for name in sorted(noted_files(place) - belong):
        place.remove(name)
