"""Local directories of files: class folders, a metadata file, or names that hold the answer."""

from __future__ import annotations

import csv
import json
import posixpath
import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError, PictureError
from glyphsight.files import hash64, normal, walk
from glyphsight.media import load_gray, medium_of
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.media.sound import load_sound
from glyphsight.sources.base import (
    PART,
    QUESTIONS,
    Batch,
    Failure,
    Item,
    Part,
    answer_text,
    batches,
    choose_answer,
    one_line_name,
    question_text,
)
from glyphsight.sources.location import directory, folder_splits, in_order, licence_of, take_options

# Of a recording: digit, speaker, index.
_NAME = re.compile(r"(?:.*/)?(\d)_([^_/]+)_(\d+)\.(?:wav|flac)")
_METADATA = ("metadata.csv", "metadata.jsonl")
_TEST = 5  # recordings per digit and speaker that the dataset's authors hold out


class ListedFile(NamedTuple):
    """A file of the directory, its answer and its question."""

    name: str  # path relative to the directory, / between folders
    answer: str = ""
    problem: str = ""  # reason why it is not to be read
    question: str = ""


Listing = dict[str, list[ListedFile]]


class ListedSource(ABC):
    """A local directory of files, listed once a process; a subclass says what they mean."""

    give = ""
    options: tuple[str, ...] = ()
    sounds = False  # True where the files are sounds, else pictures
    # Function that changes the samples of each sound before its spectrogram is made
    change: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    max_pixels = MAX_PIXELS

    def __init__(self, location: str) -> None:
        self._location = location
        path, self._chosen = take_options(location, *self.options)
        self._directory = directory(path, self.give)
        self._listed = False

    @abstractmethod
    def listing(self) -> Listing:
        """List every file by split, in a fixed order."""

    def takes(self, name: str) -> bool:
        """Check that a file is of a medium that the source reads: sounds, or any other."""
        medium = medium_of(name)
        return medium is not None and (medium.name == "sound") is self.sounds

    @property
    def licence(self) -> str:
        """Licence by its LICENSE file or dataset card."""
        return licence_of(self._directory)

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that the directory has."""
        return in_order(self._files(again=not self._listed))

    def parts(self, split: str) -> list[Part]:
        """Split the listing into ranges, each with a digest of its names and answers."""
        items = self._files(again=not self._listed)[split]
        starts = range(0, len(items), PART)
        pieces = [items[start : start + PART] for start in starts]
        return [
            Part(split, (start, start + len(piece), _digest(piece)))
            for start, piece in zip(starts, pieces, strict=True)
        ]

    def read(self, part: Part) -> Iterator[Batch | Failure]:
        """Read the files of a range; ids are their names."""
        start, stop, digest = part.location
        for again in (False, True):
            items = self._files(again=again).get(part.split, [])[int(start) : int(stop)]
            if _digest(items) == digest:
                break
        else:
            raise DatasetError(f"{self._directory}: changed since it was listed; start again")
        yield from batches(map(self._read_one, items))

    def _read_one(self, item: ListedFile) -> Item | Failure:
        name, path = one_line_name(item.name), self._directory / item.name
        problem = item.problem
        try:
            if not problem:
                pixels = (
                    load_sound(path, self.change)
                    if self.sounds and self.change
                    else load_gray(path, max_pixels=self.max_pixels)
                )
                return name, answer_text(item.answer), pixels, item.question
        except ValueError as error:
            problem = f"{path}: {error}; rename its folder"
        except PictureError as error:
            problem = str(error)
        return Failure(name, one_line_name(problem))

    def _flawed(self, name: str, problem: str) -> ListedFile:
        """Return a file that is not to be read, with the reason."""
        return ListedFile(name, problem=f"{self._directory / name}: {problem}")

    def _files(self, again: bool) -> Listing:
        if again:
            _listing.cache_clear()
            self._listed = True
        return _listing(type(self), self._location)


@lru_cache(maxsize=1)
def _listing(kind: type[ListedSource], location: str) -> Listing:
    """List a directory, once per process."""
    return kind(location).listing()


def _digest(items: list[ListedFile]) -> str:
    told = "\0".join(part for item in items for part in item)
    return f"{hash64(told):016x}"


def _read_metadata(folder: Path, prefix: str, chosen: str | None) -> dict[str, ListedFile] | None:
    """Read the metadata file of a folder, whose names begin with ``prefix``; None without one."""
    there = [path for name in _METADATA if (path := folder / name).is_file()]
    if not there:
        return None
    if len(there) > 1:
        raise DatasetError(f"{there[0]}: stands beside {there[1].name}; remove one of the two")
    path = there[0]
    found: dict[str, ListedFile] = {}
    column: str | None = None
    try:
        for line, given in _csv_rows(path) if path.suffix == ".csv" else _json_rows(path):
            where = f"{path}: line {line}"
            row = {normal(key): value for key, value in given.items()}
            file_name = row.get("file_name")
            if not isinstance(file_name, str) or not file_name:
                raise DatasetError(f"{where}: has no file_name; add it")
            if column is None:
                others = [name for name in row if name != "file_name"]
                column = choose_answer(others, chosen, str(path))
            name = posixpath.normpath(f"{prefix}{file_name}")
            asked = next((row[each] for each in QUESTIONS if each in row and each != column), None)
            where += f": {file_name}"
            try:
                item = ListedFile(name, answer_text(row.get(column)), "", question_text(asked))
            except ValueError as error:
                item = ListedFile(name, problem=f"{where}: {error}; fix {column!r}")
            if name in found:
                problem = f"{where} is named again; give each picture one line"
                item = ListedFile(name, problem=problem)
            found[name] = item
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror}); change its permissions"
        ) from error
    return found


def _spelled(rows: dict[str, ListedFile], files: set[str]) -> dict[str, ListedFile]:
    """Give each row the name that its file has on disk: names are compared in normal form."""
    real = {_plain(name): name for name in files - rows.keys()}
    found = {}
    for name, item in rows.items():
        if name not in files:
            name = real.pop(_plain(name), name)
        found[name] = item._replace(name=name)
    return found


def _plain(name: str) -> str:
    return normal(posixpath.normpath(name.replace("\\", "/")))


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        head = stream.readline()
        names = {
            mark: [normal(name).strip('" \r\n') for name in head.split(mark)] for mark in ",;\t"
        }
        # Where a comma stands in decimals, spreadsheets write semicolons.
        between = next((mark for mark in names if "file_name" in names[mark]), ",")
        stream.seek(0)
        reader = csv.DictReader(stream, delimiter=between, strict=True, skipinitialspace=True)
        try:
            if "file_name" not in map(normal, reader.fieldnames or ()):
                raise DatasetError(f"{path}: has no column file_name; name each file in one")
            for row in reader:
                if None in row or None in row.values():
                    count = len(reader.fieldnames or ())
                    raise DatasetError(
                        f"{path}: line {reader.line_num}: not {count} fields; quote those that "
                        f"hold {between!r}"
                    )
                yield reader.line_num, row
        except csv.Error as error:
            raise DatasetError(f"{path}: line {reader.reader.line_num}: {error}; fix it") from None


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as stream:
        for line, text in enumerate(stream, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise DatasetError(f"{path}: line {line}: not JSON ({error}); fix it") from None
            if not isinstance(row, dict):
                raise DatasetError(f"{path}: line {line}: not a JSON object; fix it")
            yield line, row


class FolderSource(ListedSource):
    """Pictures in folders named by the answer, or with a metadata.csv or metadata.jsonl.

    With split folders (``train``, ``validation`` or ``val``, ``test``) around them or without;
    without, all is ``train``, but for the files that ``?test=GLOB`` names: a fold, a speaker. Names
    and answers are found as the hub's imagefolder has them.
    """

    give = "folder:DIR with DIR/ANSWER/x.png or DIR/metadata.csv"
    options = ("answer", "test")
    things = "pictures"

    def listing(self) -> Listing:
        """List every file by split, those that cannot be an item with the reason."""
        names = walk(self._directory)
        prefixes = self._split_folders()
        said = self._metadata(prefixes, set(names))
        found: Listing = defaultdict(list)
        strange: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in names:
            prefix = self._prefix(name, prefixes)
            split = prefixes.get(prefix, "train")
            folders = name[len(prefix) :].rpartition("/")[0]
            rows = said.get(prefix, said.get(""))
            if rows is not None and name in rows:
                found[split].append(rows.pop(name))
            elif not self.takes(name):
                if folders and (prefix or not prefixes):
                    strange[split, PurePosixPath(name).suffix.lower()].append(name)
            elif rows is not None:
                problem = "is not named in the metadata; add a line for it or remove it"
                found[split].append(self._flawed(name, problem))
            elif not folders:
                problem = (
                    "is in no folder that says its answer; move it to "
                    f"{self._directory / 'ANSWER'}/, or write a metadata.csv"
                )
                found[split].append(self._flawed(name, problem))
            elif prefixes and not prefix:
                raise DatasetError(
                    f"{self._directory / name}: beside the split folders "
                    f"{', '.join(prefixes)}; move it into one of them"
                )
            else:
                found[split].append(ListedFile(name, folders.rpartition("/")[2]))
        for rows in said.values():
            for name, item in rows.items():
                split = prefixes.get(self._prefix(name, prefixes), "train")
                missing = "is named in the metadata and not there; fix its file_name"
                found[split].append(item if item.problem else self._flawed(name, missing))
        if not found:
            raise DatasetError(f"{self._directory}: holds no {self.things}; give {self.give}")
        for prefix, split in prefixes.items():
            if split not in found:
                raise DatasetError(
                    f"{self._directory / prefix}: holds no {self.things}; fill it or remove it"
                )
        for (split, suffix), some in strange.items():
            problem = (
                f"not among the {self.things} that are read ({len(some)} such "
                f"file{'s' * (len(some) > 1)} in {split}); convert or remove"
            )
            flawed = self._flawed(some[0], problem)
            found[split].append(flawed._replace(name=f"{split}:*{suffix}"))
        if "test" in self._chosen:
            self._hold_out(self._chosen["test"], found)
        return {split: sorted(items) for split, items in found.items()}

    def _hold_out(self, pattern: str, found: Listing) -> None:
        """Move the files whose names, or ends of paths, a glob matches from ``train`` to ``test``.

        Raises:
            DatasetError: The directory has splits of its own, or the glob matches none or all.
        """
        if set(found) != {"train"}:
            splits = ", ".join(in_order(found))
            raise DatasetError(f"{self._directory}: has the splits {splits}; leave ?test= out")
        for item in found.pop("train"):
            held_out = bool(pattern) and PurePosixPath(item.name).match(pattern)
            found["test" if held_out else "train"].append(item)
        if len(found) == 1:
            many = "every file" if "test" in found else "no file"
            raise DatasetError(
                f"{self._directory}: ?test={pattern} matches {many}; give a glob of some names, "
                "such as 'fold1-*'"
            )

    def _split_folders(self) -> dict[str, str]:
        """Return the split of each split folder, named with its ``/``."""
        folders = sorted(path.name for path in self._directory.iterdir() if path.is_dir())
        found: dict[str, str] = {}
        for name, split in folder_splits(folders).items():
            if split in found.values():
                path = self._directory / name
                raise DatasetError(f"{path}: a second folder for split {split}; join the two")
            found[f"{name}/"] = split
        return found

    def _metadata(
        self, prefixes: dict[str, str], files: set[str]
    ) -> dict[str, dict[str, ListedFile]]:
        """Read the metadata files, by the folder that each is in; names become those of files."""
        chosen = self._chosen.get("answer")
        said = {
            prefix: _spelled(rows, files)
            for prefix in ("", *prefixes)
            if (rows := _read_metadata(self._directory / prefix, prefix, chosen)) is not None
        }
        if "" in said and len(said) > 1:
            prefix = next(prefix for prefix in said if prefix)
            raise DatasetError(
                f"{self._directory}: metadata both here and in {prefix}; remove one of the two"
            )
        if not said and chosen is not None:
            raise DatasetError(f"{self._directory}: ?answer={chosen} needs a metadata.csv")
        return said

    @staticmethod
    def _prefix(name: str, prefixes: dict[str, str]) -> str:
        top, slash, _ = name.partition("/")
        return top + slash if top + slash in prefixes else ""


class AudioFolderSource(FolderSource):
    """Sounds in folders named by the answer, or with metadata; the picture is a spectrogram."""

    give = "audiofolder:DIR with DIR/ANSWER/x.wav or DIR/metadata.csv"
    things = "sounds"
    sounds = True


class FsddSource(ListedSource):
    """The Free Spoken Digit Dataset's recordings, as spectrograms, with its official split.

    With ``?speaker=NAME`` one speaker is held out: ``test`` is what that speaker says and ``train``
    what the others say, both without the recordings of the official test.
    """

    sounds = True
    give = "fsdd:DIR with the dataset's recordings/"
    options = ("speaker",)
    licence = "Free Spoken Digit Dataset by Zohar Jackson and others, CC BY-SA 4.0"

    def listing(self) -> Listing:
        """List recordings: 0 to 4 of each digit and speaker are ``test``, others ``train``."""
        found: Listing = defaultdict(list)
        speakers = set()
        held_out = self._chosen.get("speaker")
        for name in walk(self._directory):
            if match := _NAME.fullmatch(name):
                split = "test" if int(match[3]) < _TEST else "train"
                speakers.add(match[2])
                if held_out is not None:
                    if split == "test":
                        continue
                    split = "test" if match[2] == held_out else "train"
                found[split].append(ListedFile(name, match[1]))
            elif self.takes(name):
                problem = "not named digit_speaker_index.wav or .flac; rename it or remove it"
                found["train"].append(self._flawed(name, problem))
        if not found:
            raise DatasetError(f"{self._directory}: holds no recordings; give {self.give}")
        if held_out is not None and held_out not in speakers:
            names = ", ".join(sorted(speakers))
            raise DatasetError(f"{self._directory}: no speaker {held_out!r}; give one of {names}")
        return found
