"""Recipes: one YAML file with everything that decides a trained model except its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from glyphsight.codec import Profile
from glyphsight.dataset.build.settings import BuildSettings
from glyphsight.errors import GlyphsightError, ModelError, meant, one_line
from glyphsight.media.change import Augmentation
from glyphsight.settings import settings_of

T = TypeVar("T")

_DATASET_KEYS = set(settings_of(BuildSettings)) - {"profile", "split", "wordings"}
ONLY = "data"  # name of the dataset of a recipe without ``datasets``


@dataclass(frozen=True)
class RecipeDataset:
    """A dataset that a recipe builds from a source of labelled pictures."""

    # Fields of BuildSettings; ``augmentation`` holds the changes of copies by name, and
    # ``hold_out`` names a dataset before this, of the same source, whose validation pictures are
    # held out here too
    build: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # meanings of labels
    draw: bool = False  # True where the records are learned backwards too


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained model except where its pictures lie."""

    model: str  # name of the base model
    profile: Profile  # profile of all pictures
    datasets: dict[str, RecipeDataset]  # one called ``data`` where the file has no ``datasets``
    train: dict[str, Any] = field(default_factory=dict)  # settings, see ``glyphsight train --help``
    named: bool = False  # True where the file has ``datasets``

    def sources(self, given: Sequence[str]) -> dict[str, str]:
        """Return the source of each dataset.

        Args:
            given: A single SPEC, or NAME=SPEC of each dataset where the recipe names them.

        Raises:
            ModelError: A dataset has no source, or a source no dataset.
        """
        if not self.named:
            if len(given) != 1:
                raise ModelError("--source: this recipe has one dataset; give one SPEC")
            return {ONLY: given[0]}
        found = dict(text.partition("=")[::2] for text in given)
        if set(found) != set(self.datasets) or len(given) != len(found) or not all(found.values()):
            wanted = " ".join(f"--source {name}=SPEC" for name in self.datasets)
            raise ModelError(f"--source: this recipe names its datasets; give {wanted}")
        return found


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; raise ModelError where the file has a key or value that no recipe has."""
    value = read_mapping(path)
    if not isinstance(value.get("model"), str):
        raise ModelError(f"{path}: a recipe names at least its model, such as 'model: nano'")
    own_keys = {"dataset", "names", "draw"}
    refuse_unknown(path, "a recipe", value, {"model", "train", "profile", "datasets", *own_keys})
    train = mapping(path, "train", value.get("train"))
    profile = _made(Profile, path, "profile", value.get("profile"))
    if "datasets" not in value:
        only = _dataset(path, "", value, [])
        return Recipe(value["model"], profile, {ONLY: only}, train)
    if both := sorted(own_keys & set(value)):
        raise ModelError(f"{path}: put {both[0]} into each of the datasets, or leave out datasets")
    datasets: dict[str, RecipeDataset] = {}
    for name, said in mapping(path, "datasets", value["datasets"]).items():
        if not name.replace("-", "").isalnum():
            raise ModelError(
                f"{path}: datasets: {name!r} is no name; use letters, digits and hyphens"
            )
        own = mapping(path, f"datasets: {name}", said)
        refuse_unknown(path, f"datasets: {name}", own, own_keys)
        datasets[name] = _dataset(path, f"datasets: {name}: ", own, list(datasets))
    if not datasets:
        raise ModelError(f"{path}: datasets: names no dataset; name one, or leave it out")
    return Recipe(value["model"], profile, datasets, train, named=True)


def _dataset(path: Path, within: str, value: dict[str, Any], before: list[str]) -> RecipeDataset:
    """Read ``dataset``, ``names`` and ``draw`` of a part of a recipe."""
    build, names = (mapping(path, within + key, value.get(key)) for key in ("dataset", "names"))
    refuse_unknown(path, f"{within}dataset", build, _DATASET_KEYS)
    if "hold_out" in build and build["hold_out"] not in before:
        raise ModelError(
            f"{path}: {within}dataset: hold_out: {build['hold_out']!r} is none of the datasets "
            "that this recipe has before; name one of these"
        )
    if odd := [name for name in names.values() if not isinstance(name, str)]:
        raise ModelError(f"{path}: {within}names: {odd[0]!r} is no text; put it in quotes")
    if (changes := build.get("augmentation")) is not None:
        build["augmentation"] = _made(Augmentation, path, f"{within}dataset: augmentation", changes)
    if not isinstance(draw := value.get("draw", False), bool):
        raise ModelError(f"{path}: {within}draw is {draw!r}; give true or false")
    return RecipeDataset(build, names, draw)


def mapping(path: Path, name: str, value: Any) -> dict[str, Any]:
    """Return a copy of a part of a file that holds settings by name; empty where it is left out.

    Raises:
        ModelError: The part holds something else.
    """
    part = value or {}
    if not isinstance(part, dict):
        raise ModelError(f"{path}: {name} holds {part!r}; give settings by name")
    if strange := [key for key in part if not isinstance(key, str)]:
        raise ModelError(
            f"{path}: {name}: {strange[0]!r} is no name of a setting or an answer; use quotes"
        )
    return dict(part)


def _made(kind: Callable[..., T], path: Path, name: str, value: Any) -> T:
    """Make an object of the settings in a part of a file."""
    try:
        return kind(**mapping(path, name, value))
    except (TypeError, GlyphsightError) as error:
        where = "" if str(error).startswith(str(path)) else f"{path}: {name}: "
        raise ModelError(f"{where}{error}") from None


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings by name; an empty file has none.

    Raises:
        ModelError: The file cannot be read, or holds something else.
    """
    import yaml

    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(
            f"{path}: cannot be read as YAML ({one_line(error)}); fix it there"
        ) from None
    return mapping(path, "the file", value)


def refuse_unknown(path: Path, what: str, found: Iterable[str], known: set[str]) -> None:
    """Raise ModelError where a file, or the part of it that ``what`` names, has unknown names."""
    if unknown := set(found) - known:
        names, every = ", ".join(sorted(unknown)), sorted(known)
        near = meant(min(unknown), every)
        raise ModelError(f"{path}: {what} has no {names}; {near}give some of {', '.join(every)}")
