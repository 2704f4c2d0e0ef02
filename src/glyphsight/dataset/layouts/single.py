"""Layouts of one file per split: the published JSON array, and JSON Lines for fine-tuning tools."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import Record, json_type
from glyphsight.dataset.text import decode, encode, parse_json, read_text
from glyphsight.errors import DatasetError

_quote = json.JSONEncoder(ensure_ascii=False).encode  # in C; json.dumps with an indent is not
_TRAILING_COMMA = re.compile(r",\s*\]\s*\Z")


class _Single(ABC):
    sharded = sourced = card = False
    head = between = tail = b""

    @abstractmethod
    def _text(self, record: Record, prompt: Prompt) -> str:
        """Write a record, what stands between two left out."""

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
            text = encode(self._text(record, wordings[(number - 1) % len(wordings)]), number)
            stream.write(self.between + text if number > first + 1 else text)
        return number - first


class Published(_Single):
    """A JSON array of objects with size, ASCII_image and Response: the published format."""

    name, suffix = "json", ".json"
    head, between, tail = b"[", b",", b"\n]"

    def _text(self, record: Record, prompt: Prompt) -> str:
        lines = ",\n    ".join(f'"{key}": {_quote(v)}' for key, v in record.as_json().items())
        return f"\n  {{\n    {lines}\n  }}"

    def read(self, file: Path) -> Iterator[Any]:
        """Yield each value of the array, with or without the published trailing comma."""
        value = parse_json(_TRAILING_COMMA.sub("]", read_text(file)), file)
        if not isinstance(value, list):
            raise DatasetError(f"{file}: holds {json_type(value)}, a dataset is an array")
        yield from value


class _Lines(_Single):
    """A JSON object per line."""

    suffix = ".jsonl"

    @abstractmethod
    def _row(self, record: Record, prompt: Prompt) -> dict[str, Any]:
        """Return the words of a record."""

    def _text(self, record: Record, prompt: Prompt) -> str:
        row = self._row(record, prompt)
        if len(record.pictures) != 1 or record.question:  # parts that the words do not tell apart
            row |= record.as_json()
        return _quote(row) + "\n"

    def read(self, file: Path) -> Iterator[Any]:
        """Yield the value of each line; empty lines hold none."""
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
            raise DatasetError(
                f"{file}: is empty, a dataset has a record per line; build the dataset again"
            )


class PromptLines(_Lines):
    """One line per record with ``prompt`` and ``completion``, as TRL and the like take it."""

    name = "jsonl"

    def _row(self, record: Record, prompt: Prompt) -> dict[str, Any]:
        asked, said = prompt.pair(record)
        return {"prompt": asked, "completion": said}


class ChatLines(_Lines):
    """One line per record with chat ``messages``, as the OpenAI fine-tuning API takes it."""

    name = "chat"

    def _row(self, record: Record, prompt: Prompt) -> dict[str, Any]:
        return {"messages": prompt.messages(record)}
