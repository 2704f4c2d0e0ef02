"""The published layout: one JSON array a split, UTF-8, glyphs not escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import Record, json_type
from glyphsight.dataset.text import encode, parse_json, read_text
from glyphsight.errors import DatasetError

_quote = json.JSONEncoder(ensure_ascii=False).encode  # in C; json.dumps with an indent is not
_TRAILING_COMMA = re.compile(r",\s*\]\s*\Z")


class Published:
    """A JSON array of objects with size, ASCII_image and Response: the published format."""

    name = "json"
    suffix = ".json"
    sharded = False
    sourced = False
    card = False
    head = b"["
    between = b","
    tail = b"\n]"

    def write(
        self,
        records: Iterable[Record],
        stream: IO[bytes],
        wordings: Sequence[Prompt],
        first: int = 0,
    ) -> int:
        """Write one piece; see :class:`~glyphsight.dataset.layouts.base.Output`."""
        count = 0
        for count, record in enumerate(records, start=1):
            comma = "," if count > 1 else ""
            lines = ",\n    ".join(f'"{key}": {_quote(v)}' for key, v in record.as_json().items())
            stream.write(encode(f"{comma}\n  {{\n    {lines}\n  }}", first + count))
        return count

    def read(self, file: Path) -> Iterator[Any]:
        """Each value of the array, with or without the published trailing comma."""
        value = parse_json(_TRAILING_COMMA.sub("]", read_text(file)), file)
        if not isinstance(value, list):
            raise DatasetError(f"{file}: holds {json_type(value)}, a dataset is an array")
        yield from value
