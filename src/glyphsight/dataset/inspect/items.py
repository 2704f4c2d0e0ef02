"""The records of a dataset one after the other, each with its place."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glyphsight.dataset.prompt import by_fixed_text
from glyphsight.dataset.record import Record
from glyphsight.dataset.storage import Frame, read_sources, read_values, to_record
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


def read_items(split: str, file: Path, frame: Frame) -> Iterator[Item]:
    """Everything a dataset file holds, in order.

    Args:
        split: The split the file belongs to.
        file: The file, of any layout.
        frame: What its manifest says of wordings and width.

    Raises:
        DatasetError: The file cannot be read, or not to its end.
    """
    sources = read_sources(file)
    size = frame.size or "0"  # only where the layout states none, and nobody asks for it
    for number, value in enumerate(read_values(file), start=1):
        source = next(sources, "")
        try:
            record = to_record(value, "", frame.wordings_of(file, number), size)
            _check_characters(record)
        except DatasetError as error:
            yield Item(split, file, number, value, None, str(error).removeprefix(": "))
            continue
        if source and not record.source:
            record = replace(record, source=source)
        yield Item(split, file, number, value, record)


def _check_characters(record: Record) -> None:
    """Refuse half a surrogate pair, which JSON can escape and no tokenizer or file takes."""
    for text in (*record.pictures, record.question, record.answer):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DatasetError(
                f"holds U+{ord(text[error.start]):04X}, which is no character; write it anew"
            ) from None


def taught_pair(item: Item, frame: Frame) -> tuple[str, str]:
    """Prompt and completion of a record: its own, else in the wording with the most words.

    Raises:
        ValueError: The item holds no record.
    """
    if item.record is None:
        raise ValueError("no record, no prompt")
    if "prompt" in item.value and "completion" in item.value:
        return item.value["prompt"], item.value["completion"]
    return by_fixed_text(frame.wordings)[0].pair(item.record)


def batched(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Some items at a time: at most 1,024, and at most about four million characters.

    Raises:
        DatasetError: What ``items`` raises, after all that came before it.
    """
    batch: list[Item] = []
    characters = 0
    broken: DatasetError | None = None
    while True:
        try:
            item = next(items, None)
        except DatasetError as error:
            item, broken = None, error
        if item is not None:
            batch.append(item)
            characters += len(item.record.picture) if item.record else 0
        full = len(batch) == _BATCH_RECORDS or characters >= _BATCH_CHARACTERS
        if batch and (full or item is None):
            yield batch
            batch, characters = [], 0
        if broken is not None:
            raise broken
        if item is None:
            return


class Drawn:
    """Some items, drawn at random while they pass by (reservoir sampling, Vitter 1985)."""

    def __init__(self, most: int, seed: int) -> None:
        self._items: list[tuple[int, Item]] = []
        self._most = most
        self._rng = random.Random(seed)
        self._seen = 0

    def offer(self, item: Item) -> None:
        """Let an item pass by."""
        self._seen += 1
        if len(self._items) < self._most:
            self._items.append((self._seen, item))
        elif (place := self._rng.randrange(self._seen)) < self._most:
            self._items[place] = (self._seen, item)

    def in_order(self) -> list[Item]:
        """What was drawn, as it passed by."""
        return [item for _, item in sorted(self._items, key=lambda pair: pair[0])]
