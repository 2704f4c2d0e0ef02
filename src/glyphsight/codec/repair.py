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
MAX_COLUMNS = 4096
"""Widest row in such a text, since narrower rows are filled up to it."""

_FIELD = re.compile(r'"ASCII_image"\s*:\s*(?=")')
_ROW = re.compile(r"<row:([0-9]{1,9})>([^<>\r\n]*)(?:</row:([0-9]{1,9})>)?")
_ESCAPED_ROW = re.compile(r"&(?:lt|LT|#60|#x3[cC]);row:[0-9]")


@dataclass(frozen=True)
class Repaired:
    """A text read back.

    Attributes:
        levels: Level grid, uint8[rows, columns].
        repairs: Repairs of the text, a sentence each; empty for a flawless text.
    """

    levels: NDArray[np.uint8]
    repairs: tuple[str, ...] = ()


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
        tidied, repairs = _tidy(text, profile)
    return Repaired(form.read(tidied, profile.palette), repairs)


def _tidy(text: str, profile: Profile) -> tuple[str, tuple[str, ...]]:
    """Return the repaired text, and a sentence for each repair."""
    repairs: list[str] = []
    if not text.strip():
        raise FormatError("the text is empty; there is nothing to read")
    text = _out_of_json(text, repairs)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        repairs.append("carriage returns dropped")
    if profile.format == "seed":
        text = _tidy_rows(text, profile.palette, repairs)
    else:
        text = _tidy_lines(text, repairs)
    return text, tuple(repairs)


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
    repairs.append(
        "ASCII_image taken out of a JSON record"
        if count == 1
        else f"ASCII_image taken out of the first of {count} JSON records"
    )
    return str(value)


def _tidy_lines(text: str, repairs: list[str]) -> str:
    """Take a code fence, a byte order mark and empty lines from around lines of any format."""
    if text.startswith("\ufeff"):
        text = text[1:]
        repairs.append("byte order mark dropped")
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    if fences:
        close = fences[1] if len(fences) > 1 else len(lines)
        lines = lines[fences[0] + 1 : close]
        repairs.append("code fence, and the text around it, dropped")
    elif lines[-1]:
        repairs.append("newline added after the last line")
    filled = [number for number, line in enumerate(lines) if line]
    if not filled:
        raise FormatError("the text holds no row")
    inner = lines[filled[0] : filled[-1] + 1]
    if filled[0] or len(lines) - filled[-1] > 2:
        repairs.append("empty lines around the rows dropped")
    return "\n".join(inner) + "\n"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _tidy_rows(text: str, palette: str, repairs: list[str]) -> str:
    """Find the rows of ``seed`` in any text, number them without gaps and make them one width."""
    if _ROW.search(text) is None and _ESCAPED_ROW.search(text):
        text = html.unescape(text)
        repairs.append("HTML escapes undone")
    if "\u00a0" in text and "\u00a0" not in palette and " " in palette:
        text = text.replace("\u00a0", " ")
        repairs.append("no-break spaces taken as spaces")
    rows: dict[int, str] = {}
    repeated = beyond = unclosed = otherwise = 0
    order_kept, last = True, 0
    for match in _ROW.finditer(text):
        opening, glyphs, closing = match.groups()
        number = int(opening)
        if not 1 <= number <= MAX_ROWS:
            beyond += 1
            continue
        if number in rows:
            repeated += 1
            continue
        unclosed += closing is None
        otherwise += closing is not None and int(closing) != number
        order_kept, last = order_kept and number > last, number
        rows[number] = glyphs
    if not rows:
        raise FormatError(
            f"no <row:N>...</row:N> with N from 1 to {MAX_ROWS} in {text.strip()[:60]!r}"
        )
    if _ROW.sub("", text).strip():
        repairs.append("text around the rows dropped")
    if beyond:
        repairs.append(f"{_many(beyond, 'row')} left out, numbered outside 1 to {MAX_ROWS}")
    if repeated:
        repairs.append(f"{_many(repeated, 'repeated row')} left out, the first of each kept")
    if unclosed:
        repairs.append(f"{_many(unclosed, 'closing tag')} added")
    if otherwise:
        repairs.append(f"{_many(otherwise, 'closing tag')} of another number changed")
    if not order_kept:
        repairs.append("rows put into the order of their numbers")
    return _square(rows, palette, repairs)


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
        raise FormatError("no row holds a glyph")
    width = max(widths, key=lambda width: (widths[width], width))
    if width > MAX_COLUMNS:
        raise FormatError(f"rows of {width} glyphs are too wide to repair, {MAX_COLUMNS} at most")
    short = sum(len(glyphs) < width for glyphs in rows.values())
    long = sum(len(glyphs) > width for glyphs in rows.values())
    missing = max(rows) - len(rows)
    dark = palette[0]
    if short:
        repairs.append(f"{_many(short, 'row')} filled with dark to {width} glyphs")
    if long:
        repairs.append(f"{_many(long, 'row')} cut to {width} glyphs")
    if missing:
        repairs.append(f"{_many(missing, 'missing row')} filled with dark")
    lines = []
    for number in range(1, max(rows) + 1):
        glyphs = rows.get(number, "")[:width].ljust(width, dark)
        lines.append(f"<row:{number}>{glyphs}</row:{number}>\n")
    if not repairs:
        repairs.append("whitespace around the rows, or zeros before their numbers, dropped")
    return "".join(lines)
