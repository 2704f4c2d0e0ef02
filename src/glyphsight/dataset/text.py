"""UTF-8 files and the JSON in them, read with errors that name line and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glyphsight.errors import DatasetError


def read_text(file: Path) -> str:
    """Read a whole UTF-8 file, with or without a byte order mark.

    Raises:
        DatasetError: The file is not there, cannot be read or is not UTF-8.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{file}: no such file") from None
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read ({error.strerror})") from error
    return decode(data, file)


def decode(data: bytes, file: Path, line: int = 0) -> str:
    """Decode the UTF-8 text of a file, or of one line of it, without a byte order mark.

    Args:
        data: Bytes to decode.
        file: File they come from, for errors.
        line: Number of the line, from 1; 0 for a whole file.

    Raises:
        DatasetError: The bytes are not UTF-8.
    """
    try:
        return data.decode("utf-8-sig" if line <= 1 else "utf-8")
    except UnicodeDecodeError as error:
        offset = f"byte {error.start}" + (f" of line {line}" if line else "")
        if error.end == len(data) and "unexpected end" in error.reason:
            raise DatasetError(
                f"{file}: ends inside a character, at {offset}: it was cut off; write it again"
            ) from None
        raise DatasetError(f"{file}: not UTF-8 at {offset}; give a text file, in UTF-8") from None


def parse_json(text: str, file: Path, line: int = 0) -> Any:
    """Parse one JSON document of a file.

    Args:
        text: Document to parse.
        file: File it comes from, for errors.
        line: Number of its line, from 1; 0 for a whole file.

    Raises:
        DatasetError: The document is not JSON; names line and column.
    """
    where = f"{file}: line {line}" if line else str(file)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        position = f"line {line or error.lineno} column {error.colno}"
        raise DatasetError(f"{file}: not JSON at {position} ({error.msg})") from None
    except ValueError:  # more digits than sys.get_int_max_str_digits() allows
        raise DatasetError(f"{where}: a number too long to read; records hold strings") from None
    except RecursionError:
        raise DatasetError(f"{where}: nested too deeply for a dataset; records are flat") from None


def encode(text: str, number: int) -> bytes:
    """Encode a text of record ``number``, from 1, of a split as UTF-8.

    Raises:
        DatasetError: The text holds half a surrogate pair, as a file's name can that is not UTF-8.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 30) : error.end]
        raise DatasetError(
            f"record {number}: {around!r} holds bytes that are not UTF-8; rename it in the source"
        ) from None
