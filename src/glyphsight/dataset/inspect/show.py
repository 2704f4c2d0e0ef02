"""Records side by side, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path

from glyphsight.codec import Profile
from glyphsight.codec.formats import get_format
from glyphsight.console import printable
from glyphsight.dataset.inspect.items import Drawn, Item, read_grids, read_items
from glyphsight.dataset.storage import read_info, split_files
from glyphsight.errors import DatasetError, FormatError

_GAP = 3
_MIN_COLUMNS = 16  # so that an answer below a small picture is not folded into single letters
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
    """Draw some records of a split at random in one reading; the same for the same seed.

    Without ``label`` entries that are no record are drawn too; ``index``, from 1, is that of the
    only record in place of a draw.

    Raises:
        DatasetError: The dataset cannot be read, or has no such record.
    """
    [(name, files)] = list(split_files(path, split).items())[:1]
    where = f"{path}, split {name}" if name else str(path)
    drawn = Drawn(number, seed)
    seen = 0
    for item in read_items(files, read_info(path)):
        seen += 1
        if index == seen:
            return [item]
        if index is None and label in (None, item.record.answer if item.record else ""):
            drawn.offer(item)
    if index is not None:
        raise DatasetError(
            f"{where}: has {seen} records, there is no number {index}; lower --index"
        )
    if not (chosen := drawn.in_order()):
        what = "no record" if label is None else f"no record that answers {label!r}"
        raise DatasetError(f"{where}: holds {what}; give another --split or --label")
    return chosen


def columns_of(text: str) -> int:
    """Count the terminal columns of a text; East Asian wide glyphs take two (UAX #11)."""
    return sum(_columns(glyph) for glyph in text)


def _columns(glyph: str) -> int:
    if unicodedata.category(glyph) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(glyph) in "WF" else 1


def picture_lines(item: Item, profile: Profile, *, raw: bool = False) -> list[str]:
    """Draw the pictures of a record, one below the other; ``raw`` gives the text as it is.

    A picture that cannot be read is its text and the reason.
    """
    if item.record is None:
        return _fold(f"[{item.fault}]", 40)
    lines: list[str] = []
    raw = raw or get_format(profile.format).cell != (1, 1)  # block glyphs are the picture already
    pictures = item.record.pictures
    for picture, grid in zip(pictures, read_grids(pictures, profile), strict=True):
        if lines:
            lines.append("")
        text = [printable(line) for line in picture.removesuffix("\n").split("\n")]
        if isinstance(grid, FormatError):
            lines += [*text, *_fold(f"[{grid}]", max([40, *map(columns_of, text)]))]
        elif raw:
            lines += text
        else:
            lines += ["".join(profile.palette[level] for level in row) for row in grid.tolist()]
    return lines


def caption_lines(item: Item, width: int) -> list[str]:
    """Fold question, answer, number and source of a record to a width."""
    record = item.record
    answer = (printable(record.answer) or "(empty)") if record else "(no record)"
    texts = [answer, f"{item.file.name} {item.number}"]
    if record and record.question:
        texts.insert(0, printable(record.question))
    if record and record.source:
        texts.append(printable(record.source))
    return [line for text in texts for line in _fold(text, width)]


def _fold(text: str, width: int) -> list[str]:
    """Fold a text at any character into a few lines of at most ``width`` columns."""
    lines, used = [""], 0
    for glyph in text:
        columns = _columns(glyph)
        if used + columns > width:
            if len(lines) == _MAX_LINES:
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
    """Lay pictures and their captions out in as many columns as fit in ``width``.

    All get the width of the widest; one that is wider than the terminal stands alone, unfolded.
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
    """Lay records out side by side, each with its caption below its pictures."""
    blocks = []
    for item in items:
        picture = picture_lines(item, profile, raw=raw)
        space = max([_MIN_COLUMNS, *map(columns_of, picture)])
        blocks.append((picture, caption_lines(item, space)))
    return side_by_side(blocks, width)
