"""One example of a dataset: pictures as text, a question and the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glyphsight.errors import DatasetError

KEYS = ("size", "ASCII_image", "Response")
"""Keys of the published object, in the published order."""
QUESTION = "Question"
"""Key after them, only in a record with a question of its own."""


@dataclass(frozen=True)
class Record:
    """ASCII_Images, a question about them and its answer.

    Attributes:
        pictures: Texts of the pictures; mostly one, none for a task such as "Draw a 7". A single
            string stands for one picture.
        answer: Text to answer: a label, a number, a word or sentences.
        question: Question of this record alone; "" where the wording of the dataset asks it.
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

    @property
    def picture(self) -> str:
        """Text of the pictures, one after the other."""
        return "".join(self.pictures)

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


def json_type(value: Any) -> str:
    """Name the JSON type of a value; Parquet has types that JSON does not know."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), "a number" if isinstance(value, int | float) else "no text")


def record_from_json(value: Any, where: str) -> Record:
    """Read one object of a dataset; further keys are allowed and ignored.

    Args:
        value: Object as :meth:`Record.as_json` gives it.
        where: File and number of the record, for errors.

    Raises:
        DatasetError: ``value`` is no object, a key is missing or a value is not of its type.
    """
    if not isinstance(value, dict):
        raise DatasetError(
            f"{where}: {json_type(value)} where an object with the keys {', '.join(KEYS)} belongs"
        )
    for key in KEYS:
        if key not in value:
            raise DatasetError(f"{where}: key {key!r} is missing; add it")
    size, pictures = (_strings(value[key], key, where) for key in KEYS[:2])
    [answer] = _strings(value["Response"], "Response", where, listed=False)
    question = value.get(QUESTION)  # Parquet has null where there is none
    [asked] = _strings("" if question is None else question, QUESTION, where, listed=False)
    return Record(pictures, answer, asked, " ".join(size))


def _strings(value: Any, key: str, where: str, *, listed: bool = True) -> tuple[str, ...]:
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
