"""Dataset files and directories of any layout, read; the published file, written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from glyphsight.dataset.filesystem import STATE
from glyphsight.dataset.layouts import get_output, output_of_suffix
from glyphsight.dataset.prompt import Prompt, by_fixed_text, wordings_from_json
from glyphsight.dataset.record import KEYS, Record, json_type, record_from_json
from glyphsight.dataset.text import parse_json, read_text
from glyphsight.errors import DatasetError
from glyphsight.files import replacing

SPLITS = ("train", "validation", "test")
MANIFEST = "manifest.json"
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})")
_ROW = re.compile(r"<row:1>(.*)</row:1>\n")


def write_records(records: Iterable[Record], path: Path) -> int:
    """Write records as the published JSON array, UTF-8, glyphs not escaped, atomically.

    Returns:
        How many were written.
    """
    output = get_output("json")
    with replacing(path, "wb") as stream:
        stream.write(output.head)
        count = output.write(records, stream, [Prompt()])
        stream.write(output.tail)
    return count


def sources_file(file: Path) -> Path:
    """Where the sources of the records of a dataset file stand, a line a record."""
    return file.with_suffix(".sources.txt")


def write_sources(records: Iterable[Record], stream: IO[bytes]) -> None:
    r"""Write the source of each record as a line; a backslash, ``\n`` and ``\r`` are escaped."""
    for record in records:
        line = record.source.replace("\\", r"\\").replace("\n", r"\n").replace("\r", r"\r")
        stream.write(line.encode("utf-8", "surrogateescape") + b"\n")


def read_sources(file: Path) -> Iterator[str]:
    """The source of each record of a dataset file; none where no file beside it tells them."""
    names = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}
    try:
        with sources_file(file).open("rb") as lines:
            for line in lines:
                text = line.removesuffix(b"\n").decode("utf-8", "surrogateescape")
                yield re.sub(r"\\[\\nr]", lambda found: names[found[0]], text)
    except FileNotFoundError:
        return


def _single(path: Path, split: str) -> list[Path]:
    """The one file of a split, of each layout it is there in."""
    own = [file for suffix in (".json", ".jsonl") if (file := path / f"{split}{suffix}").is_file()]
    if own:
        return own
    files = sorted(file for file in path.iterdir() if file.name == split + file.suffix)
    return [file for file in files if output_of_suffix(file.suffix)]


def _shards(path: Path) -> dict[str, list[Path]]:
    """The shards of each split in a directory, in order.

    Raises:
        DatasetError: One is missing, or there are two sets.
    """
    found: dict[tuple[str, str, int], dict[int, Path]] = {}
    for file in sorted(path.iterdir()):
        if (match := _SHARD.fullmatch(file.stem)) and output_of_suffix(file.suffix):
            split, number, count = match[1], int(match[2]), int(match[3])
            found.setdefault((split, file.suffix, count), {})[number] = file
    splits: dict[str, list[Path]] = {}
    for (split, suffix, count), numbered in found.items():
        if split in splits:
            raise DatasetError(f"{path}: holds two sets of split {split}; keep one")
        for number in range(count):
            if number not in numbered:
                missing = f"{split}-{number:05}-of-{count:05}{suffix}"
                raise DatasetError(f"{path / missing}: no such file; get it, or build anew")
        splits[split] = [numbered[number] for number in sorted(numbered)]
    return splits


def split_files(path: Path, split: str | None = None) -> dict[str, list[Path]]:
    """The files of each split of a dataset directory, or of one; ``{"": [path]}`` for a file.

    Raises:
        DatasetError: There is no dataset, a half-built one, no such split in it, or a split in more
            than one layout.
    """
    if path.is_file():
        return {"": [path]}
    if not path.exists():
        raise DatasetError(f"{path}: no such file or directory")
    if not path.is_dir():
        raise DatasetError(f"{path}: neither a file nor a directory")
    if (path / STATE).exists() and not (path / MANIFEST).exists():
        raise DatasetError(
            f"{path}: an unfinished build; give the same dataset build command again"
        )
    found = _shards(path / "data") if (path / "data").is_dir() else _shards(path)
    for name in dict.fromkeys((*SPLITS, *([split] if split else []))):
        files = _single(path, name)
        if len(files) + (name in found) > 1:
            names = [str(file) for file in (*files, *found.get(name, [])[:1])]
            raise DatasetError(f"{path}: holds {' and '.join(names)}; keep one layout")
        if files:
            found[name] = files
    names = [*(name for name in SPLITS if name in found), *sorted(set(found) - set(SPLITS))]
    if split is None and names:
        return {name: found[name] for name in names}
    if split is not None and split in found:
        return {split: found[split]}
    raise DatasetError(
        f"{path}: has no {f'split {split!r}' if split else 'dataset in it'}; "
        + (f"it has {', '.join(names)}" if names else "make it with glyphsight dataset build")
    )


def read_values(file: Path) -> Iterator[Any]:
    """Each record of a dataset file as JSON values, in the layout of the file.

    Raises:
        DatasetError: Names the file, the place in it and what is wrong.
    """
    output = output_of_suffix(file.suffix) or get_output("json")
    yield from output.read(file)


class Frame(NamedTuple):
    """What is around the records of a dataset, as its manifest tells.

    Attributes:
        wordings: Words around the pictures.
        size: Width of the pictures in columns, as a string; "" where that is not known.
        firsts: Number in its split, from 0, of the first record of each file that has others before
            it, by the file's name; None where the wordings are not known to take turns.
    """

    wordings: tuple[Prompt, ...] = (Prompt(),)
    size: str = ""
    firsts: dict[str, int] | None = None

    def wordings_of(self, file: Path, number: int) -> tuple[Prompt, ...]:
        """The wordings as they are to be tried on a record.

        Args:
            file: The file it is in.
            number: Its number there, from 1.
        """
        likely = by_fixed_text(self.wordings)
        if self.firsts is None:
            return likely
        place = self.firsts.get(file.name, 0) + number - 1
        return self.wordings[place % len(self.wordings)], *likely


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a dataset directory or of one of its files; empty where there is none.

    Raises:
        DatasetError: It is damaged.
    """
    for place in (path, path.parent, path.parent.parent)[0 if path.is_dir() else 1 :]:
        file = place / MANIFEST
        if file.is_file():
            value = parse_json(read_text(file), file)
            if not isinstance(value, dict):
                raise DatasetError(f"{file}: holds {json_type(value)}, a manifest is an object")
            return value
        if place.name != "data":
            break
    return {}


