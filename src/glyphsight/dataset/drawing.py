"""Records read backwards: the label is asked for, the picture is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glyphsight.dataset.record import Record

PREFIX = "draw:"  # text before the name of a dataset whose records are read backwards
_ASKED = "Draw {}."


def asked_to_draw(label: str) -> str:
    """Return the question whose answer is a drawing of a label."""
    return _ASKED.format(label)


def drawn_dataset(data: Path) -> tuple[Path, bool]:
    """Split ``draw:DATA`` into the dataset and whether its records are read backwards."""
    text = str(data)
    return Path(text.removeprefix(PREFIX)), text.startswith(PREFIX)


def backwards(records: Sequence[Record]) -> list[Record]:
    """Turn records of one picture around: each asks for a drawing of its answer."""
    return [
        Record((), one.picture, asked_to_draw(one.answer), source=one.source) for one in records
    ]
