"""A recipe: all that decides a trained model but where its pictures lie, in one YAML file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset.building.augment import Augmentation
from glyphsight.errors import GlyphsightError, ModelError

T = TypeVar("T")

_PARTS = ("profile", "dataset", "train", "names")
_DATASET_KEYS = {"limit", "validation", "copies", "augmentation", "seed"}


@dataclass(frozen=True)
class Recipe:
    """How a model is made from a source of labelled pictures.

    Attributes:
        model: Name of the base model.
        profile: How pictures become text.
        dataset: Further arguments of :func:`glyphsight.dataset.build_dataset`; in the file
            ``augmentation`` holds the changes of copies by name.
        train: Training settings by name, see ``glyphsight train --help``.
        names: What answers stand for, where they do not say it.
    """

    model: str
    profile: Profile = PUBLISHED
    dataset: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ModelError: The file cannot be read or says something no recipe says.
    """
    value = read_mapping(path)
    if not isinstance(value.get("model"), str):
        raise ModelError(f"{path}: a recipe names at least its model, such as 'model: nano'")
    refuse_unknown(path, "a recipe", set(value), {"model", *_PARTS})
    parts = {name: value.get(name) or {} for name in _PARTS}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise ModelError(f"{path}: {name} holds settings by name, not {part!r}")
        if strange := [key for key in part if not isinstance(key, str)]:
            raise ModelError(
                f"{path}: {name}: {strange[0]!r} is no name of a setting or an answer; use quotes"
            )
    for key in ("width", "height"):
        if type(parts["profile"].get(key, 1)) is not int:
            raise ModelError(f"{path}: profile: {key} is a whole number, without quotes")
    refuse_unknown(path, "dataset", set(parts["dataset"]), _DATASET_KEYS)
    if odd := [name for name in parts["names"].values() if not isinstance(name, str)]:
        raise ModelError(f"{path}: names: {odd[0]!r} is no text; put it in quotes")
    profile = _made(Profile, parts["profile"], f"{path}: profile")
    if (changes := parts["dataset"].get("augmentation")) is not None:
        parts["dataset"]["augmentation"] = _made(
            Augmentation, changes, f"{path}: dataset: augmentation"
        )
    return Recipe(value["model"], profile, parts["dataset"], parts["train"], parts["names"])


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
