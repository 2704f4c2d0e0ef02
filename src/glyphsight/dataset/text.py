"""UTF-8 files and the JSON in them, read with errors that name the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glyphsight.errors import DatasetError


def read_text(file: Path) -> str:
    """A whole UTF-8 file, with or without a byte order mark.

    Raises:
        DatasetError: It is not there, cannot be read or is not UTF-8.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{file}: no such file") from None
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read ({error.strerror})") from error
    return decode(data, file)


def decode(data: bytes, file: Path, line: int = 0) -> str:
    """UTF-8 text of a file, or of one line of it, numbered from 1, without a byte order mark.

    Raises:
        DatasetError: It is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig" if line <= 1 else "utf-8")
    except UnicodeDecodeError as error:
        place = f"byte {error.start}" + (f" of line {line}" if line else "")
        if error.end == len(data) and "unexpected end" in error.reason:
            raise DatasetError(
                f"{file}: ends inside a character, at {place}: it was cut off; write it again"
            ) from None
        raise DatasetError(f"{file}: not UTF-8 at {place}; give a text file, in UTF-8") from None


def parse_json(text: str, file: Path, line: int = 0) -> Any:
    """One JSON document of a file.

    Args:
        text: The document.
        file: Where it comes from.
        line: The line of the file it is, from 1; 0 where it is the whole file.

    Raises:
        DatasetError: Names the place in the file that is not JSON.
    """
    where = f"{file}: line {line}" if line else str(file)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {line or error.lineno} column {error.colno}"
        raise DatasetError(f"{file}: not JSON at {place} ({error.msg})") from None
    except ValueError:  # more digits than sys.get_int_max_str_digits() allows
        raise DatasetError(f"{where}: a number too long to read; records hold strings") from None
    except RecursionError:
        raise DatasetError(f"{where}: nested too deeply for a dataset; records are flat") from None


def encode(text: str, number: int) -> bytes:
    """UTF-8 of record ``number``, from 1, of a split.

    Raises:
        DatasetError: It holds what Python makes of bytes that are not UTF-8, as in a file's name.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 30) : error.end]
        raise DatasetError(
            f"record {number}: {around!r} holds bytes that are not UTF-8; rename it in the source"
        ) from None
