"""Tables of pictures and answers: Parquet files, and datasets of the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from glyphsight.errors import DatasetError
from glyphsight.extras import need
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.sources.base import (
    QUESTIONS,
    Batch,
    Failure,
    Item,
    Part,
    answer_text,
    batches,
    choose,
    choose_answer,
    naming,
    read_item,
)
from glyphsight.sources.location import SplitFiles, in_order, licence_of, opened, take_options

_ROWS = 32  # read at a time: few, for a row may hold a photo
_BUFFER = 1 << 22  # of a file's column; the rest of a row group stays where it is


class _Columns(NamedTuple):
    """The columns of a table that make an item, and the names of its classes, if it has any."""

    image: str
    answer: str
    question: list[str]
    classes: list[str] | None

    @classmethod
    def choose(
        cls,
        features: Mapping[str, Any],
        pictures: Sequence[str],
        options: Mapping[str, str],
        where: str,
    ) -> _Columns:
        """Choose them from all ``features`` by name, ``pictures`` being those that hold bytes."""
        image = choose("image", pictures, options.get("image"), where)
        others = [name for name in features if name != image]
        answer = choose_answer(others, options.get("answer"), where)
        question = [name for name in others if name in QUESTIONS and name != answer][:1]
        found = features[answer]
        names = found.get("names") if isinstance(found, dict) else getattr(found, "names", None)
        return cls(image, answer, question, names if isinstance(names, list) else None)

    @property
    def names(self) -> list[str]:
        return [self.image, self.answer, *self.question]

    def item(
        self, row: Mapping[str, Any], name: str, where: str, max_pixels: int, files: bool = False
    ) -> Item | Failure:
        """Read the item of a row, which may name its picture's file where ``files`` is true."""
        return read_item(
            name,
            where,
            partial(answer_text, row[self.answer], self.classes),
            partial(_bytes, row[self.image], files),
            lambda: next((row[each] for each in self.question), None),
            max_pixels,
        )


def _bytes(picture: Any, files: bool) -> bytes:
    """Return a picture file's bytes: those of a row, or of the file that it names."""
    data = picture.get("bytes") if isinstance(picture, dict) else picture
    path = picture.get("path") if isinstance(picture, dict) else None
    if isinstance(data, bytes):
        return data
    if not path or not files:
        raise ValueError("holds no bytes of a picture")
    with opened(str(path)) as stream:
        return stream.read()


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
        path = f"{self._root}{name}"
        with self._opened(name) as file:
            columns = self._columns(file.schema_arrow, name)
            rows = (
                row
                for rows in file.iter_batches(_ROWS, row_groups=[group], columns=columns.names)
                for row in rows.to_pylist()
            )
            yield from batches(
                columns.item(row, f"{name}:{number}", f"{path}:{number}", self.max_pixels)
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

    def _columns(self, schema: Any, name: str) -> _Columns:
        from pyarrow import types

        try:  # the hub's metadata of the columns
            told = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        except (TypeError, KeyError, ValueError):
            told = {}
        features = {
            field.name: told.get(field.name) if isinstance(told, dict) else None
            for field in schema
            if not field.name.startswith("__index_level_")  # of pandas
        }
        pictures = [
            each
            for each, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "Image"
        ]
        pictures = pictures or [
            field.name
            for field in schema
            if types.is_binary(field.type)
            or types.is_large_binary(field.type)
            or (types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
        ]
        return _Columns.choose(features, pictures, self._chosen, f"{self._root}{name}")


class HubSource:
    """A dataset of the Hugging Face hub, or a local directory in its layout, streamed."""

    max_pixels = MAX_PIXELS

    def __init__(self, location: str) -> None:
        self._name, self._options = take_options(location, "config", "answer", "image")
        if not self._name:
            raise DatasetError("names no dataset; give hub:OWNER/NAME or hub:DIR")
        self._fresh = False

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that the dataset has."""
        return in_order(map(str, self._dataset()))

    @property
    def licence(self) -> str:
        """Licence by its card."""
        if Path(self._name).is_dir():
            return licence_of(Path(self._name))
        return next((str(each.info.license or "") for each in self._dataset().values()), "")

    def parts(self, split: str) -> list[Part]:
        """List the shards that ``datasets`` streams; a local folder of pictures is one."""
        dataset = self._dataset()[split]
        self._columns(dataset)
        return [Part(split, (at, dataset.num_shards)) for at in range(dataset.num_shards)]

    def read(self, part: Part) -> Iterator[Batch | Failure]:
        """Read the rows of a shard; an id is split, shard and the number of the row in it."""
        from datasets import Image

        shard, count = map(int, part.location)
        name = f"{part.split}/{shard}"
        where = f"hub:{self._name} {name}"
        dataset = _load(self._name, self._options.get("config")).get(part.split)
        if dataset is None or dataset.num_shards != count:
            raise DatasetError(f"{where}: changed since it was listed; start again")
        columns = self._columns(dataset)
        if isinstance(dataset.features[columns.image], Image):
            dataset = dataset.cast_column(columns.image, Image(decode=False))
        dataset = dataset.select_columns(columns.names).shard(count, shard)
        with naming(where, "cannot be read", "try again"):
            yield from batches(
                columns.item(
                    row, f"{name}:{number}", f"{where}:{number}", self.max_pixels, files=True
                )
                for number, row in enumerate(dataset)
            )

    def _dataset(self) -> Any:
        if not self._fresh:
            _load.cache_clear()
            self._fresh = True
        return _load(self._name, self._options.get("config"))

    def _columns(self, dataset: Any) -> _Columns:
        features = dataset.features or {}
        pictures = [name for name, feature in features.items() if _holds_bytes(feature)]
        return _Columns.choose(features, pictures, self._options, f"hub:{self._name}")


@lru_cache(maxsize=2)
def _load(name: str, config: str | None) -> Any:
    """Open the splits of a dataset, once per process."""
    with need("data"):
        from datasets import load_dataset
    fix = "give a hub id or a directory in the hub's layout, and ?config=NAME where it has any"
    with naming(f"hub:{name}", "cannot be opened", fix):
        return load_dataset(name, config, streaming=True)


def _holds_bytes(feature: Any) -> bool:
    from datasets import Image, Value

    if isinstance(feature, dict):
        return "bytes" in feature
    binary = isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")
    return binary or isinstance(feature, Image)
