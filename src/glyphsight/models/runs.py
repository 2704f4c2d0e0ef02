"""What a model's name means: a base model, a trained run, or a directory or hub id of its own."""

from __future__ import annotations

from dataclasses import dataclass
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


def save_made(loaded: LoadedModel, target: Path) -> None:
    """Save a model that was made of a run's weights, as a run of its own."""
    assert loaded.run is not None
    loaded.model.save_pretrained(target)
    loaded.tokenizer.save_pretrained(target)
    loaded.run.save(target)


@dataclass(frozen=True)
class Start:
    """A trained run that ``train --from`` starts from.

    Attributes:
        model: The run.
        origin: Name of the base model at its root, whose default settings suit the run too.
        settings: Settings that the run asks for: an adapter stays an adapter.
    """

    model: ModelSource
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
    adapter = (source.directory / "adapter_config.json").is_file()
    settings = {"method": "lora"} if adapter else {}
    return Start(source, root_of(source.run).base, settings)


def root_of(record: RunRecord) -> RunRecord:
    """Follow a run's bases to the first run; its seed made the weights of a fresh ``nano``."""
    seen = set[str]()
    while record.base not in seen and (before := resolve(record.base).run):
        seen.add(record.base)
        record = before
    return record
