"""One example of a dataset: pictures as text, a question and the answer; and JSON that is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from glyphsight.errors import DatasetError
from glyphsight.files import normal
from glyphsight.pages import text_html

KEYS = ("size", "ASCII_image", "Response")  # keys of the published object, in the published order
QUESTION = "Question"  # key after them, only in a record with a question of its own


@dataclass(frozen=True)
class Record:
    """ASCII_Images, a question about them and its answer.

    Attributes:
        pictures: Texts of the pictures; mostly one, none for a task such as "Draw a 7". A single
            string stands for one picture.
        answer: Text to answer: a label, a number, a word or sentences, in NFC and without white
            space at its ends. Without pictures, or of several lines, it is a drawing and stays.
        question: Question of this record alone, in NFC and without white space at its ends; ""
            where the wording of the dataset asks it.
        size: Width of each picture in columns, as text: ``"20"``; widths of several pictures are
            separated by spaces.
        source: Source and item the record was made from; "" where that is not known.
    """

    pictures: tuple[str, ...]
    answer: str
    question: str = ""
    size: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.pictures, str):
            object.__setattr__(self, "pictures", (self.pictures,))
        object.__setattr__(self, "question", normal(self.question))
        if self.pictures and "\n" not in (answer := normal(self.answer)):
            object.__setattr__(self, "answer", answer)

    @property
    def picture(self) -> str:
        """Text of the pictures, one after the other."""
        return "".join(self.pictures)

    def _repr_html_(self) -> str:
        """Show pictures, question and answer in a notebook."""
        drawn = "\n" in self.answer
        said = text_html(self.answer) if drawn else f"<b>{escape(self.answer)}</b>"
        pictures = "".join(map(text_html, self.pictures))
        return f"{pictures}<div>{escape(self.question)} {said}</div>"

    def as_json(self) -> dict[str, Any]:
        """Return the published object, keys in the published order.

        ``size`` and ``ASCII_image`` are lists only where there is not exactly one picture.
        """
        one = len(self.pictures) == 1
        value: dict[str, Any] = {
            "size": self.size if one else self.size.split(),
            "ASCII_image": self.picture if one else list(self.pictures),
            "Response": self.answer,
        }
        return value | {QUESTION: self.question} if self.question else value


def record_from_json(value: Any, where: str) -> Record:
    """Read one object of a dataset; further keys are allowed and ignored."""
    if not isinstance(value, dict):
        raise DatasetError(
            f"{where}: {json_type(value)} in place of an object; give one with the keys "
            f"{', '.join(KEYS)}"
        )
    for key in KEYS:
        if key not in value:
            raise DatasetError(f"{where}: key {key!r} is missing; add it")
    size, pictures = (strings(value[key], key, where, listed=True) for key in KEYS[:2])
    [answer] = strings(value["Response"], "Response", where)
    question = value.get(QUESTION)  # Parquet has null where there is none
    [asked] = strings("" if question is None else question, QUESTION, where)
    return Record(pictures, answer, asked, " ".join(size))


def strings(value: Any, key: str, where: str, *, listed: bool = False) -> tuple[str, ...]:
    """Return a string or, where it may be one, a list of strings as a tuple."""
    parts = value if listed and isinstance(value, list) else [value]
    for part in parts:
        if not isinstance(part, str):
            raise DatasetError(
                f"{where}: {key!r} is {json_type(part)}, must be a string; quote it"
                if parts is not value
                else f"{where}: {key!r} holds {json_type(part)}, must hold strings; quote it"
            )
    return tuple(parts)


def json_type(value: Any) -> str:
    """Name the JSON type of a value; Parquet has types that JSON does not know."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), "a number" if isinstance(value, int | float) else "no text")


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn an error of the operating system into the one for a file that cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise DatasetError(f"{file}: no such file; fix its name") from None
    except OSError as error:
        raise DatasetError(
            f"{file}: cannot be read ({error.strerror}); give another file"
        ) from error


def read_text(file: Path) -> str:
    """Read a whole UTF-8 file, ``-`` from standard input, with or without a byte order mark."""
    with reading(file):
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    return decode(data, file)


def decode(data: bytes, file: Path, line: int = 0) -> str:
    """Decode the UTF-8 text of a file, or of one line of it, without a byte order mark."""
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
    """Parse one JSON document of a file."""
    where = f"{file}: line {line}" if line else str(file)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        position = f"line {line or error.lineno} column {error.colno}"
        raise DatasetError(f"{file}: not JSON at {position} ({error.msg}); fix it there") from None
    except ValueError:  # more digits than sys.get_int_max_str_digits() allows
        raise DatasetError(f"{where}: a number too long to read; quote it") from None
    except RecursionError:
        raise DatasetError(f"{where}: nested too deeply for a dataset; make records flat") from None


def encode(text: str, number: int) -> bytes:
    """Encode a text of record ``number``, from 1, of a split as UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 30) : error.end]
        raise DatasetError(
            f"record {number}: {around!r} holds bytes that are not UTF-8; rename it in the source"
        ) from None
