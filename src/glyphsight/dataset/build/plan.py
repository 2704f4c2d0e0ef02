"""What a build is asked for: checked, and told apart from every other build."""

from __future__ import annotations

import glob
import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import Any

from glyphsight.dataset.build.card import CARD
from glyphsight.dataset.build.held_out import held_out_names
from glyphsight.dataset.build.manifest import belonging
from glyphsight.dataset.build.state import noted_files
from glyphsight.dataset.filesystem import Place
from glyphsight.dataset.layouts import Output
from glyphsight.dataset.storage import SPLITS
from glyphsight.errors import DatasetError
from glyphsight.sources import Source
from glyphsight.sources.listed import walk


def names_to_hold_out(
    hold_out: str | None, validation: int | None, source: Source, spec: str, out: str
) -> dict[str, str]:
    """What the source calls the pictures to be held out, with their answers; none for none."""
    if hold_out is None:
        return {}
    if validation is not None:
        raise DatasetError("hold_out and validation: give one of them")
    if "train" not in source.splits or "validation" in source.splits:
        raise DatasetError(
            f"{spec}: has the splits {', '.join(source.splits)}; hold_out takes pictures out of a "
            "training split for a validation split that is not there yet"
        )
    return held_out_names(hold_out, out)


def splits_to_make(
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


def check_numbers(**numbers: Any) -> None:
    """Refuse what is no count; the seed and the rest of them start at 0, a limit at 1."""
    for name, value in numbers.items():
        least = 1 if name == "limit" else 0
        optional = name in ("limit", "validation") and value is None
        if not optional and (type(value) is not int or value < least):
            raise DatasetError(f"{name} is a whole number from {least} up, not {value!r}")


def check_replaces(place: Place, done: dict[str, Any] | None, asked: dict[str, Any]) -> None:
    """Refuse to put a dataset in the place of a finished one that was built otherwise.

    Args:
        place: Where it is to go.
        done: The manifest that lies there; None for none.
        asked: The settings of the one that is to come, as a manifest has them, and its plan.
    """
    if done is None or done.get("plan") in (None, asked["plan"]):
        return
    changed = [
        f"{name} {done[name]!r}, now {value!r}"
        for name, value in asked.items()
        if name != "plan" and name in done and done[name] != value
    ]
    told = ", ".join(f"{count:,} {split}" for split, count in done.get("records", {}).items())
    raise DatasetError(
        f"{place.root}: holds another dataset ({told}; {'; '.join(changed[:3]) or 'other items'}); "
        "choose another --out, or replace it with --force"
    )


def check_card(place: Place, layout: Output, done: dict[str, Any] | None, force: bool) -> None:
    """Refuse to write a dataset card over a file that no dataset of ours left there."""
    ours = noted_files(place) | (belonging(done) if done is not None else set())
    if layout.card and not force and CARD not in ours and place.size(CARD) is not None:
        raise DatasetError(
            f"{place.path(CARD)}: is there already and no dataset card of this place; move it "
            "away, or add --force"
        )


def local_files(spec: str, out: str | os.PathLike[str]) -> list[tuple[str, int, int]]:
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


def digest(value: Any) -> str:
    """Hash of what can be written as JSON: 32 hex digits."""
    return blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()
