"""The published dataset file: a JSON array of records, read and written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glyphsight.dataset.outputs import get_output
from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import Record, record_from_json
from glyphsight.errors import DatasetError
from glyphsight.files import replacing

SPLITS = ("train", "validation", "test")


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


def read_array(path: Path) -> list[Any]:
    """Read a dataset file as plain JSON values, with or without the published trailing comma.

    Raises:
        DatasetError: Names the file, the place in it and what is wrong.
    """
    return list(get_output("json").read(path))


def split_files(path: Path, split: str | None = None) -> dict[str, list[Path]]:
    """The files of each split of a dataset directory, or of one; ``{"": [path]}`` for a file.

    Raises:
        DatasetError: There is no dataset, or no such split in it.
    """
    if path.is_file():
        return {"": [path]}
    if not path.exists():
        raise DatasetError(f"{path}: no such file or directory")
    wanted = SPLITS if split is None else (split,)
    found = {name: [file] for name in wanted if (file := path / f"{name}.json").is_file()}
    if not found:
        raise DatasetError(f"{path}: holds none of {', '.join(f'{name}.json' for name in wanted)}")
    return found


def read_values(file: Path) -> Iterator[Any]:
    """Each record of a dataset file as JSON values, in the layout of the file.

    Raises:
        DatasetError: Names the file, the place in it and what is wrong.
    """
    yield from read_array(file)


def dataset_file(path: Path, split: str | None) -> Path:
    """The file of ``split`` in a dataset directory, or ``path`` itself when it is a file.

    Raises:
        DatasetError: The directory has no such split.
    """
    if not path.is_dir():
        return path
    name = split or "train"
    file = path / f"{name}.json"
    if not file.is_file():
        have = [other for other in SPLITS if (path / f"{other}.json").is_file()]
        raise DatasetError(
            f"{path}: has no {name}.json; "
            + (f"it has {', '.join(have)}" if have else "make it with glyphsight dataset build")
        )
    return file


def load_dataset(path: str | os.PathLike[str], split: str | None = None) -> list[Record]:
    """Read a dataset file, or one split of a dataset directory (default ``train``).

    Raises:
        DatasetError: Names the file and record at fault.
    """
    file = dataset_file(Path(path), split)
    return [
        record_from_json(value, f"{file}: record {number}")
        for number, value in enumerate(read_array(file), start=1)
    ]
