"""The layouts a dataset is written in and read back from, the project's own and users'.

Users' layouts come by the entry point group ``glyphsight.outputs``.
"""

from __future__ import annotations

import json
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import (
    KEYS,
    QUESTION,
    Record,
    decode,
    encode,
    json_type,
    parse_json,
    read_text,
    reading,
)
from glyphsight.errors import DatasetError, one_line
from glyphsight.extras import need
from glyphsight.plugins import Registry

Wordings = Sequence[Prompt]
_quote = json.JSONEncoder(ensure_ascii=False).encode  # in C; json.dumps with an indent is not
_TRAILING_COMMA = re.compile(r",\s*\]\s*\Z")
_ROWS = 4096  # a row group of Parquet: what is held while writing
_BATCH = 1024
_COLUMNS = (KEYS, ("prompt", "completion"), ("messages",))  # any of these make a record
_PICTURES = "ASCII_images"  # a column of one type cannot hold both a text and a list of texts
_FURTHER = (QUESTION, _PICTURES, "source")


class Output(Protocol):
    """A layout of dataset files.

    A split is written in pieces of consecutive records, each apart and in any order. Where
    ``sharded`` is true a piece is a file, ``data/train-00000-of-00007.parquet``. Where it is false
    the split is the one file ``train.json``: ``head``, the pieces with ``between`` between them,
    ``tail``; see :func:`join`. Its bytes are the same however the split is divided into pieces.
    """

    name: str  # name for ``--output``
    suffix: str  # suffix of its files, with the dot
    sharded: bool  # True where each piece of a split is a file of its own
    # True where a row has the source of its record; else the file of
    # :func:`glyphsight.dataset.storage.sources_file` beside it has it
    sourced: bool
    card: bool  # True where a dataset card, ``README.md``, belongs to it
    head: bytes  # first bytes of a file that is joined from pieces
    between: bytes  # bytes between two pieces
    tail: bytes  # last bytes of such a file

    def write(
        self, records: Iterable[Record], stream: IO[bytes], wordings: Wordings, first: int = 0
    ) -> int:
        """Write one piece of a split.

        Args:
            records: Records of the piece, in order.
            stream: Open file to write to; it is not closed.
            wordings: Words around the picture; record number i of the split takes
                ``wordings[i % len(wordings)]``.
            first: Number of the first record in its split, from 0.

        Returns:
            Number of records written.
        """

    def read(self, file: Path) -> Iterator[Any]:
        """Yield each record of a file as JSON values, in bounded memory where the layout allows.

        Raises:
            DatasetError: Names the file, the line or record and what is wrong.
        """


