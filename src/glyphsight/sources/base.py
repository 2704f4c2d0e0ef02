"""The protocol of a source: splits by name, each split into parts, each part read in batches.

Besides, the steps that sources share: the column and the text of an answer, bytes to pixels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError, GlyphsightError, one_line
from glyphsight.files import normal
from glyphsight.media import load_picture
from glyphsight.media.picture import MAX_PIXELS

PART = 4096
"""Items per part where a source may choose: enough to outweigh its start, little to do again."""

ANSWERS = ("label", "text", "caption", "Response")
"""Columns that hold the answer where no option chooses one."""
QUESTIONS = ("question", "Question")  # columns that hold a question of the item's own

_BATCH = 1024
_BATCH_PIXELS = 1 << 24


@dataclass(frozen=True)
class Batch:
    """Labelled grayscale pictures of one size; a batch is complete when it is made."""

    pixels: NDArray[np.uint8]  # uint8[N, H, W], 0 black to 255 white
    labels: list[str]  # N answers
    ids: list[str]  # N names of the items in the source, each unique there
    # N questions of the pictures' own, "" where one has none; left out, no one has
    questions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.questions:
            object.__setattr__(self, "questions", [""] * len(self))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Batch:
        """Return the pictures at ``indices``, in that order."""
        chosen = indices.tolist()
        lists = self.labels, self.ids, self.questions
        return Batch(self.pixels[indices], *([each[i] for i in chosen] for each in lists))


@dataclass(frozen=True)
class Failure:
    """An item that cannot be read."""

    id: str  # name, as :class:`Batch` would have it
    reason: str  # line that says the file, what is wrong with it and the fix


Item = tuple[str, str, NDArray[np.uint8]] | tuple[str, str, NDArray[np.uint8], str]
"""Id, answer and pixels uint8[H, W] of an item, and its question where it has one."""


@dataclass(frozen=True)
class Part:
    """A piece of a split that one process reads: the unit of work, of retry and of resumption."""

    split: str  # the split it belongs to
    location: tuple[str | int, ...]  # JSON values by which any process finds the part again


class Source(Protocol):
    """A source of labelled pictures; pickled, it works in another process."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits the source has, such as ``("train", "test")``."""
        ...

    @property
    def licence(self) -> str:
        """Licence and attribution of the pictures, or "" where the source states none."""
        ...

    def parts(self, split: str) -> list[Part]:
        """Return the parts of a split, in a fixed order, together every item once.

        Raises:
            DatasetError: The split holds no items, or is damaged as a whole.
        """
        ...

    def read(self, part: Part) -> Iterator[Batch | Failure]:
        """Yield the items of a part in a fixed order, in batches of one size and bounded memory.

        An item that cannot be read comes as a :class:`Failure` in its place.

        Raises:
            DatasetError: The part as a whole cannot be read.
        """
        ...


def ranges(split: str, count: int) -> list[Part]:
    """Return parts ``(start, stop)`` of ``PART`` items each, ``count`` in all."""
    return [Part(split, (start, min(start + PART, count))) for start in range(0, count, PART)]


