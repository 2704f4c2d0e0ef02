"""``metadata.csv`` and ``metadata.jsonl``: a line for each file, as ``datasets`` has them."""

from __future__ import annotations

import csv
import json
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glyphsight.errors import DatasetError
from glyphsight.sources.items import answer_text, choose_answer
from glyphsight.sources.listed import Item


def read_metadata(folder: Path, place: str, chosen: str | None) -> dict[str, Item] | None:
    """What the metadata file of a folder says.

    Args:
        folder: Where it may be.
        place: The folder relative to the source, "" or with its ``/``: names begin with it.
        chosen: Column of the answers, or None to find it.

    Returns:
        The item of each file it names; None where there is no such file.

    Raises:
        DatasetError: There are two, or it cannot be read.
    """
    there = [
        folder / name for name in ("metadata.csv", "metadata.jsonl") if (folder / name).is_file()
    ]
    if not there:
        return None
    if len(there) > 1:
        raise DatasetError(f"{there[0]}: stands beside {there[1].name}; remove one of the two")
    path = there[0]
    found: dict[str, Item] = {}
    column: str | None = None
    try:
        for line, row in _csv_rows(path) if path.suffix == ".csv" else _json_rows(path):
            where = f"{path}: line {line}"
            file_name = row.get("file_name")
            if not isinstance(file_name, str) or not file_name:
                raise DatasetError(f"{where}: has no file_name; add it")
            if column is None:
                others = [name for name in row if name != "file_name"]
                column = choose_answer(others, chosen, str(path))
            name = posixpath.normpath(f"{place}{file_name}")
            try:
                item = Item(name, answer_text(row.get(column)))
            except ValueError as error:
                item = Item(name, "", f"{where}: {file_name}: {error}; mend {column!r}")
            if name in found:
                problem = f"{where}: {file_name} is named again; give each picture one line"
                item = Item(name, "", problem)
            found[name] = item
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    return found


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        try:
            if "file_name" not in (reader.fieldnames or ()):
                raise DatasetError(f"{path}: has no column file_name; name each file in one")
            for row in reader:
                if None in row or None in row.values():
                    count = len(reader.fieldnames or ())
                    raise DatasetError(
                        f"{path}: line {reader.line_num}: not {count} fields; quote those that "
                        "hold a comma"
                    )
                yield reader.line_num, row
        except csv.Error as error:
            raise DatasetError(f"{path}: line {reader.reader.line_num}: {error}; mend it") from None


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as stream:
        for line, text in enumerate(stream, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise DatasetError(f"{path}: line {line}: not JSON ({error}); mend it") from None
            if not isinstance(row, dict):
                raise DatasetError(f"{path}: line {line}: not a JSON object; mend it")
            yield line, row
