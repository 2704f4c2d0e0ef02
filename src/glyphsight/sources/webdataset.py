"""WebDataset shards: tar archives in which files of one basename are a sample."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError, GlyphsightError, PictureError, one_line
from glyphsight.media.picture import PICTURE_SUFFIXES
from glyphsight.sources.base import Failure, Part, Pictures, batches
from glyphsight.sources.items import ANSWERS, answer_text, decode, one_line_name
from glyphsight.sources.location import (
    find_by_split,
    in_order,
    licence_of,
    opened,
    take_options,
)

_TEXTS = (".cls", ".txt", ".json")


class _Member(tarfile.TarInfo):
    """Refuses an archive that is cut off or garbled; ``tarfile`` alone takes that for its end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the mark that ends every archive
                raise
            raise tarfile.ReadError(f"cut off or garbled: {error}") from error


class WebDatasetSource:
    """Tar shards, local or remote: a sample is a picture and its .cls, .txt or .json.

    Attributes:
        splits: As the names of the shards or of their folders say, else ``train``.
        licence: Of local shards: as a LICENSE file or dataset card beside them says.
    """

    def __init__(self, location: str) -> None:
        pattern, options = take_options(location, "answer")
        self._answer = options.get("answer")
        self._root, self._files = find_by_split(pattern)
        self.splits = in_order(self._files)

    @property
    def licence(self) -> str:
        """Looked for beside the shards."""
        return "" if "://" in self._root else licence_of(Path(self._root))

    def parts(self, split: str) -> list[Part]:
        """The shards."""
        return [Part(split, (name,)) for name in self._files[split]]

    def read(self, part: Part) -> Iterator[Pictures | Failure]:
        """Samples of a shard; an id is its name and the sample's."""
        name = str(part.location[0])
        path = f"{self._root}{name}"
        try:
            with (
                opened(path) as stream,
                tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Member) as archive,
            ):
                yield from batches(self._samples(archive, name))
        except GlyphsightError:
            raise
        except Exception as error:  # every kind of damage and remote place has errors of its own
            raise DatasetError(
                f"{path}: cannot be read as tar ({one_line(error)}); fetch it again"
            ) from error

    def _samples(
        self, archive: tarfile.TarFile, name: str
    ) -> Iterator[tuple[str, str, NDArray[np.uint8]] | Failure]:
        seen: set[str] = set()
        files = (member for member in archive if member.isfile() and _cut(member.name)[0])
        for key, members in groupby(files, lambda member: _cut(member.name)[0]):
            sample: dict[str, bytes] = {}
            for member in members:
                ending = _cut(member.name)[1]
                if _suffix(ending) in PICTURE_SUFFIXES or _suffix(ending) in _TEXTS:
                    content = archive.extractfile(member)
                    sample[ending] = content.read() if content else b""
            item = f"{name}:{one_line_name(key)}"
            where = f"{self._root}{item}"
            try:
                if key in seen:
                    raise ValueError("its files do not stand together")
                pictures = [each for each in sample if _suffix(each) in PICTURE_SUFFIXES]
                if len(pictures) != 1:
                    raise ValueError(f"holds {len(pictures)} pictures, a sample has one")
                yield item, self._text(sample), decode(sample[pictures[0]], where)
            except ValueError as error:
                yield Failure(item, f"{where}: {one_line(error)}; mend or remove the sample")
            except PictureError as error:
                yield Failure(item, str(error))
            seen.add(key)
        if not seen:
            raise DatasetError(f"{self._root}{name}: holds no samples; remove it")

    def _text(self, sample: dict[str, bytes]) -> str:
        """The answer of a sample.

        Raises:
            ValueError: It has none, or several that differ.
        """
        found: dict[str, str] = {}
        for ending, content in sample.items():
            if _suffix(ending) == ".json":
                values = json.loads(content)
                if not isinstance(values, dict):
                    raise ValueError(f"{ending} holds no object")
                keys = ANSWERS if self._answer is None else (self._answer,)
                found |= {key: answer_text(values[key]) for key in keys if key in values}
            elif _suffix(ending) in _TEXTS:
                found[ending] = answer_text(content.decode("utf-8-sig").strip())
        if self._answer is not None:
            found = {key: text for key, text in found.items() if key == self._answer}
        if not found:
            raise ValueError(f"has no answer {self._answer or '(.cls, .txt, or .json with label)'}")
        if len(set(found.values())) > 1:
            several = ", ".join(found)
            raise ValueError(
                f"{several} differ; choose the answer with ?answer={next(iter(found))}"
            )
        return next(iter(found.values()))


def _cut(name: str) -> tuple[str, str]:
    """A file's name up to the first dot of its last part, which names its sample, and the rest.

    The first is "" for hidden files.
    """
    folders, slash, base = name.removeprefix("./").rpartition("/")
    stem, _, ending = base.partition(".")
    return (f"{folders}{slash}{stem}" if stem else ""), ending.lower()


def _suffix(ending: str) -> str:
    return f".{ending.rpartition('.')[2]}"
