"""What a model's name means: a base model, a trained run, or a directory or hub id of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glyphsight.errors import ModelError
from glyphsight.models import nano, smollm2
from glyphsight.models.record import RUN_FILE, RunRecord

if TYPE_CHECKING:
    from glyphsight.models.load import LoadedModel

SIGHT = "sight"
NANO_DIGITS = "nano-digits"
NANO_FASHION = "nano-fashion"
KINDS = "kinds"
"""Directory of a run with the records of its further kinds of pictures."""
_ASSETS = Path(__file__).parents[1] / "assets"
SHIPPED_RUNS = {name: _ASSETS / name for name in (NANO_DIGITS, NANO_FASHION, SIGHT)}
"""Trained runs in the package: a ``nano`` and an adapter of SmolLM2 trained on handwritten digits,
and a ``nano`` trained on Fashion-MNIST's clothes."""
DEFAULT_MODEL = SIGHT
"""Model that ``see`` asks unless another is named."""
NAMES = (nano.NAME, smollm2.NAME, *SHIPPED_RUNS)
"""Names of the models of the package. They win over directories of the same name."""


@dataclass(frozen=True)
class ModelSource:
    """The meaning of a model's name.

    Attributes:
        name: Name for messages, as the user gave it.
        directory: Directory of the model; None for ``nano``, ``smollm2-135m`` and hub ids.
        run: Record of the finished run in the directory, None where it holds none.
    """

    name: str
    directory: Path | None = None
    run: RunRecord | None = None

    @property
    def ships(self) -> bool:
        """Whether the model is a trained run of the package."""
        return self.directory is not None and self.directory in SHIPPED_RUNS.values()

    @property
    def from_hub(self) -> bool:
        """Whether the name is a hub id, since it is neither ours nor a directory."""
        return self.directory is None and self.name not in NAMES

    @property
    def user_run(self) -> Path | None:
        """Directory of the user's own finished run; None for any other model."""
        return None if self.run is None or self.ships else self.directory

    @property
    def lasting_name(self) -> str:
        """Name that means the same model in every working directory."""
        if self.directory is None or self.ships:
            return self.name
        return str(self.directory.resolve())


def resolve(name: str | Path) -> ModelSource:
    """Find out which model a name or path means.

    Args:
        name: A name of the package (``nano`` is a fresh one), a directory or a hub id. A ``Path``,
            or text such as ``"./nano"``, is a directory whatever its name.

    Raises:
        ModelError: The record of the run in the directory is damaged.
    """
    if isinstance(name, str) and name in NAMES:
        directory = SHIPPED_RUNS.get(name)
    elif isinstance(name, str) and not Path(name).exists():
        directory = None
    else:
        directory = Path(name)
    run = None if directory is None else RunRecord.load(directory)
    return ModelSource(str(name), directory, run)


def weights_of(run: Path, record: RunRecord) -> Path:
    """Where the weights of a run lie: beside its record, or with the run of which it is a kind."""
    return (run / record.weights).resolve() if record.weights else run


def kind_places(run: Path, names: Sequence[str]) -> list[Path]:
    """Where the record of each kind of pictures lies that a run is taught, its own first."""
    return [run / KINDS / name if place else run for place, name in enumerate(names)]


def records_of(run: Path) -> dict[str, RunRecord]:
    """The records of all kinds of pictures that a finished run was taught, its own first.

    A run of before several kinds could be taught has one, by the name "".
    """
    own = RunRecord.load(run)
    if own is None:
        return {}
    names = own.training.get("kinds", [own.training.get("kind", "")])
    found = zip(names, map(RunRecord.load, kind_places(run, names)), strict=True)
    return {name: record for name, record in found if record}


def copy_records(run: Path, record: RunRecord, target: Path) -> None:
    """Write what a run is told by beside a copy of its weights, with those of its further kinds.

    Args:
        run: Where the weights come from.
        record: What is written; of one kind of a run it is then the only one.
        target: Where the copied weights lie.
    """
    training = dict(record.training)
    if record.weights:
        training.pop("kinds", None)
    elif (run / KINDS).is_dir():
        shutil.copytree(run / KINDS, target / KINDS, dirs_exist_ok=True)
    replace(record, weights="", training=training).save(target)


def save_made(loaded: LoadedModel, run: Path, target: Path) -> None:
    """Save a model that was made of a run's weights, as a run of its own.

    Args:
        loaded: The model, its record what the new run is told by.
        run: The run it was made of.
        target: Directory of the new run.
    """
    assert loaded.run is not None
    loaded.model.save_pretrained(target)
    loaded.tokenizer.save_pretrained(target)
    copy_records(run, loaded.run, target)


@dataclass(frozen=True)
class Start:
    """A trained run that ``train --from`` starts from.

    Attributes:
        model: The run.
        weights: Directory of its weights.
        origin: Name of the base model at its root, whose default settings suit the run too.
        settings: Settings that the run asks for: an adapter stays an adapter.
    """

    model: ModelSource
    weights: Path
    origin: str
    settings: dict[str, Any]


def start_from(name: str | Path) -> Start:
    """Find the trained run that ``--from`` means.

    Raises:
        ModelError: There is no such run, or its training has not finished.
    """
    source = resolve(name)
    if source.directory is None or source.run is None:
        shipped = f"--from {NANO_DIGITS}, or " if name == nano.NAME else ""
        base = f"{shipped}--model {name}" if source.directory or name in NAMES else ""
        raise ModelError(
            f"--from {name}: is no trained run (it holds no {RUN_FILE}); give "
            f"{base or 'the directory of a run, or ' + ', '.join(SHIPPED_RUNS)}"
        )
    weights = weights_of(source.directory, source.run)
    adapter = (weights / "adapter_config.json").is_file()
    settings = {"method": "lora"} if adapter else {}
    return Start(source, weights, root_of(source.run).base, settings)


def root_of(record: RunRecord) -> RunRecord:
    """Follow a run's bases to the first run; its seed made the weights of a fresh ``nano``."""
    seen = set[str]()
    while record.base not in seen and (before := resolve(record.base).run):
        seen.add(record.base)
        record = before
    return record
