"""What is written beside a dataset: how it was made, from what, and which files belong to it."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, fields
from pathlib import PurePosixPath
from typing import Any

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset.filesystem import Place
from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.storage import MANIFEST
from glyphsight.media.augment import Augmentation


def finished_manifest(place: Place) -> dict[str, Any] | None:
    """The manifest of a finished dataset; None where there is none that can be read."""
    try:
        found = json.loads(place.read(MANIFEST))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def belonging(manifest: dict[str, Any]) -> set[str]:
    """Names of the files a manifest lists, as far as they lie in its directory."""
    if not {"source", "profile", "records"} <= manifest.keys():  # another program's
        return set()
    listed = manifest.get("files")
    if isinstance(listed, dict) and "plan" in manifest:
        names = [entry.get("name") for entries in listed.values() for entry in entries]
        names.append(manifest.get("card"))
    else:  # of a version that wrote one JSON file a split
        names = [f"{split}.json" for split in manifest["records"]]
    paths = [PurePosixPath(name) for name in names if isinstance(name, str)]
    return {str(path) for path in paths if not path.is_absolute() and ".." not in path.parts}


def is_whole(manifest: dict[str, Any], place: Place) -> bool:
    """Whether every file that a manifest lists is there with its size."""
    return all(
        place.size(entry["name"]) == entry["bytes"]
        for entries in manifest["files"].values()
        for entry in entries
    )


def command_of(
    settings: dict[str, Any],
    profile: Profile,
    augmentation: Augmentation,
    defaults: dict[str, Any],
) -> str:
    """The command that builds the dataset again, options at their ``defaults`` left out."""
    words = ["glyphsight", "dataset", "build", "--source", settings["source"], "--out", "DIR"]
    for field in fields(Profile):
        value = getattr(profile, field.name)
        if value != getattr(PUBLISHED, field.name):
            words += _option(field.name, value)
    if settings["split"] is not None:
        words += ["--split", settings["split"]]
    for name in _OPTIONS:
        if settings.get(name) != defaults[name]:
            words += _option(name.replace("_", "-"), settings[name])
    if settings["copies"]:
        usual = asdict(Augmentation())
        for name, value in asdict(augmentation).items():
            if value != usual[name]:
                words += _option(name, value)
    if settings["wordings"] != [asdict(Prompt())]:
        words += ["--wordings", "FILE"]
    return shlex.join(words)


_OPTIONS = (
    *("limit", "validation", "hold_out", "copies", "seed", "balance", "keep_duplicates", "output"),
    "shard_size",
)


def _option(name: str, value: Any) -> list[str]:
    if value is True:
        return [f"--{name}"]
    if isinstance(value, tuple | list):
        return [f"--{name}", ",".join(map(str, value))]
    return [f"--{name}", str(value)]
