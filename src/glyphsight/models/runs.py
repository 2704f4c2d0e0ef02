"""Which trained run a name means, and what base model lies at its root."""

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
NANO_FASHION = "nano-fashion"
KINDS = "kinds"
"""Directory of a run with the records of its further kinds of pictures."""
_ASSETS = Path(__file__).parents[1] / "assets"
SHIPPED_RUNS = {
    nano.NAME: _ASSETS / "nano-digits",
    NANO_FASHION: _ASSETS / NANO_FASHION,
    SIGHT: _ASSETS / SIGHT,
}
"""Trained runs that come with the package, by name: a ``nano`` and an adapter of SmolLM2, both
taught handwritten digits, and a ``nano`` taught Fashion-MNIST's clothes."""
DEFAULT_MODEL = SIGHT
"""Whom ``see`` asks unless told otherwise."""
RESERVED = (*SHIPPED_RUNS, smollm2.NAME)


def spelled(name: str | Path) -> str:
    """A model's name as text; a ``Path`` always means the directory, never a reserved name."""
    if isinstance(name, str):
        return name
    return f"./{name}" if str(name) in RESERVED else str(name)


def run_directory(name: str | Path) -> Path | None:
    """The user's run directory that ``name`` means, None where it means something else.

    Reserved names win over directories of the same name; ``./nano`` is such a directory.
    """
    if name in RESERVED:
        return None
    directory = Path(name)
    return directory if (directory / RUN_FILE).is_file() else None


def trained_run(name: str | Path, *, fresh_nano: bool = False) -> Path | None:
    """The directory of the trained run that ``name`` means, shipped or the user's, else None.

    Args:
        name: A reserved name, a path or a hub id.
        fresh_nano: ``nano`` means one made from scratch, not the one that comes with the package.
    """
    shipped = None if name == nano.NAME and fresh_nano else SHIPPED_RUNS.get(str(name))
    return shipped if name in RESERVED else run_directory(name)


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
    """A trained run that ``train --from`` goes on from.

    Attributes:
        run: Its directory.
        weights: Where its weights lie.
        origin: The base model at the root of it, whose default settings suit it too.
        settings: What its kind asks for: an adapter goes on being one.
    """

    run: Path
    weights: Path
    origin: str
    settings: dict[str, Any]


def start_from(name: str) -> Start:
    """The run that ``--from`` means: one that ships, by its name, else a directory.

    Raises:
        ModelError: There is no such run, or its training has not finished.
    """
    run = trained_run(name)
    record = RunRecord.load(run) if run else None
    if run is None or record is None:
        known = name in RESERVED or Path(name).exists()
        mend = f", or start from a base model with --model {name}" if known else ""
        raise ModelError(
            f"--from {name}: no trained run (it holds no {RUN_FILE}); give one of glyphsight "
            f"train{mend}"
        )
    weights = weights_of(run, record)
    adapter = (weights / "adapter_config.json").is_file()
    return Start(run, weights, origin_of(record), {"method": "lora"} if adapter else {})


def root_of(record: RunRecord) -> RunRecord:
    """The first of the runs that a run goes back to: its seed made a fresh ``nano``'s weights."""
    seen = set[str]()
    while (above := trained_run(record.base, fresh_nano=True)) and record.base not in seen:
        seen.add(record.base)
        record = RunRecord.load(above) or record
    return record


def origin_of(record: RunRecord) -> str:
    """The base model at the root of a run, through all the runs it was trained from."""
    return root_of(record).base