def join(output: Output, pieces: Iterable[Path], stream: IO[bytes]) -> None:
    """Join the pieces of a split to its one file, in order; empty pieces are left out."""
    stream.write(output.head)
    between = b""
    for piece in pieces:
        if piece.stat().st_size:
            stream.write(between)
            with piece.open("rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
            between = output.between
    stream.write(output.tail)


class _Single(ABC):
    """Layout of one file per split."""

    sharded = sourced = card = False
    head = between = tail = b""

    @abstractmethod
    def _text(self, record: Record, prompt: Prompt) -> str:
        """Write a record, what stands between two left out."""

    def write(
        self, records: Iterable[Record], stream: IO[bytes], wordings: Wordings, first: int = 0
    ) -> int:
        """Write one piece; see :class:`Output`."""
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
            raise DatasetError(
                f"{file}: holds {json_type(value)}, a dataset is an array; build the dataset again"
            )
        yield from value


class PromptLines(_Single):
    """One line per record with ``prompt`` and ``completion``, as TRL and the like take it."""

    name, suffix = "jsonl", ".jsonl"

    def _row(self, record: Record, prompt: Prompt) -> dict[str, Any]:
        asked, said = prompt.pair(record)
        return {"prompt": asked, "completion": said}

    def _text(self, record: Record, prompt: Prompt) -> str:
        row = self._row(record, prompt)
        if len(record.pictures) != 1 or record.question:  # parts that the words do not tell apart
            row |= record.as_json()
        return _quote(row) + "\n"

    def read(self, file: Path) -> Iterator[Any]:
        """Yield the value of each line; empty lines hold none."""
        some = False
        with reading(file), file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                text = decode(line, file, number)
                if text.strip():
                    some = True
                    yield parse_json(text, file, number)
        if not some:
            raise DatasetError(
                f"{file}: is empty, a dataset has a record per line; build the dataset again"
            )


class ChatLines(PromptLines):
    """One line per record with chat ``messages``, as the OpenAI fine-tuning API takes it."""

    name = "chat"

    def _row(self, record: Record, prompt: Prompt) -> dict[str, Any]:
        return {"messages": prompt.messages(record)}


class Parquet:
    """Shards data/SPLIT-00000-of-00001.parquet: the record, its prompt, completion and source."""

    name, suffix = "parquet", ".parquet"
    sharded, sourced, card = True, True, False
    head = between = tail = b""

    def write(
        self, records: Iterable[Record], stream: IO[bytes], wordings: Wordings, first: int = 0
    ) -> int:
        """Write one shard; see :class:`Output`."""
        with need("data", "pyarrow"):
            import pyarrow
            from pyarrow import parquet
        columns = (*KEYS, QUESTION, _PICTURES, "prompt", "completion", "source")
        text = pyarrow.string()
        schema = pyarrow.schema(
            [(name, pyarrow.list_(text) if name == _PICTURES else text) for name in columns]
        )
        rows = (
            _row(record, wordings[number % len(wordings)], number)
            for number, record in enumerate(records, start=first)
        )
        count = 0
        with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
            while held := list(islice(rows, _ROWS)):
                writer.write_table(pyarrow.Table.from_pylist(held, schema))
                count += len(held)
        return count

    def read(self, file: Path) -> Iterator[Any]:
        """Yield each row: the columns of a record where there are such, else those of its words."""
        with need("data", "pyarrow"):
            import pyarrow
            from pyarrow import parquet
        try:
            with parquet.ParquetFile(file) as table:
                columns = _columns(table.schema_arrow.names, file)
                for batch in table.iter_batches(_BATCH, columns=columns):
                    for row in batch.to_pylist():
                        if (pictures := row.pop(_PICTURES, None)) is not None:
                            row["ASCII_image"] = pictures
                        yield row
        except FileNotFoundError:
            raise DatasetError(f"{file}: no such file; fix its name") from None
        except UnicodeDecodeError:
            raise DatasetError(f"{file}: holds text that is not UTF-8; write it again") from None
        except (OSError, pyarrow.ArrowException) as error:
            reason = one_line(error)
            raise DatasetError(f"{file}: no whole Parquet file ({reason}); get it again") from error


def _row(record: Record, prompt: Prompt, number: int) -> dict[str, Any]:
    """Return a record as the columns of Parquet; ``number`` is its own in the split, from 0."""
    asked, said = prompt.pair(record)
    row: dict[str, Any] = {
        **dict(zip(KEYS, (record.size, record.picture, record.answer), strict=True)),
        QUESTION: record.question,
        "prompt": asked,
        "completion": said,
        "source": record.source,
    }
    row = {name: encode(text, number + 1) for name, text in row.items()}
    if len(record.pictures) != 1:
        row[_PICTURES] = [encode(picture, number + 1) for picture in record.pictures]
    return row


def _columns(names: Sequence[str], file: Path) -> list[str]:
    """Choose the columns that make a record, of those a file has."""
    for needed in _COLUMNS:
        if set(needed) <= set(names):
            return [*needed, *(name for name in _FURTHER if name in names)]
    raise DatasetError(
        f"{file}: has the columns {', '.join(names) or 'none'}; give "
        + ", or ".join(" and ".join(needed) for needed in _COLUMNS)
    )


class Hub(Parquet):
    """The same shards with a dataset card: a directory that datasets.load_dataset takes as is."""

    name = "hub"
    card = True


LAYOUTS: Registry[Output] = Registry(
    kind="output",
    group="glyphsight.outputs",
    own={kind.name: kind for kind in (Published, PromptLines, ChatLines, Parquet, Hub)},
    needed=(*Output.__annotations__, "write", "read"),
    module="glyphsight.dataset.layouts",
    error=DatasetError,
)


@lru_cache
def get_output(name: str) -> Output:
    """Return the layout called ``name``."""
    return LAYOUTS.make(name)


def output_of_suffix(suffix: str) -> Output | None:
    """Return the first layout whose files end in ``suffix``, None where there is none."""
    return next((one for one in map(get_output, LAYOUTS) if one.suffix == suffix), None)
