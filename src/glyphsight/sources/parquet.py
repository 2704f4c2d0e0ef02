"""Parquet files in the hub's layout of pictures and labels, local or remote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError, GlyphsightError, PictureError, one_line
from glyphsight.extras import need
from glyphsight.sources.base import Failure, Part, Pictures, batches
from glyphsight.sources.items import answer_text, choose, choose_answer, decode
from glyphsight.sources.location import (
    find_by_split,
    in_order,
    licence_of,
    opened,
    take_options,
)

_ROWS = 32  # read at a time: few, for a row may hold a photo
_BUFFER = 1 << 22  # of a file's column; the rest of a row group stays where it is


class ParquetSource:
    """Parquet files, local or remote: pictures as bytes, labels as class numbers or text.

    Attributes:
        splits: As the names of the files or of their folders say, else ``train``.
        licence: Of a local dataset: as its LICENSE file or dataset card says.
    """

    def __init__(self, location: str) -> None:
        pattern, self._chosen = take_options(location, "answer", "image")
        self._root, self._files = find_by_split(pattern)
        self.splits = in_order(self._files)

    @property
    def licence(self) -> str:
        """Looked for beside the files, and beside a folder ``data`` that holds them."""
        if "://" in self._root:
            return ""
        root = Path(self._root)
        return licence_of(root) or (licence_of(root.parent) if root.name == "data" else "")

    def parts(self, split: str) -> list[Part]:
        """The row groups of each file; only the files' footers are read."""
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

    def read(self, part: Part) -> Iterator[Pictures | Failure]:
        """Rows of a row group; an id is the file and the number of the row in it."""
        name, group, first = str(part.location[0]), int(part.location[1]), int(part.location[2])
        with self._opened(name) as file:
            image, answer, classes = self._columns(file.schema_arrow, name)

            def rows() -> Iterator[tuple[str, str, NDArray[np.uint8]] | Failure]:
                at = first
                for batch in file.iter_batches(
                    batch_size=_ROWS, row_groups=[group], columns=[image, answer]
                ):
                    pairs = zip(
                        batch.column(image).to_pylist(),
                        batch.column(answer).to_pylist(),
                        strict=True,
                    )
                    for picture, value in pairs:
                        yield _item(f"{name}:{at}", self._root, picture, value, classes)
                        at += 1

            yield from batches(rows())

    @contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        with need("data", "pyarrow"):
            from pyarrow import parquet
        path = f"{self._root}{name}"
        try:
            with (
                opened(path) as stream,
                parquet.ParquetFile(
                    stream,
                    buffer_size=_BUFFER,
                    pre_buffer=False,
                    page_checksum_verification=True,
                ) as file,
            ):
                yield file
        except GlyphsightError:
            raise
        except Exception as error:  # every kind of damage and remote place has errors of its own
            raise DatasetError(
                f"{path}: cannot be read as Parquet ({one_line(error)}); fetch it again"
            ) from error

    def _columns(self, schema: Any, name: str) -> tuple[str, str, list[str] | None]:
        """The image column, the answer column, and the names of its classes."""
        path = f"{self._root}{name}"
        features = _features(schema)
        pictures = [each for each in schema.names if features.get(each, {}).get("_type") == "Image"]
        pictures = pictures or [field.name for field in schema if _holds_bytes(field.type)]
        image = choose("image", pictures, self._chosen.get("image"), path)
        others = [
            each
            for each in schema.names
            if each != image and not each.startswith("__index_level_")  # as pandas writes them
        ]
        answer = choose_answer(others, self._chosen.get("answer"), path)
        classes = features.get(answer, {}).get("names")
        return image, answer, classes if isinstance(classes, list) else None


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """What the hub's metadata says of the columns; empty without any."""
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


def _item(
    name: str, root: str, picture: Any, value: Any, classes: Sequence[str] | None
) -> tuple[str, str, NDArray[np.uint8]] | Failure:
    where = f"{root}{name}"
    data = picture.get("bytes") if isinstance(picture, dict) else picture
    if not isinstance(data, bytes):
        return Failure(name, f"{where}: holds no bytes of a picture; write them into the file")
    try:
        return name, answer_text(value, classes), decode(data, where)
    except ValueError as error:
        return Failure(name, f"{where}: {error}; mend or remove the row")
    except PictureError as error:
        return Failure(name, str(error))
