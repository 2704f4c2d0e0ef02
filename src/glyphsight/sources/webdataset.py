"""WebDataset shards: tar archives in which files of one basename are a sample."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import Any, Self

from glyphsight.errors import DatasetError
from glyphsight.media.picture import PICTURE_SUFFIXES
from glyphsight.sources.base import (
    ANSWERS,
    QUESTIONS,
    Batch,
    Failure,
    Item,
    Part,
    answer_text,
    batches,
    naming,
    one_line_name,
    read_item,
)
from glyphsight.sources.location import SplitFiles, opened

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


class WebDatasetSource(SplitFiles):
    """Tar shards, local or remote: a sample is a picture and its .cls, .txt or .json."""

    options = ("answer",)

    def parts(self, split: str) -> list[Part]:
        """List the shards."""
        return [Part(split, (name,)) for name in self._files[split]]

    def read(self, part: Part) -> Iterator[Batch | Failure]:
        """Read the samples of a shard; an id is its name and the sample's."""
        name = str(part.location[0])
        path = f"{self._root}{name}"
        with (
            naming(path, "cannot be read as tar", "fetch it again"),
            opened(path) as stream,
            tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Member) as archive,
        ):
            yield from batches(self._samples(archive, name))

    def _samples(self, archive: tarfile.TarFile, name: str) -> Iterator[Item | Failure]:
        seen: set[str] = set()
        files = (
            member for member in archive if member.isfile() and _key_and_ending(member.name)[0]
        )
        for key, members in groupby(files, lambda member: _key_and_ending(member.name)[0]):
            sample: dict[str, bytes] = {}
            for member in members:
                ending = _key_and_ending(member.name)[1]
                if _suffix(ending) in PICTURE_SUFFIXES or _suffix(ending) in _TEXTS:
                    content = archive.extractfile(member)
                    sample[ending] = content.read() if content else b""
            item = f"{name}:{one_line_name(key)}"
            yield read_item(
                item,
                f"{self._root}{item}",
                partial(self._text, sample),
                partial(_picture, sample, key in seen),
                partial(_question, sample),
                self.max_pixels,
            )
            seen.add(key)
        if not seen:
            raise DatasetError(f"{self._root}{name}: holds no samples; remove it")

    def _text(self, sample: dict[str, bytes]) -> str:
        """Return the answer of a sample.

        Raises:
            ValueError: It has none, or several that differ.
        """
        chosen = self._chosen.get("answer")
        found: dict[str, str] = {}
        for ending, content in sample.items():
            if _suffix(ending) == ".json":
                values = json.loads(content)
                if not isinstance(values, dict):
                    raise ValueError(f"{ending} holds no object")
                keys = ANSWERS if chosen is None else (chosen,)
                found |= {key: answer_text(values[key]) for key in keys if key in values}
            elif _suffix(ending) in _TEXTS:
                found[ending] = answer_text(content.decode("utf-8-sig").strip())
        if chosen is not None:
            found = {key: text for key, text in found.items() if key == chosen}
        if not found:
            raise ValueError(f"has no answer {chosen or '(.cls, .txt, or .json with label)'}")
        if len(set(found.values())) > 1:
            several = ", ".join(found)
            raise ValueError(
                f"{several} differ; choose the answer with ?answer={next(iter(found))}"
            )
        return next(iter(found.values()))


def _question(sample: dict[str, bytes]) -> Any:
    """Return the question in the JSON file of a sample, which holds an object."""
    values = (json.loads(data) for ending, data in sample.items() if _suffix(ending) == ".json")
    return next((each[key] for each in values for key in QUESTIONS if key in each), None)


def _picture(sample: dict[str, bytes], again: bool) -> bytes:
    """Return the picture file of a sample; ``again`` where the archive had the sample before."""
    if again:
        raise ValueError("its files do not stand together")
    pictures = [each for each in sample if _suffix(each) in PICTURE_SUFFIXES]
    if len(pictures) != 1:
        raise ValueError(f"holds {len(pictures)} pictures, a sample has one")
    return sample[pictures[0]]


def _key_and_ending(name: str) -> tuple[str, str]:
    """Split a file's name at the first dot of its last part: the sample's name, and the ending.

    The first is "" for hidden files.
    """
    folders, slash, base = name.removeprefix("./").rpartition("/")
    stem, _, ending = base.partition(".")
    return (f"{folders}{slash}{stem}" if stem else ""), ending.lower()


def _suffix(ending: str) -> str:
    return f".{ending.rpartition('.')[2]}"
