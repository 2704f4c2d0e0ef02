"""Datasets of the Hugging Face hub, or of a local directory in one of its layouts, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
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
from glyphsight.sources.location import in_order, licence_of, opened, take_options


class HubSource:
    """A dataset of the Hugging Face hub, or a local directory in its layout, streamed.

    Attributes:
        licence: As the dataset states it.
    """

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
        where = f"hub:{self._name} {part.split}/{shard}"
        dataset = _load(self._name, self._options.get("config")).get(part.split)
        if dataset is None or dataset.num_shards != count:
            raise DatasetError(f"{where}: changed since it was listed; start again")
        image, answer, classes = self._columns(dataset)
        if isinstance(dataset.features[image], Image):
            dataset = dataset.cast_column(image, Image(decode=False))
        dataset = dataset.select_columns([image, answer]).shard(count, shard)
        with naming(where, "cannot be read", "try again"):
            yield from batches(
                read_item(
                    f"{part.split}/{shard}:{number}",
                    f"{where}:{number}",
                    partial(answer_text, row[answer], classes),
                    partial(_bytes, row[image]),
                )
                for number, row in enumerate(dataset)
            )

    def _dataset(self) -> Any:
        if not self._fresh:
            _load.cache_clear()
            self._fresh = True
        return _load(self._name, self._options.get("config"))

    def _columns(self, dataset: Any) -> tuple[str, str, list[str] | None]:
        """Return the image column, the answer column, and the names of its classes."""
        from datasets import ClassLabel

        where = f"hub:{self._name}"
        features = dataset.features or {}
        pictures = [name for name, feature in features.items() if _holds_bytes(feature)]
        image, answer = choose_columns(pictures, list(features), self._options, where)
        classes = features[answer]
        return image, answer, classes.names if isinstance(classes, ClassLabel) else None


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


def _bytes(value: Any) -> bytes:
    """Return a picture file's bytes: those of a row, or of the file that it names.

    Raises:
        ValueError: It has neither.
    """
    data = value.get("bytes") if isinstance(value, dict) else value
    path = value.get("path") if isinstance(value, dict) else None
    if isinstance(data, bytes):
        return data
    if not path:
        raise ValueError("holds no picture")
    with opened(str(path)) as stream:
        return stream.read()