def batches(items: Iterable[Item | Failure]) -> Iterator[Batch | Failure]:
    """Gather neighbours of one size into batches of bounded memory, order and failures kept."""
    held: list[Item] = []
    for item in chain(items, [None]):
        if held and (
            item is None
            or isinstance(item, Failure)
            or item[2].shape != held[0][2].shape
            or len(held) >= min(_BATCH, max(1, _BATCH_PIXELS // max(1, item[2].size)))
        ):
            yield Batch(
                np.stack([each[2] for each in held]),
                [each[1] for each in held],
                [each[0] for each in held],
                [each[3] if len(each) == 4 else "" for each in held],
            )
            held = []
        if isinstance(item, Failure):
            yield item
        elif item is not None:
            held.append(item)


def read_split(source: Source, split: str) -> Iterator[Batch]:
    """Yield every batch of a split, part after part; raise DatasetError for what cannot be read."""
    for part in source.parts(split):
        for batch in source.read(part):
            if isinstance(batch, Failure):
                raise DatasetError(batch.reason)
            yield batch


def load_split(source: Source, split: str) -> Batch:
    """Load all pictures of a split, which must be of one size.

    Raises:
        DatasetError: They differ in size, or one cannot be read.
    """
    found = list(read_split(source, split))
    if not found:
        raise DatasetError(f"split {split!r} holds no pictures; give another")
    sizes = sorted({batch.pixels.shape[1:] for batch in found})
    if len(sizes) > 1:
        raise DatasetError(
            f"split {split!r} holds pictures of several sizes, such as {sizes[:2]}; make them alike"
        )
    pixels = np.concatenate([batch.pixels for batch in found])
    labels = [label for batch in found for label in batch.labels]
    ids = [name for batch in found for name in batch.ids]
    questions = [one for batch in found for one in batch.questions]
    return Batch(pixels, labels, ids, questions)


@contextmanager
def naming(where: str, problem: str, fix: str) -> Iterator[None]:
    """Turn whatever a library raises in the block into an error that names the file and the fix."""
    try:
        yield
    except GlyphsightError:
        raise
    except Exception as error:
        raise DatasetError(f"{where}: {problem} ({one_line(error)}); {fix}") from error


class _Named(io.BytesIO):
    name = ""  # so that what is wrong with the bytes can be said


def read_item(
    name: str,
    where: str,
    answer: Callable[[], str],
    data: Callable[[], bytes],
    question: Callable[[], Any] = str,
    max_pixels: int = MAX_PIXELS,
) -> Item | Failure:
    """Read an item of a table or an archive, called ``where`` in errors.

    The functions give its answer, the bytes of its picture file and its question; they raise
    ValueError where there is none.
    """
    try:
        stream = _Named(data())
        stream.name = where
        picture = load_picture(stream, max_pixels=max_pixels)
        return name, answer(), picture, question_text(question())
    except (ValueError, RecursionError) as error:
        return Failure(name, f"{where}: {one_line(error)}; fix or remove the item")
    except GlyphsightError as error:
        return Failure(name, str(error))


def choose(kind: str, columns: Sequence[str], chosen: str | None, where: str) -> str:
    """Return the chosen column of a kind, ``answer`` or ``image``, else the only one.

    Raises:
        DatasetError: There is none, or several and none is chosen; ``where`` names the table.
    """
    if chosen is not None and chosen not in columns:
        raise DatasetError(
            f"{where}: {chosen!r} is no {kind} column; take one of {', '.join(columns) or 'none'}"
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
    """Return the answer column: the chosen one, one of ``ANSWERS``, else the only one."""
    known = [name for name in columns if name in ANSWERS] if chosen is None else []
    others = [name for name in columns if name == chosen or name not in QUESTIONS]
    return choose("answer", known or others, chosen, where)


def is_unicode(text: str) -> bool:
    """Check that a text can be written as UTF-8: file names may hold lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def one_line_name(name: str) -> str:
    """Return a name as a line of valid Unicode; other characters are escaped."""
    if is_unicode(name) and len(name.splitlines()) == 1:
        return name
    return name.encode("unicode_escape").decode("ascii")


def answer_text(value: Any, names: Sequence[str] | None = None) -> str:
    """Return an answer as text in its normal form: a class number by its name where it has one.

    Raises:
        ValueError: It is no answer; the message says why.
    """
    if isinstance(value, int) and names is not None:
        if not 0 <= value < len(names):
            raise ValueError(f"class {value} has no name, there are {len(names)}")
        value = names[value]
    if value is None or value != value or (isinstance(value, str) and not value.strip()):  # NaN
        raise ValueError("has no answer")
    if not isinstance(value, str | int | float):
        raise ValueError(f"its answer is no text but {type(value).__name__}")
    if not is_unicode(str(value)):
        raise ValueError("its answer is not valid Unicode")
    return normal(str(value))


def question_text(value: Any) -> str:
    """Return the text of an item's own question, "" for none; raise ValueError if it is no text."""
    if not isinstance(value, str | None) or not is_unicode(value or ""):
        raise ValueError("its question is no text")
    return normal(value or "")
