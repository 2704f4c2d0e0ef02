"""Parquet shards, which ``datasets`` and most tools for tables read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import KEYS, QUESTION, Record
from glyphsight.dataset.text import encode
from glyphsight.errors import DatasetError

_ROWS = 4096  # a row group: what is held while writing
_BATCH = 1024
_LAYOUTS = (KEYS, ("prompt", "completion"), ("messages",))
_PICTURES = "ASCII_images"  # a column of one type cannot hold both a text and a list of texts
_FURTHER = (QUESTION, _PICTURES, "source")


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise DatasetError(
            "Parquet needs the package pyarrow; pip install 'glyphsight[data]'"
        ) from error
    return pyarrow, pyarrow.parquet


class Parquet:
    """Shards data/SPLIT-00000-of-00001.parquet: the record, its prompt, completion and source."""

    name, suffix = "parquet", ".parquet"
    sharded, sourced, card = True, True, False
    head = between = tail = b""

    def write(
        self,
        records: Iterable[Record],
        stream: IO[bytes],
        wordings: Sequence[Prompt],
        first: int = 0,
    ) -> int:
        """Write one shard; see :class:`~glyphsight.dataset.layouts.base.Output`."""
        pyarrow, parquet = _pyarrow()
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
        pyarrow, parquet = _pyarrow()
        try:
            with parquet.ParquetFile(file) as table:
                columns = _columns(table.schema_arrow.names, file)
                for batch in table.iter_batches(_BATCH, columns=columns):
                    for row in batch.to_pylist():
                        if (pictures := row.pop(_PICTURES, None)) is not None:
                            row["ASCII_image"] = pictures
                        yield row
        except FileNotFoundError:
            raise DatasetError(f"{file}: no such file") from None
        except UnicodeDecodeError:
            raise DatasetError(f"{file}: holds text that is not UTF-8; write it again") from None
        except (OSError, pyarrow.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise DatasetError(f"{file}: no whole Parquet file ({reason}); get it again") from error


def _row(record: Record, prompt: Prompt, number: int) -> dict[str, Any]:
    asked, said = prompt.pair(record)
    texts = (record.size, record.picture, record.answer, record.question, asked, said)
    names = (*KEYS, QUESTION, "prompt", "completion", "source")
    row: dict[str, Any] = {
        name: encode(text, number + 1)
        for name, text in zip(names, (*texts, record.source), strict=True)
    }
    if len(record.pictures) != 1:
        row[_PICTURES] = [encode(picture, number + 1) for picture in record.pictures]
    return row


def _columns(names: Sequence[str], file: Path) -> list[str]:
    """Choose the columns that make a record, of those a file has."""
    for needed in _LAYOUTS:
        if set(needed) <= set(names):
            return [*needed, *(name for name in _FURTHER if name in names)]
    raise DatasetError(
        f"{file}: has the columns {', '.join(names) or 'none'}; a dataset has "
        + ", or ".join(" and ".join(needed) for needed in _LAYOUTS)
    )


class Hub(Parquet):
    """The same shards with a dataset card: a directory that datasets.load_dataset takes as is."""

    name = "hub"
    card = True
