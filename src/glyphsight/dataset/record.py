"""One example of a dataset: a picture as text and what the model should answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glyphsight.errors import DatasetError

KEYS = ("size", "ASCII_image", "Response")


@dataclass(frozen=True)
class Record:
    """A labelled ASCII_Image.

    Attributes:
        size: Width in columns, as a string: ``"20"``.
        ascii_image: The picture as text.
        response: The answer.
        source: Which item of which source it was made from; "" where that is not known.
    """

    size: str
    ascii_image: str
    response: str
    source: str = ""

    def as_json(self) -> dict[str, str]:
        """The published object, keys in the published order."""
        return {"size": self.size, "ASCII_image": self.ascii_image, "Response": self.response}


def json_type(value: Any) -> str:
    """What JSON calls the type of a value; Parquet has types that it does not know."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), "a number" if isinstance(value, int | float) else "no text")


def record_from_json(value: Any, where: str) -> Record:
    """Read one object of a dataset; further keys are allowed and ignored.

    Raises:
        DatasetError: ``value`` is no object, a key is missing or a value is not a string.
    """
    if not isinstance(value, dict):
        raise DatasetError(
            f"{where}: {json_type(value)} where an object with the keys {', '.join(KEYS)} belongs"
        )
    for key in KEYS:
        if key not in value:
            raise DatasetError(f"{where}: key {key!r} is missing")
        if not isinstance(value[key], str):
            raise DatasetError(
                f"{where}: {key!r} is {json_type(value[key])}, must be a string; quote it"
            )
    return Record(*(value[key] for key in KEYS))
