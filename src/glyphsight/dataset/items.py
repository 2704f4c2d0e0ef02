"""The records of a dataset one after the other, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyphsight.dataset.record import Record, record_from_json
from glyphsight.dataset.storage import read_values
from glyphsight.errors import DatasetError

_BATCH_RECORDS = 1024
_BATCH_CHARACTERS = 1 << 22


@dataclass(frozen=True, slots=True)
class Item:
    """What a dataset file holds at one place.

    Attributes:
        split: The split it belongs to; "" for a file alone.
        file: The file.
        number: Its number in the file, from 1.
        value: The record as JSON values.
        record: The record; None where ``value`` is none.
        fault: Why it is none.
    """

    split: str
    file: Path
    number: int
    value: Any
    record: Record | None
    fault: str = ""


def read_items(split: str, file: Path) -> Iterator[Item]:
    """Everything a dataset file holds, in order.

    Raises:
        DatasetError: The file cannot be read, or not to its end.
    """
    for number, value in enumerate(read_values(file), start=1):
        try:
            yield Item(split, file, number, value, record_from_json(value, ""))
        except DatasetError as error:
            yield Item(split, file, number, value, None, str(error).removeprefix(": "))


def batched(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Some items at a time: at most 1,024, and at most about four million characters."""
    batch: list[Item] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += len(item.record.ascii_image) if item.record else 0
        if len(batch) == _BATCH_RECORDS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
