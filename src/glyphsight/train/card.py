"""The model card of a run: its base, what it reads, how it was trained, for people and the hub."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from glyphsight.files import write
from glyphsight.models import smollm2
from glyphsight.models.runs import UNKNOWN, RunRecord, resolve, root_of
from glyphsight.version import __version__

CARD = "README.md"
_HUB_NAMES = {smollm2.NAME: smollm2.HUB_NAME}
_SHOWN = 50  # labels of a task


def card_data(directory: Path, record: RunRecord) -> dict[str, Any]:
    """Return what the head of a card says that the run itself knows, by key of the hub."""
    root = root_of(record).base
    base = _HUB_NAMES.get(root) or (root if resolve(root).from_hub else None)
    adapter = (directory / "adapter_config.json").is_file()
    return {
        "base_model": base,
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["ascii-art", "glyphsight"],
    }


def head_card(directory: Path, record: RunRecord) -> None:
    """Renew the head of a card that is written by hand; its licence, data and figures stay."""
    from huggingface_hub import ModelCard, ModelCardData

    card = ModelCard((directory / CARD).read_text("utf-8"))
    said = card.data.to_dict() | card_data(directory, record)  # type: ignore[no-untyped-call]
    card.data = ModelCardData(**said, ignore_metadata_errors=False)
    write(directory / CARD, str(card))


def write_card(directory: Path, name: str, record: RunRecord) -> None:
    """Write the card of a finished run beside its weights, in place of a library's template."""
    from huggingface_hub import ModelCard, ModelCardData

    data = card_data(directory, record)
    card = ModelCard.from_template(
        ModelCardData(**data),
        template_str=(files("glyphsight") / "assets" / "model-card.md.j2").read_text("utf-8"),
        name=name,
        base=data["base_model"] or Path(root_of(record).base).name,
        adapter=data["library_name"] == "peft",
        tasks=[(task, ", ".join(task.labels[:_SHOWN])) for task in record.tasks],
        unknown_above=record.unknown_above
        if any(UNKNOWN in task.labels for task in record.tasks)
        else None,
        prompt=json.dumps(vars(record.prompt), ensure_ascii=False),
        profile=asdict(record.profile),
        training=record.training,
        version=__version__,
    )
    write(directory / CARD, card.content)
