"""Dataset files and directories of any layout, read; the published file, written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from glyphsight.codec import Profile
from glyphsight.dataset.filesystem import STATE
from glyphsight.dataset.layouts import get_output, output_of_suffix
from glyphsight.dataset.prompt import Prompt, by_fixed_text, wordings_from_json
from glyphsight.dataset.record import (
    KEYS,
    Record,
    json_type,
    parse_json,
    read_text,
    record_from_json,
    strings,
)
from glyphsight.errors import DatasetError, FormatError
from glyphsight.files import replacing

SPLITS = ("train", "validation", "test")
MANIFEST = "manifest.json"
_FILE = re.compile(r"(.+?)(?:-(\d{5})-of-(\d{5}))?")
_ROW = re.compile(r"<row:1>(.*)</row:1>\n")


def write_records(records: Iterable[Record], path: Path) -> int:
    """Write records atomically as the published JSON array, in plain UTF-8; return their number."""
    output = get_output("json")
    with replacing(path, "wb") as stream:
        stream.write(output.head)
        count = output.write(records, stream, [Prompt()])
        stream.write(output.tail)
    return count


def sources_file(file: Path) -> Path:
    """Return the file that holds the sources of the records of a dataset file, one per line."""
    return file.with_suffix(".sources.txt")


def write_sources(records: Iterable[Record], stream: IO[bytes]) -> None:
    r"""Write the source of each record as a line; a backslash, ``\n`` and ``\r`` are escaped."""
    for record in records:
        line = record.source.replace("\\", r"\\").replace("\n", r"\n").replace("\r", r"\r")
        stream.write(line.encode("utf-8", "surrogateescape") + b"\n")


def read_sources(file: Path) -> Iterator[str]:
    """Yield the source of each record of a dataset file; nothing without a file of sources."""
    names = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}
    try:
        with sources_file(file).open("rb") as lines:
            for line in lines:
                text = line.removesuffix(b"\n").decode("utf-8", "surrogateescape")
                yield re.sub(r"\\[\\nr]", lambda found: names[found[0]], text)
    except FileNotFoundError:
        return


def split_files(path: Path, split: str | None = None) -> dict[str, list[Path]]:
    """List the files of each split of a dataset directory, or of one; ``{"": [path]}`` of a file.

    Raises:
        DatasetError: There is no dataset, a half-built one, no such split in it, or a split in more
            than one layout.
    """
    if path.is_file():
        return {"": [path]}
    if not path.is_dir():
        what = "neither a file nor a directory" if path.exists() else "no such file or directory"
        raise DatasetError(f"{path}: {what}; give a dataset's directory or file")
    if (path / STATE / "plan.json").exists() and not (path / MANIFEST).exists():
        raise DatasetError(
            f"{path}: an unfinished build; give the same dataset build command again"
        )
    data, sets = path / "data", dict[tuple[str, str, int], dict[int, Path]]()
    for file in [*path.iterdir(), *(data.iterdir() if data.is_dir() else ())]:
        match = _FILE.fullmatch(file.stem)
        parts = match.groups(default="0") if match else ("", "0", "0")
        name, number, count = str(parts[0]), int(parts[1]), int(parts[2])
        where = data if count and data.is_dir() else path
        ours = file.parent == where and (count or name in (*SPLITS, split))
        if ours and output_of_suffix(file.suffix):
            sets.setdefault((name, file.suffix, count), {})[number] = file
    found: dict[str, list[Path]] = {}
    for (name, suffix, count), numbered in sorted(sets.items()):
        files = [numbered[number] for number in sorted(numbered)]
        if name in found:
            raise DatasetError(f"{path}: holds {found[name][0]} and {files[0]}; keep one layout")
        for number in range(count):
            if number not in numbered:
                missing = data if data.is_dir() else path
                missing /= f"{name}-{number:05}-of-{count:05}{suffix}"
                raise DatasetError(f"{missing}: no such file; get it, or build the dataset again")
        found[name] = files
    names = [*(name for name in SPLITS if name in found), *sorted(set(found) - set(SPLITS))]
    chosen = names if split is None else [name for name in names if name == split]
    if chosen:
        return {name: found[name] for name in chosen}
    if names and split is not None:
        raise no_split(str(path), split, names)
    raise DatasetError(f"{path}: has no dataset in it; make it with glyphsight dataset build")


def no_split(where: str, split: str, names: Sequence[str]) -> DatasetError:
    """Return the error for a split that is not among the ``names`` of those there are."""
    one = "validation" if "validation" in names else names[0]
    make = "; glyphsight dataset build --test N holds a test split out" if split == "test" else ""
    return DatasetError(
        f"{where}: has no split {split!r}; it has {', '.join(names)}; name one, such as "
        f"--split {one}{make}"
    )


def read_values(file: Path) -> Iterator[Any]:
    """Yield each record of a dataset file as JSON values, in the layout of the file."""
    output = output_of_suffix(file.suffix) or get_output("json")
    yield from output.read(file)


class DatasetInfo(NamedTuple):
    """Facts about all records of a dataset, as its manifest states them."""

    wordings: tuple[Prompt, ...] = (Prompt(),)  # words around the pictures
    size: str = ""  # width of the pictures in columns; "" where that is not known
    # Number in its split, from 0, of the first record of each file, by the file's name; None where
    # the wordings are not known to take turns.
    firsts: dict[str, int] | None = None

    def wordings_of(self, file: Path, number: int) -> tuple[Prompt, ...]:
        """Return the wordings in the order in which to try them on a record."""
        likely = by_fixed_text(self.wordings)
        if self.firsts is None:
            return likely
        index = self.firsts.get(file.name, 0) + number - 1
        return self.wordings[index % len(self.wordings)], *likely


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of a dataset directory or of one of its files; empty without one."""
    directory = path if path.is_dir() else path.parent
    if directory.name == "data" and not (directory / MANIFEST).is_file():  # where shards stand
        directory = directory.parent
    file = directory / MANIFEST
    if not file.is_file():
        return {}
    value = parse_json(read_text(file), file)
    if not isinstance(value, dict):
        raise DatasetError(
            f"{file}: holds {json_type(value)}, a manifest is an object; build the dataset again"
        )
    return value


