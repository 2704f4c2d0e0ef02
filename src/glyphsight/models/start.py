"""Where ``train --from`` starts: a trained run, by its directory or by the name of one shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyphsight.errors import ModelError
from glyphsight.models.load import RESERVED, SHIPPED_RUNS, RunRecord, run_directory


@dataclass(frozen=True)
class Start:
    """A trained run to go on from.

    Attributes:
        run: Its directory.
        origin: The base model at the root of it, whose default settings suit it too.
        settings: What its kind asks for: an adapter goes on being one.
    """

    run: Path
    origin: str
    settings: dict[str, Any]


def start_from(name: str) -> Start:
    """The run that ``--from`` means: one that ships, by its name, else a directory.

    Raises:
        ModelError: There is no such run, or its training has not finished.
    """
    run = SHIPPED_RUNS.get(name, Path(name))
    record = RunRecord.load(run)
    if record is None:
        mend = f", or start from a base model with --model {name}"
        raise ModelError(
            f"--from {name}: no trained run (it holds no glyphsight.json); give one of glyphsight "
            f"train{mend if name in RESERVED or run.exists() else ''}"
        )
    adapter = (run / "adapter_config.json").is_file()
    return Start(run, origin_of(record), {"method": "lora"} if adapter else {})


def origin_of(record: RunRecord) -> str:
    """The base model at the root of a run, through all the runs it was trained from."""
    seen = set[str]()
    while (directory := run_directory(record.base)) is not None and record.base not in seen:
        seen.add(record.base)
        above = RunRecord.load(directory)
        if above is None:
            break
        record = above
    return record.base
