"""A recipe: all that decides a trained model but where its pictures lie, in one YAML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset.build.settings import BuildSettings
from glyphsight.errors import GlyphsightError, ModelError
from glyphsight.media.augment import Augmentation
from glyphsight.settings import settings_of

T = TypeVar("T")

_PICTURES = ("profile", "dataset", "names")
_DATASET_KEYS = settings_of(BuildSettings).keys() - {"profile", "split", "wordings"}
ONLY = "data"
"""What the one kind of pictures of a recipe without ``kinds`` is called."""


@dataclass(frozen=True)
class Pictures:
    """A kind of pictures that a model is taught, and how they become a dataset.

    Attributes:
        profile: How pictures become text.
        dataset: Further fields of :class:`glyphsight.dataset.BuildSettings`; in the file
            ``augmentation`` holds the changes of copies by name, and ``hold_out`` names a kind
            before this, of the same source, whose validation pictures are held out here too.
        names: What answers stand for, where they do not say it.
    """

    profile: Profile = PUBLISHED
    dataset: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """How a model is made from sources of labelled pictures.

    Attributes:
        model: Name of the base model.
        kinds: What it is taught, by name; one called ``data`` where the file has no ``kinds``.
        train: Training settings by name, see ``glyphsight train --help``.
        named: The file has ``kinds``.
    """

    model: str
    kinds: dict[str, Pictures]
    train: dict[str, Any] = field(default_factory=dict)
    named: bool = False

    def sources(self, given: Sequence[str]) -> dict[str, str]:
        """The source of each kind.

        Args:
            given: A single SPEC, or NAME=SPEC of each kind where the recipe names them.

        Raises:
            ModelError: A kind has no source, or a source no kind.
        """
        if not self.named:
            if len(given) != 1:
                raise ModelError("--source: this recipe has one kind of pictures; give one SPEC")
            return {ONLY: given[0]}
        found = dict(text.partition("=")[::2] for text in given)
        if set(found) != set(self.kinds) or len(given) != len(found) or not all(found.values()):
            wanted = " ".join(f"--source {name}=SPEC" for name in self.kinds)
            raise ModelError(f"--source: this recipe names its kinds of pictures; give {wanted}")
        return found


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ModelError: The file cannot be read or says something no recipe says.
    """
    value = read_mapping(path)
    if not isinstance(value.get("model"), str):
        raise ModelError(f"{path}: a recipe names at least its model, such as 'model: nano'")
    refuse_unknown(path, "a recipe", set(value), {"model", "train", "kinds", *_PICTURES})
    train = _mapping(path, "train", value.get("train"))
    if "kinds" not in value:
        return Recipe(value["model"], {ONLY: _pictures(path, "", value, [])}, train)
    if both := [name for name in _PICTURES if name in value]:
        raise ModelError(
            f"{path}: {both[0]} stands within each of the kinds, or there are no kinds"
        )
    kinds: dict[str, Pictures] = {}
    for name, said in _mapping(path, "kinds", value["kinds"]).items():
        if not name.replace("-", "").isalnum():
            raise ModelError(f"{path}: kinds: {name!r}: a name is letters, digits and hyphens")
        own = _mapping(path, f"kinds: {name}", said)
        refuse_unknown(path, f"kinds: {name}", set(own), set(_PICTURES))
        kinds[name] = _pictures(path, f"kinds: {name}: ", own, list(kinds))
    if not kinds:
        raise ModelError(f"{path}: kinds: names no kind of pictures")
    return Recipe(value["model"], kinds, train, named=True)


def _pictures(path: Path, within: str, value: dict[Any, Any], before: list[str]) -> Pictures:
    """A kind of pictures, as the file says it."""
    parts = {name: _mapping(path, within + name, value.get(name)) for name in _PICTURES}
    profile, dataset, names = (parts[name] for name in _PICTURES)
    for key in ("width", "height"):
        if type(profile.get(key, 1)) is not int:
            raise ModelError(f"{path}: {within}profile: {key} is a whole number, without quotes")
    refuse_unknown(path, f"{within}dataset", set(dataset), set(_DATASET_KEYS))
    if "hold_out" in dataset and dataset["hold_out"] not in before:
        raise ModelError(
            f"{path}: {within}dataset: hold_out: {dataset['hold_out']!r} is none of the kinds "
            "that this recipe has before"
        )
    if odd := [name for name in names.values() if not isinstance(name, str)]:
        raise ModelError(f"{path}: {within}names: {odd[0]!r} is no text; put it in quotes")
    if (changes := dataset.get("augmentation")) is not None:
        where = f"{path}: {within}dataset: augmentation"
        dataset["augmentation"] = _made(Augmentation, changes, where)
    return Pictures(_made(Profile, profile, f"{path}: {within}profile"), dataset, names)


def _mapping(path: Path, name: str, value: Any) -> dict[str, Any]:
    """A part of a recipe that holds settings by name; empty where it is left out.

    Raises:
        ModelError: It holds something else.
    """
    part = value or {}
    if not isinstance(part, dict):
        raise ModelError(f"{path}: {name} holds settings by name, not {part!r}")
    if strange := [key for key in part if not isinstance(key, str)]:
        raise ModelError(
            f"{path}: {name}: {strange[0]!r} is no name of a setting or an answer; use quotes"
        )
    return dict(part)


def _made(kind: Callable[..., T], settings: Any, where: str) -> T:
    """Settings as an object of their kind.

    Raises:
        ModelError: They are no mapping, or a name or value that the kind does not take.
    """
    if not isinstance(settings, dict):
        raise ModelError(f"{where} holds settings by name, not {settings!r}")
    try:
        return kind(**settings)
    except (TypeError, GlyphsightError) as error:
        raise ModelError(f"{where}: {error}") from None


def read_mapping(path: Path) -> dict[Any, Any]:
    """A YAML file of settings by name; an empty file has none.

    Raises:
        ModelError: The file cannot be read, or holds something else.
    """
    import yaml

    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(
            f"{path}: cannot be read as YAML ({' '.join(str(error).split())})"
        ) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ModelError(f"{path}: holds settings by name, such as 'model: nano', not {value!r}")
    return value


def refuse_unknown(path: Path, what: str, found: set[Any], known: set[str]) -> None:
    """Raise ModelError where a file says something that is not known.

    Args:
        path: The file.
        what: What it holds, such as ``a recipe``.
        found: The names in it.
        known: The names there are.
    """
    if unknown := found - known:
        names = ", ".join(sorted(map(str, unknown)))
        raise ModelError(f"{path}: {what} has no {names}; it has {', '.join(sorted(known))}")