def read_frame(path: Path) -> Frame:
    """What the manifest of a dataset directory or file says of its wordings and width.

    Raises:
        DatasetError: The manifest is damaged.
    """
    manifest = read_manifest(path)
    wordings, size, firsts = Frame()
    if "wordings" in manifest:
        wordings = wordings_from_json(manifest["wordings"], f"{path}: wordings in its manifest")
    if isinstance(profile := manifest.get("profile"), dict) and "width" in profile:
        size = str(profile["width"])
    if "wordings" in manifest and "glyphsight" in manifest:
        firsts = _firsts(manifest.get("files"), path)
    return Frame(wordings, size, firsts)


def _firsts(listed: Any, path: Path) -> dict[str, int]:
    """The number in its split of the first record of each file that a manifest lists, by name.

    Raises:
        DatasetError: The list is damaged.
    """
    firsts: dict[str, int] = {}
    try:
        for entries in listed.values() if isinstance(listed, dict) else ():
            number = 0
            for entry in entries:
                firsts[PurePosixPath(entry["name"]).name] = number
                number += int(entry["records"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DatasetError(f"{path}: files in its manifest: damaged; build it anew") from None
    return firsts


def to_record(
    value: Any, where: str, wordings: Sequence[Prompt] = (Prompt(),), size: str = ""
) -> Record:
    """The record of a value of any layout; further keys are allowed and ignored.

    Args:
        value: An object with the published keys, with ``prompt`` and ``completion``, or with
            ``messages``. A string ``source`` is kept.
        where: File and number of the record, for errors.
        wordings: What may stand around the picture in ``prompt`` and ``messages``; the first that
            fits is meant.
        size: Its width there, where the picture itself does not tell it.

    Raises:
        DatasetError: It is no record, or its words are none of the wordings.
    """
    frame = Frame(tuple(wordings), size)
    if not isinstance(value, dict) or any(key in value for key in KEYS):
        record = record_from_json(value, where)
    elif "prompt" in value and "completion" in value:
        record = _unframed(_prompt_and_completion(value, where), where, frame, turns=False)
    elif "messages" in value:
        record = _unframed(_turns(value["messages"], where), where, frame, turns=True)
    else:
        keys = ", ".join(map(str, value)) or "none"
        raise DatasetError(
            f"{where}: has the keys {keys}; a record has {', '.join(KEYS)}, "
            "or prompt and completion, or messages"
        )
    source = value.get("source")
    return replace(record, source=source) if isinstance(source, str) and source else record


def _prompt_and_completion(value: dict[str, Any], where: str) -> tuple[str, str]:
    for key in ("prompt", "completion"):
        if not isinstance(value[key], str):
            raise DatasetError(f"{where}: {key!r} is {json_type(value[key])}, must be a string")
    return value["prompt"], value["completion"]


def _turns(messages: Any, where: str) -> tuple[str, str]:
    """What user and assistant say in a chat of one turn each, after a system message or none."""
    if not isinstance(messages, list):
        raise DatasetError(f"{where}: 'messages' is {json_type(messages)}, must be an array")
    said: list[tuple[str, str]] = []
    for number, message in enumerate(messages, start=1):
        role, content = (
            (message.get("role"), message.get("content")) if isinstance(message, dict) else (0, 0)
        )
        if not isinstance(role, str) or not isinstance(content, str):
            raise DatasetError(f"{where}: message {number} must have role and content, as strings")
        said.append((role, content))
    if said and said[0][0] == "system":
        said.pop(0)
    if [role for role, _ in said] != ["user", "assistant"]:
        roles = ", ".join(role for role, _ in said) or "nobody"
        raise DatasetError(f"{where}: the messages are of {roles}; one of user, one of assistant")
    return said[0][1], said[1][1]


def _unframed(said: tuple[str, str], where: str, frame: Frame, *, turns: bool) -> Record:
    """Picture, width and answer of a question and a reply."""
    for wording in frame.wordings:
        found = wording.parse_turns(*said) if turns else wording.parse(*said)
        if found is not None:
            picture, response = found
            return Record((picture,), response, size=_size(picture, where, frame))
    known = wording_json(frame.wordings[:1])
    raise DatasetError(
        f"{where}: its words are none of the known wordings; name them in {MANIFEST} beside it: "
        f'{{"wordings": {known}}}, with the words of this dataset'
    )


def wording_json(wordings: Sequence[Prompt]) -> str:
    """Wordings as the JSON a manifest holds, in a line."""
    return json.dumps([vars(wording) for wording in wordings], ensure_ascii=False)


def _size(picture: str, where: str, frame: Frame) -> str:
    row = _ROW.match(picture)
    if row is not None:
        return str(len(row[1]))
    if frame.size:
        return frame.size
    raise DatasetError(
        f"{where}: its picture has no <row:1>...</row:1>, so its width is not known; name it in "
        f'{MANIFEST} beside it: {{"profile": {{"width": 20}}}}, or name the wording it stands in'
    )


def read_records(file: Path, frame: Frame | None = None) -> Iterator[Record]:
    """The records of one dataset file, in memory that does not grow where its layout allows.

    Raises:
        DatasetError: Names the file and record at fault.
    """
    around = read_frame(file) if frame is None else frame
    for number, value in enumerate(read_values(file), start=1):
        wordings = around.wordings_of(file, number)
        yield to_record(value, f"{file}: record {number}", wordings, around.size)


def load_dataset(path: str | os.PathLike[str], split: str | None = None) -> list[Record]:
    """Read a dataset file, or one split of a dataset directory (default ``train``), of any layout.

    Raises:
        DatasetError: Names the file and record at fault; or a split of a file, which has none.
    """
    place = Path(path)
    if split is not None and place.is_file():
        raise DatasetError(f"{place}: a file has no splits; give its directory for {split!r}")
    if not place.is_dir():
        files = [place]
    else:
        [files] = split_files(place, split or "train").values()
    frame = read_frame(place)
    records: list[Record] = []
    for file in files:
        read = list(read_records(file, frame))
        sources = list(read_sources(file))
        if len(sources) == len(read):
            read = [
                replace(record, source=source) for record, source in zip(read, sources, strict=True)
            ]
        records += read
    return records
