"""Parquet files in the hub's layout of pictures and labels, local or remote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from glyphsight.errors import DatasetError
from glyphsight.extras import need
from glyphsight.sources.base import (
    Batch,
    Failure,
    Part,
    answer_text,
    batches,
    choose_columns,
    naming,
    read_item,
)
from glyphsight.sources.location import SplitFiles, opened

_ROWS = 32  # read at a time: few, for a row may hold a photo
_BUFFER = 1 << 22  # of a file's column; the rest of a row group stays where it is


class ParquetSource(SplitFiles):
    """Parquet files, local or remote: pictures as bytes, labels as class numbers or text."""

    options = ("answer", "image")

    def parts(self, split: str) -> list[Part]:
        """List the row groups of each file; only the files' footers are read."""
        found = []
        for name in self._files[split]:
            with self._opened(name) as file:
                self._columns(file.schema_arrow, name)
                first = 0
                for group in range(file.num_row_groups):
                    rows = int(file.metadata.row_group(group).num_rows)
                    if rows:
                        found.append(Part(split, (name, group, first, rows)))
                    first += rows
        if not found:
            raise DatasetError(f"{self._root}{self._files[split][0]}: holds no rows; remove it")
        return found

    def read(self, part: Part) -> Iterator[Batch | Failure]:
        """Read the rows of a row group; an id is the file and the number of the row in it."""
        name, group, first = str(part.location[0]), int(part.location[1]), int(part.location[2])
        with self._opened(name) as file:
            image, answer, classes = self._columns(file.schema_arrow, name)

            rows = (
                row
                for rows in file.iter_batches(_ROWS, row_groups=[group], columns=[image, answer])
                for row in rows.to_pylist()
            )
            yield from batches(
                read_item(
                    f"{name}:{number}",
                    f"{self._root}{name}:{number}",
                    partial(answer_text, row[answer], classes),
                    partial(_bytes, row[image]),
                )
                for number, row in enumerate(rows, first)
            )

    @contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        with need("data", "pyarrow"):
            from pyarrow import parquet
        path = f"{self._root}{name}"
        with (
            naming(path, "cannot be read as Parquet", "fetch it again"),
            opened(path) as stream,
            parquet.ParquetFile(
                stream, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
            ) as file,
        ):
            yield file

    def _columns(self, schema: Any, name: str) -> tuple[str, str, list[str] | None]:
        """Return the image column, the answer column, and the names of its classes."""
        path = f"{self._root}{name}"
        features = _features(schema)
        pictures = [each for each in schema.names if features.get(each, {}).get("_type") == "Image"]
        pictures = pictures or [field.name for field in schema if _holds_bytes(field.type)]
        columns = [name for name in schema.names if not name.startswith("__index_level_")]  # pandas
        image, answer = choose_columns(pictures, columns, self._chosen, path)
        classes = features.get(answer, {}).get("names")
        return image, answer, classes if isinstance(classes, list) else None


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """Return the hub's metadata of the columns; empty without any."""
    try:
        found = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {name: each for name, each in found.items() if isinstance(each, dict)}
    except (TypeError, KeyError, ValueError, AttributeError):
        return {}


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _bytes(picture: Any) -> bytes:
    data = picture.get("bytes") if isinstance(picture, dict) else picture
    if not isinstance(data, bytes):
        raise ValueError("holds no bytes of a picture")
    return data
