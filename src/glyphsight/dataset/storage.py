"""The published dataset file: a JSON array of records, read and written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glyphsight.dataset.record import Record, json_type, record_from_json
from glyphsight.errors import DatasetError
from glyphsight.files import replacing

SPLITS = ("train", "validation", "test")
_TRAILING_COMMA = re.compile(r",\s*\]\s*\Z")


def write_records(records: Iterable[Record], path: Path) -> int:
    """Write records as the published JSON array, UTF-8, glyphs not escaped, atomically.

    Returns:
        How many were written.
    """
    count = 0
    with replacing(path) as stream:
        stream.write("[")
        for count, record in enumerate(records, start=1):
            text = json.dumps(record.as_json(), ensure_ascii=False, indent=2)
            stream.write(",\n  " if count > 1 else "\n  ")
            stream.write(text.replace("\n", "\n  "))
        stream.write("\n]" if count else "]")
    return count


def read_array(path: Path) -> list[Any]:
    """Read a dataset file as plain JSON values, with or without the published trailing comma.

    Raises:
        DatasetError: Names the file, the place in it and what is wrong.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    try:
        value = json.loads(_TRAILING_COMMA.sub("]", text))
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}: not JSON at line {error.lineno} column {error.colno} ({error.msg})"
        ) from None
    except ValueError:  # more digits than sys.get_int_max_str_digits() allows
        raise DatasetError(f"{path}: a number too long to read; records hold strings") from None
    except RecursionError:
        raise DatasetError(f"{path}: nested too deeply for a dataset; records are flat") from None
    if not isinstance(value, list):
        raise DatasetError(f"{path}: holds {json_type(value)}, a dataset is an array")
    return value


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
