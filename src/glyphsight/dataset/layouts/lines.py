"""JSON Lines: a record a line, as fine-tuning tools take it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import Record
from glyphsight.dataset.text import decode, encode, parse_json
from glyphsight.errors import DatasetError


class _Lines(ABC):
    """A JSON object a line."""

    suffix = ".jsonl"
    sharded = False
    sourced = False
    card = False
    head = b""
    between = b""
    tail = b""

    @abstractmethod
    def _row(self, record: Record, prompt: Prompt) -> dict[str, Any]:
        """The object of a line."""

    def write(
        self,
        records: Iterable[Record],
        stream: IO[bytes],
        wordings: Sequence[Prompt],
        first: int = 0,
    ) -> int:
        """Write one piece; see :class:`~glyphsight.dataset.layouts.base.Output`."""
        number = first
        for number, record in enumerate(records, start=first + 1):
            row = self._row(record, wordings[(number - 1) % len(wordings)])
            stream.write(encode(json.dumps(row, ensure_ascii=False) + "\n", number))
        return number - first

    def read(self, file: Path) -> Iterator[Any]:
        """The value of each line; empty lines hold none."""
        some = False
        try:
            with file.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    text = decode(line, file, number)
                    if text.strip():
                        some = True
                        yield parse_json(text, file, number)
        except FileNotFoundError:
            raise DatasetError(f"{file}: no such file") from None
        except OSError as error:
            raise DatasetError(f"{file}: cannot be read ({error.strerror})") from error
        if not some:
            raise DatasetError(f"{file}: is empty, a dataset has a record a line; build it anew")


class PromptLines(_Lines):
    """One line per record with ``prompt`` and ``completion``, as TRL and the like take it."""

    name = "jsonl"

    def _row(self, record: Record, prompt: Prompt) -> dict[str, Any]:
        asked, said = prompt.pair(record)
        return {"prompt": asked, "completion": said} | _parts(record)


class ChatLines(_Lines):
    """One line per record with chat ``messages``, as the OpenAI fine-tuning API takes it."""

    name = "chat"

    def _row(self, record: Record, prompt: Prompt) -> dict[str, Any]:
        return {"messages": prompt.messages(record)} | _parts(record)


def _parts(record: Record) -> dict[str, Any]:
    """Return what the words do not tell apart: pictures and question of a record with more."""
    return {} if len(record.pictures) == 1 and not record.question else record.as_json()
