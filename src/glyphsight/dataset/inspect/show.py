"""Records side by side, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path

from glyphsight.codec import Profile
from glyphsight.codec.formats import get_format
from glyphsight.dataset.inspect.items import Drawn, Item, read_items
from glyphsight.dataset.storage import Frame, read_frame, split_files
from glyphsight.errors import DatasetError, FormatError

_GAP = 3
_MIN_COLUMNS = 16  # so that an answer below a small picture is not cut into single letters
_MAX_LINES = 4


def choose_items(
    path: Path,
    *,
    split: str | None = None,
    number: int = 8,
    seed: int = 0,
    label: str | None = None,
    index: int | None = None,
) -> list[Item]:
    """Some records of a split, drawn at random in one reading; the same for the same seed.

    Args:
        path: A dataset in any layout.
        split: Which; None for the first there is.
        number: How many at most.
        seed: Of the draw.
        label: Only records with this answer.
        index: Only the record of this number in the split, from 1.

    Returns:
        In the order of the split; also what is no record.

    Raises:
        DatasetError: The dataset cannot be read, or nothing in it is asked for.
    """
    files, frame = split_files(path, split), read_frame(path)
    name = next(iter(files))
    where = f"{path}, split {name}" if name else str(path)
    drawn = Drawn(number, seed)
    seen = 0
    for item in _items(name, files[name], frame):
        seen += 1
        if index is not None:
            if seen == index:
                return [item]
            continue
        if label is not None and (item.record is None or item.record.answer != label):
            continue
        drawn.offer(item)
    if index is not None:
        raise DatasetError(f"{where}: has {seen} records, there is no number {index}")
    if not (chosen := drawn.in_order()):
        what = "no record" if label is None else f"no record that answers {label!r}"
        raise DatasetError(f"{where}: holds {what}")
    return chosen


def _items(split: str, files: Sequence[Path], frame: Frame) -> Iterator[Item]:
    for file in files:
        yield from read_items(split, file, frame)


def columns_of(text: str) -> int:
    """Terminal columns that a text takes; East Asian wide glyphs take two (UAX #11)."""
    return sum(_columns(glyph) for glyph in text)


def _columns(glyph: str) -> int:
    if unicodedata.category(glyph) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(glyph) in "WF" else 1


def printable(text: str) -> str:
    r"""A text whose control characters are written out, such as ``\n``: none reaches a terminal."""
    return "".join(
        glyph if glyph.isprintable() else glyph.encode("unicode_escape").decode() for glyph in text
    )


def picture_lines(item: Item, profile: Profile, *, raw: bool = False) -> list[str]:
    """What to print of a record's picture.

    Args:
        item: The record.
        profile: Format and palette of its picture.
        raw: The text as it is, in place of the glyphs of its cells.

    Returns:
        A line a row; for what cannot be read its text as it is, and why.
    """
    if item.record is None:
        return _fold(f"[{item.fault}]", 40, _MAX_LINES)
    text = item.record.picture
    lines = [printable(line) for line in text.removesuffix("\n").split("\n")]
    form = get_format(profile.format)
    try:
        grid = form.read(text, profile.palette)
    except FormatError as error:
        return [*lines, *_fold(f"[{error}]", max([40, *map(columns_of, lines)]), _MAX_LINES)]
    if raw or form.cell != (1, 1):  # block glyphs are the picture already
        return lines
    return ["".join(profile.palette[level] for level in row) for row in grid.tolist()]


def caption_lines(item: Item, width: int) -> list[str]:
    """The answer, the number and the source of a record, folded to a width."""
    answer = printable(item.record.answer) if item.record else "(no record)"
    lines = [
        *_fold(answer or "(empty)", width, _MAX_LINES),
        *_fold(f"{item.file.name} {item.number}", width, _MAX_LINES),
    ]
    if item.record and item.record.source:
        lines += _fold(printable(item.record.source), width, _MAX_LINES)
    return lines


def _fold(text: str, width: int, most: int) -> list[str]:
    """A text in at most so many lines of at most so many columns, cut anywhere."""
    lines, used = [""], 0
    for glyph in text:
        columns = _columns(glyph)
        if used + columns > width:
            if len(lines) == most:
                lines[-1] = lines[-1][:-1] + "…"
                break
            lines.append("")
            used = 0
        lines[-1] += glyph
        used += columns
    return lines


def side_by_side(
    blocks: Sequence[tuple[Sequence[str], Sequence[str]]], width: int
) -> Iterator[str]:
    """Lay blocks out in as many columns as fit, captions of a row at one height.

    Args:
        blocks: The lines of each picture and of its caption; all are given the width of the widest.
        width: Columns of the terminal; a block that is wider stands alone, uncut.

    Yields:
        Lines without spaces at their end; an empty one between two rows of blocks.
    """
    widest = max((columns_of(line) for block in blocks for line in chain(*block)), default=0)
    across = max(1, (width + _GAP) // (widest + _GAP))
    for start in range(0, len(blocks), across):
        if start:
            yield ""
        for lines in zip(*blocks[start : start + across], strict=True):
            for cells in zip_longest(*lines, fillvalue=""):
                filled = [cell + " " * (widest - columns_of(cell)) for cell in cells]
                yield (" " * _GAP).join(filled).rstrip()


def show_lines(
    items: Sequence[Item], profile: Profile, width: int, *, raw: bool = False
) -> Iterator[str]:
    """Records side by side, each with its caption below the picture."""
    blocks = []
    for item in items:
        picture = picture_lines(item, profile, raw=raw)
        space = max([_MIN_COLUMNS, *map(columns_of, picture)])
        blocks.append((picture, caption_lines(item, space)))
    return side_by_side(blocks, width)
