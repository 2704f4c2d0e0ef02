"""Single items of a source: the column of the answer, the answer as text, bytes to pixels."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError, PictureError, one_line
from glyphsight.media.picture import load_picture
from glyphsight.sources.base import Failure, Item

ANSWERS = ("label", "text", "caption", "Response")
"""Columns that hold the answer where no option chooses one."""


class _Named(io.BytesIO):
    """Bytes with a name, so that what is wrong with them can be said."""

    name = ""


def decode(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decode a picture file's bytes to pixels uint8[H, W].

    Raises:
        PictureError: Begins with ``where``.
    """
    stream = _Named(data)
    stream.name = where
    return load_picture(stream)


def read_item(
    name: str, where: str, answer: Callable[[], str], data: Callable[[], bytes]
) -> Item | Failure:
    """Read an item of a table or an archive.

    Args:
        name: Id of the item.
        where: Name of the item in errors.
        answer: Gives the answer; raises ValueError where there is none.
        data: Gives the bytes of a picture file; raises ValueError where there are none.
    """
    try:
        encoded = data()
        return name, answer(), decode(encoded, where)
    except ValueError as error:
        return Failure(name, f"{where}: {one_line(error)}; fix or remove the item")
    except PictureError as error:
        return Failure(name, str(error))


def choose(kind: str, columns: Sequence[str], chosen: str | None, where: str) -> str:
    """Return the one column of a kind, or the chosen one.

    Args:
        kind: ``answer`` or ``image``: the option that chooses.
        columns: Columns that may be it.
        chosen: Value of the option, if it is given.
        where: Name of the table in errors.

    Raises:
        DatasetError: There is none, or several and none is chosen.
    """
    if chosen is not None and chosen not in columns:
        raise DatasetError(
            f"{where}: {chosen!r} is no {kind} column; there is {', '.join(columns) or 'none'}"
        )
    if chosen is None and not columns:
        raise DatasetError(f"{where}: has no {kind} column; add one")
    if chosen is None and len(columns) > 1:
        raise DatasetError(
            f"{where}: {', '.join(columns)} may each be the {kind}; choose with "
            f"?{kind}={columns[0]}"
        )
    return columns[0] if chosen is None else chosen


def choose_answer(columns: Sequence[str], chosen: str | None, where: str) -> str:
    """Return the answer column: the chosen one, one of ``ANSWERS``, else the only one.

    Raises:
        DatasetError: There is none, or several and none is chosen.
    """
    known = [name for name in columns if name in ANSWERS] if chosen is None else []
    return choose("answer", known or columns, chosen, where)


def is_unicode(text: str) -> bool:
    """Check that a text can be written as UTF-8: file names may hold lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def one_line_name(name: str) -> str:
    """Return a name as a line of valid Unicode; other characters are escaped."""
    if is_unicode(name) and len(name.splitlines()) == 1:
        return name
    return name.encode("unicode_escape").decode("ascii")


def answer_text(value: Any, names: Sequence[str] | None = None) -> str:
    """Return an answer as text: a class number by its name where there are names.

    Raises:
        ValueError: It is no answer; the message says why.
    """
    if isinstance(value, int) and names is not None:
        if 0 <= value < len(names):
            return names[value]
        raise ValueError(f"class {value} has no name, there are {len(names)}")
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("has no answer")
    if isinstance(value, str | int | float) and str(value).strip():
        if not is_unicode(str(value)):
            raise ValueError("its answer is not valid Unicode")
        return str(value)
    if value is None or isinstance(value, str):
        raise ValueError("has no answer")
    raise ValueError(f"its answer is no text but {type(value).__name__}")