def profile_of(path: Path) -> Profile | None:
    """Read the profile in the manifest of a dataset directory or file; None where it has none."""
    if "profile" not in (manifest := read_manifest(path)):
        return None
    try:
        return Profile(**manifest["profile"])
    except (TypeError, FormatError) as error:
        raise DatasetError(
            f"{path}: profile in its manifest: damaged ({error}); build the dataset again"
        ) from error


def read_info(path: Path) -> DatasetInfo:
    """Read wordings and width of a dataset directory or file from its manifest."""
    manifest, info = read_manifest(path), DatasetInfo()
    if isinstance(profile := manifest.get("profile"), dict) and "width" in profile:
        info = info._replace(size=str(profile["width"]))
    if "wordings" not in manifest:
        return info
    wordings = wordings_from_json(manifest["wordings"], f"{path}: wordings in its manifest")
    if "glyphsight" not in manifest:
        return info._replace(wordings=wordings)
    firsts: dict[str, int] = {}
    try:
        for entries in manifest.get("files", {}).values():
            number = 0
            for entry in entries:
                firsts[PurePosixPath(entry["name"]).name] = number
                number += int(entry["records"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DatasetError(
            f"{path}: files in its manifest: damaged; build the dataset again"
        ) from None
    return info._replace(wordings=wordings, firsts=firsts)


def to_record(
    value: Any, where: str, wordings: Sequence[Prompt] = (Prompt(),), size: str = ""
) -> Record:
    """Make the record of a value of any layout; further keys but ``source`` are ignored.

    The first of the ``wordings`` that fits is meant. ``where`` names the record in errors; ``size``
    is the width of a picture that does not tell it.
    """
    if not isinstance(value, dict) or any(key in value for key in KEYS):
        record = record_from_json(value, where)
    elif "prompt" in value and "completion" in value:
        asked, said = (strings(value[key], key, where)[0] for key in ("prompt", "completion"))
        record = _parsed(asked, said, where, wordings, size)
    elif "messages" in value:
        record = _parsed(*_turns(value["messages"], where), where, wordings, size, chat=True)
    else:
        keys = ", ".join(map(str, value)) or "none"
        raise DatasetError(
            f"{where}: has the keys {keys}; give it {', '.join(KEYS)}, "
            "or prompt and completion, or messages"
        )
    source = value.get("source")
    return replace(record, source=source) if isinstance(source, str) and source else record


def _turns(messages: Any, where: str) -> tuple[str, str]:
    """Return the words of user and assistant in a chat of one turn each, the system's left out."""
    if not isinstance(messages, list):
        raise DatasetError(
            f"{where}: 'messages' is {json_type(messages)}, must be an array; make it one"
        )
    said: list[tuple[str, str]] = []
    for number, message in enumerate(messages, start=1):
        turn = message if isinstance(message, dict) else {}
        role, content = turn.get("role"), turn.get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            raise DatasetError(
                f"{where}: message {number} must have role and content, as strings; add them"
            )
        if number > 1 or role != "system":
            said.append((role, content))
    if [role for role, _ in said] != ["user", "assistant"]:
        roles = ", ".join(role for role, _ in said) or "nobody"
        raise DatasetError(
            f"{where}: the messages are of {roles}; give one of user, then one of assistant"
        )
    return said[0][1], said[1][1]


def _parsed(
    asked: str, said: str, where: str, wordings: Sequence[Prompt], size: str, chat: bool = False
) -> Record:
    """Make a record of the picture and answer that the first wording finds in the words."""
    found = (wording.parse(asked, said, chat=chat) for wording in wordings)
    pair = next(filter(None, found), None)
    if pair is None:
        known = json.dumps([vars(wording) for wording in wordings[:1]], ensure_ascii=False)
        raise DatasetError(
            f"{where}: its words are none of the known wordings; name them in {MANIFEST} beside "
            f'it: {{"wordings": {known}}}, with the words of this dataset'
        )
    picture, answer = pair
    if row := _ROW.match(picture):
        size = str(len(row[1]))
    if not size:
        raise DatasetError(
            f"{where}: its picture has no <row:1>...</row:1>, so its width is not known; name it "
            f'in {MANIFEST} beside it: {{"profile": {{"width": 20}}}}, or name the wording it '
            "stands in"
        )
    return Record((picture,), answer, size=size)


def read_records(file: Path, info: DatasetInfo | None = None) -> Iterator[Record]:
    """Yield the records of a dataset file, in memory that does not grow where its layout allows."""
    info = read_info(file) if info is None else info
    for number, value in enumerate(read_values(file), start=1):
        wordings = info.wordings_of(file, number)
        yield to_record(value, f"{file}: record {number}", wordings, info.size)


def load_dataset(path: str | os.PathLike[str], split: str | None = None) -> list[Record]:
    """Read a dataset file, or one split of a dataset directory (default ``train``), of any layout.

    Raises:
        DatasetError: Names the file and record at fault; or a split of a file, which has none.
    """
    path = Path(path)
    if split is not None and path.is_file():
        raise DatasetError(f"{path}: a file has no splits; give its directory for {split!r}")
    [files] = split_files(path, (split or "train") if path.is_dir() else None).values()
    info = read_info(path)
    records: list[Record] = []
    for file in files:
        read, sources = list(read_records(file, info)), list(read_sources(file))
        if len(sources) == len(read):
            pairs = zip(read, sources, strict=True)
            read = [replace(record, source=source) for record, source in pairs]
        records += read
    return records
