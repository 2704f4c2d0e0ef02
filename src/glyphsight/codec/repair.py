"""Read ASCII_Images with flaws, as models and people write them, and say what was repaired."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.formats import get_format
from glyphsight.codec.profile import PUBLISHED, Profile
from glyphsight.errors import FormatError

MAX_ROWS = 4096
"""Highest row number in a text that needs repair: a number alone must not cost memory."""
MAX_COLUMNS = 4096  # widest row in such a text, since narrower rows are filled up to it

_FIELD = re.compile(r'"ASCII_image"\s*:\s*(?=")')
_ROW = re.compile(r"<row:([0-9]{1,9})>([^<>\r\n]*)(?:</row:([0-9]{1,9})>)?")
_ESCAPED_ROW = re.compile(r"&(?:lt|LT|#60|#x3[cC]);row:[0-9]")


@dataclass(frozen=True)
class Repaired:
    """A text read back."""

    levels: NDArray[np.uint8]  # level grid, uint8[rows, columns]
    repairs: tuple[str, ...] = ()  # repairs of the text, a sentence each; empty for a flawless text


def repair(text: str, profile: Profile = PUBLISHED) -> Repaired:
    """Read a text in the profile's format, repairing what can be repaired.

    A flawless text is read as it is. Every format is taken out of a JSON record, an array of them
    or a code fence, with any line ends. Of ``seed`` moreover HTML escapes, text around the rows,
    rows missing, repeated, out of order or of differing width are repaired.

    Raises:
        FormatError: The text is empty, holds no row, or has a flaw beyond repair.
    """
    form = get_format(profile.format)
    try:
        return Repaired(form.read(text, profile.palette))
    except FormatError:
        repairs: list[str] = []
    if not text.strip():
        raise FormatError("the text is empty; give one with rows")
    text = _out_of_json(text, repairs)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        repairs.append("carriage returns dropped")
    if profile.format == "seed":
        text = _square(_rows(text, profile.palette, repairs), profile.palette, repairs)
    else:
        text = _lines(text, repairs)
    return Repaired(form.read(text, profile.palette), tuple(repairs))


def _out_of_json(text: str, repairs: list[str]) -> str:
    """Take the first ``ASCII_image`` out of a record or an array of them, whole JSON or not."""
    field = _FIELD.search(text)
    if field is None:
        return text
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text, field.end())
    except ValueError:  # cut off within the string: its rows may still be found
        return text
    count = len(_FIELD.findall(text))
    records = "a JSON record" if count == 1 else f"the first of {count} JSON records"
    repairs.append(f"ASCII_image taken out of {records}")
    return str(value)


def _lines(text: str, repairs: list[str]) -> str:
    """Take a code fence, a byte order mark and empty lines from around lines of any format."""
    if text.startswith("\ufeff"):
        text = text[1:]
        repairs.append("byte order mark dropped")
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    if fences:
        lines = lines[fences[0] + 1 : fences[1] if len(fences) > 1 else None]
        repairs.append("code fence, and the text around it, dropped")
    elif lines[-1]:
        repairs.append("newline added after the last line")
    filled = [number for number, line in enumerate(lines) if line]
    if not filled:
        raise FormatError("the text holds no row; give one with rows")
    if filled[0] or len(lines) - filled[-1] > 2:
        repairs.append("empty lines around the rows dropped")
    return "\n".join(lines[filled[0] : filled[-1] + 1]) + "\n"


def _count(repairs: list[str], count: int, what: str, done: str) -> None:
    if count:
        repairs.append(f"{count} {what}{'' if count == 1 else 's'} {done}")


def _rows(text: str, palette: str, repairs: list[str]) -> dict[int, str]:
    """Find the rows of ``seed`` in any text, the first of each number."""
    if _ROW.search(text) is None and _ESCAPED_ROW.search(text):
        text = html.unescape(text)
        repairs.append("HTML escapes undone")
    if "\u00a0" in text and "\u00a0" not in palette and " " in palette:
        text = text.replace("\u00a0", " ")
        repairs.append("no-break spaces taken as spaces")
    rows: dict[int, str] = {}
    repeated = beyond = unclosed = otherwise = 0
    for opening, glyphs, closing in _ROW.findall(text):
        number = int(opening)
        if not 1 <= number <= MAX_ROWS:
            beyond += 1
        elif number in rows:
            repeated += 1
        else:
            unclosed += not closing
            otherwise += bool(closing) and int(closing) != number
            rows[number] = glyphs
    if not rows:
        raise FormatError(
            f"no <row:N>...</row:N> with N from 1 to {MAX_ROWS} in {text.strip()[:60]!r}; name "
            "the format it was written in, such as --format plain"
        )
    if _ROW.sub("", text).strip():
        repairs.append("text around the rows dropped")
    _count(repairs, beyond, "row", f"left out, numbered outside 1 to {MAX_ROWS}")
    _count(repairs, repeated, "repeated row", "left out, the first of each kept")
    _count(repairs, unclosed, "closing tag", "added")
    _count(repairs, otherwise, "closing tag", "of another number changed")
    if list(rows) != sorted(rows):
        repairs.append("rows put into the order of their numbers")
    return rows


def _square(rows: dict[int, str], palette: str, repairs: list[str]) -> str:
    """Write rows 1 to the highest number, all of the commonest width (the wider of two)."""
    for number, glyphs in sorted(rows.items()):
        if wrong := sorted(set(glyphs) - set(palette), key=glyphs.index):
            raise FormatError(
                f"row {number}: glyph {wrong[0]!r}, cell {glyphs.index(wrong[0]) + 1}, is not in "
                f"palette {palette!r}; give the palette it was written with"
            )
    widths = Counter(len(glyphs) for glyphs in rows.values() if glyphs)
    if not widths:
        raise FormatError("no row holds a glyph; give a text with glyphs")
    width = max(widths, key=lambda width: (widths[width], width))
    if width > MAX_COLUMNS:
        raise FormatError(
            f"rows of {width} glyphs are too wide to repair; give {MAX_COLUMNS} at most"
        )
    held = [len(glyphs) for glyphs in rows.values()]
    short, long = sum(one < width for one in held), sum(one > width for one in held)
    _count(repairs, short, "row", f"filled with dark to {width} glyphs")
    _count(repairs, long, "row", f"cut to {width} glyphs")
    _count(repairs, max(rows) - len(rows), "missing row", "filled with dark")
    if not repairs:
        repairs.append("whitespace around the rows, or zeros before their numbers, dropped")
    return "".join(
        f"<row:{number}>{rows.get(number, '')[:width].ljust(width, palette[0])}</row:{number}>\n"
        for number in range(1, max(rows) + 1)
    )
