"""Pictures to the text that a model reads, scores to answers, and any number of both."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from html import escape
from itertools import count, islice, takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glyphsight import parallel
from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.adjust import stretch_contrast
from glyphsight.codec.formats import get_format
from glyphsight.codec.gaps import Piece, pieces
from glyphsight.codec.ink import SMALLEST, Ink, find_ink
from glyphsight.codec.prepare import Box, Prepared, content, prepare_things, remaining
from glyphsight.codec.things import MOST
from glyphsight.dataset.questions import refers
from glyphsight.errors import PictureError
from glyphsight.inference.apart import all_halves, apart
from glyphsight.inference.naming import in_words, is_known, names_of, relevant
from glyphsight.inference.score import Request, probabilities
from glyphsight.media import PictureLike, load_gray, medium_of
from glyphsight.media.bulk import PictureFile
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.models import RunRecord
from glyphsight.models.runs import UNKNOWN, Task
from glyphsight.pages import bars_html, text_html
from glyphsight.parallel import Workers

if TYPE_CHECKING:
    from glyphsight.inference.model import Model

_REPLY = 128  # tokens of an answer in words at most
TOGETHER = 64
"""Largest number of pictures read and answered together."""


@dataclass(frozen=True)
class Answer:
    """Answer of a model to a picture; of several things in it to the main one.

    Attributes:
        label: The likeliest label; of a question without labels, what the model wrote; "unknown"
            of an empty picture.
        name: Meaning of the label; the label itself where the run names none.
        probability: Probability of the label among all labels, 0-1; None for an empty picture,
            which no model judges, and for a written answer.
        probabilities: Probability of every label, likeliest first; empty for an answer that the
            model wrote; of one that a talker wrote, those of what was seen.
        ascii_image: Text that the model read.
        inverted: True where the picture was dark on light and was inverted.
        cropped: True where the picture was scaled and centred as MNIST's digits are.
        empty: True where all cells of the text are alike, so there was nothing to see.
        known: False for an empty picture, and where a model that has the label "unknown" gives it.
        found: Ink that was found and what was done to its ground and contrast, in a line; ""
            where none was sought or found.
        box: Top, bottom, left, right in pixels of the picture; None where no ink was sought or
            found, and the picture is one thing.
        parts: Answers to each thing in reading order; empty where there are not several.
        said: What was seen, in words, where the answer is written or about several things at once:
            the talker read them; "" where the answer is a label.
        written: Letters and digits of a line that was read sign by sign; "" where none was asked
            for.
    """

    label: str
    name: str
    probability: float | None
    probabilities: dict[str, float]
    ascii_image: str
    inverted: bool
    cropped: bool
    empty: bool
    known: bool = True
    found: str = ""
    box: tuple[int, int, int, int] | None = None
    parts: tuple[Answer, ...] = ()
    said: str = ""
    written: str = ""

    @property
    def things(self) -> tuple[Answer, ...]:
        """All things in reading order; this one where there are not several."""
        return self.parts or (self,)

    @property
    def labels(self) -> list[str]:
        """Labels of all things in reading order."""
        return [one.label for one in self.things]

    def _repr_html_(self) -> str:
        """Show text, answer and probabilities in a notebook; of several things each."""
        shown = "".join(
            f'<div style="margin:4px 0">{text_html(one.ascii_image)}'
            f'<div style="display:inline-block;vertical-align:top"><div><b>{escape(one.name)}</b>'
            f"</div>{bars_html(one.probabilities)}</div></div>"
            for one in self.things
        )
        if self.said and self.parts:  # the names above are the parts' own
            shown += f"<div><b>{escape(self.name)}</b></div>"
        return f"{shown}<div>{escape(self.found)}</div>" if self.found else shown


@dataclass(frozen=True)
class PictureText:
    """A picture as a model reads it; of several things the main one."""

    ascii_image: str  # the text
    height: int  # height of the picture in pixels
    width: int  # width of the picture in pixels
    inverted: bool  # True where the picture was dark on light and was inverted
    cropped: bool  # True where the picture was cropped and centred
    ink: Ink | None = None  # ink that was found; None where none was sought or found
    found: str = ""  # what was found and done to its ground, in a line; "" likewise
    parts: tuple[PictureText, ...] = ()  # of all things in reading order, if there are several
    main: int = 0  # number of the main one among the parts
    box: Box | None = None  # box of the text in pixels of the picture; None for the whole picture
    # Texts of the two sides of its widest gap, or of what its frame holds, each parted likewise;
    # empty where there is neither. They are things where the model is surer of them than of the
    # whole.
    halves: tuple[PictureText, ...] = ()

    @property
    def things(self) -> tuple[PictureText, ...]:
        """All things in reading order; this one where there are not several."""
        return self.parts or (self,)

    def _repr_html_(self) -> str:
        """Show the text in a notebook, of several things each."""
        return "".join(text_html(one.ascii_image) for one in self.things)


def require_medium(picture: PictureLike, model: Model) -> None:
    """Refuse a sound where a model reads pictures, and a picture where it hears sounds.

    A model hears where its profile trims; it reads pictures where it ships besides, or where its
    profile seeks ink or centres.

    Raises:
        PictureError: Names the file and the fix.
    """
    if not isinstance(picture, str | os.PathLike):
        return
    medium, profile = medium_of(picture), model.trained.profile
    if medium is None:
        return
    hears = profile.trim is not None
    if medium.name == "picture" and hears:
        raise PictureError(
            f"{picture}: a picture, and {model.name} was trained on sounds; ask glyphsight see"
        )
    if (
        medium.name == "sound"
        and not hears
        and (model.ships or profile.seeks_ink or profile.centre)
    ):
        raise PictureError(
            f"{picture}: a sound, and {model.name} was trained on pictures; ask glyphsight hear, "
            "or give --model a run trained on sounds"
        )


def to_text(picture: PictureLike, profile: Profile) -> PictureText:
    """Turn a picture into the text that a model reads, and each thing of several.

    A mark so faint that the profile makes all cells alike is read with its contrast stretched.

    Raises:
        PictureError: The picture cannot be read.
    """
    pixels = load_gray(picture, heard=profile.trim is not None)
    text = _to_text(pixels, profile)
    if profile.trim is not None or text.parts or not _is_empty(text, profile):
        return text
    if (ink := find_ink(pixels)) is None:
        return text
    if ink.shaded:  # stretched, the shadow would be what is seen
        clear = 255 - ink.pixels if ink.dark else ink.pixels
    else:
        clear = stretch_contrast(pixels[None])[0]
    again = _to_text(clear, profile)
    if again.parts or _is_empty(again, profile):
        return text
    height, width = pixels.shape
    found = f"{again.found or 'a faint mark'}, and stretched its contrast"
    return replace(again, height=height, width=width, found=found)


def _is_empty(text: PictureText, profile: Profile) -> bool:
    """Say whether all cells of a text are alike."""
    grid = get_format(profile.format).read(text.ascii_image, profile.palette)
    return bool((grid == grid.flat[0]).all())


def _to_text(pixels: NDArray[np.uint8], profile: Profile) -> PictureText:
    things, inks = prepare_things(pixels, profile)
    rest, (height, width) = remaining(profile), pixels.shape
    texts = []
    for one in things:
        text = encode_batch(one.pixels[None], rest)[0]
        texts.append(PictureText(text, height, width, one.inverted, one.centred, one.ink))
    several = tuple(texts) if len(texts) > 1 else ()
    halves = _halves(things[0], texts[0], rest) if profile.paper else ()
    found = str(inks)
    return replace(texts[inks.main], found=found, parts=several, main=inks.main, halves=halves)


def _halves(done: Prepared, text: PictureText, rest: Profile) -> tuple[PictureText, ...]:
    """Read the pieces of a picture, as :class:`PictureText` says; not of more than ``MOST``."""
    if max(done.pixels.shape) < SMALLEST:
        return ()

    def read(piece: Piece) -> PictureText:
        top, bottom, left, right = piece.box
        own = encode_batch(done.pixels[None, top:bottom, left:right], rest)[0]
        halves = tuple(map(read, piece.halves))
        return replace(text, ascii_image=own, box=done.in_picture(piece.box), halves=halves)

    whole = pieces(content(done.pixels[None])[0], MOST)
    return () if whole is None else tuple(map(read, whole.halves))


def to_answer(
    text: PictureText, run: RunRecord, ranked: dict[str, float], label: str, name: str = ""
) -> Answer:
    """Make the answer to a picture, with every label's probability, none for an open answer."""
    empty = _is_empty(text, run.profile)
    if empty or label == UNKNOWN:
        label, name = UNKNOWN, "nothing I know"
    return Answer(
        label=label,
        name=name or label,
        probability=None if empty else ranked.get(label),
        probabilities=ranked,
        ascii_image=text.ascii_image,
        inverted=text.inverted,
        cropped=text.cropped,
        empty=empty,
        known=label != UNKNOWN,
        found=text.found,
        box=text.box or (None if text.ink is None else text.ink.box),
    )


def answer_texts(
    model: Model, texts: Sequence[PictureText], question: str | None = None
) -> list[Answer | PictureError]:
    """Answer the texts of pictures; an error stands where the model does not take one."""
    if question is not None and (talker := model.talker_for(question)) is not None:
        return [_talked(talker, one, question) for one in answer_texts(model, texts)]
    named_first = model.trained.names_first and model.task(question) != model.trained.tasks[0]
    if question is not None and named_first and model.writes(question):
        return _own_words(model, texts, question)
    if not model.task(question).labels:
        texts = [replace(text, halves=()) for text in texts]
    each = [part for text in texts for one in text.things for part in all_halves(one)]
    found = iter(_answer_each(model, each, question))
    joined: list[Answer | PictureError] = []
    for text in texts:
        if text.halves:
            joined.append(apart(text, found))
            continue
        first = next(found)
        if not text.parts:
            joined.append(first)
            continue
        parts = [first, *islice(found, len(text.parts) - 1)]
        error = next((part for part in parts if isinstance(part, PictureError)), None)
        known = tuple(part for part in parts if isinstance(part, Answer))
        joined.append(error or replace(known[text.main], found=text.found, parts=known))
    return joined


def _talked(talker: Model, named: Answer | PictureError, question: str) -> Answer | PictureError:
    """Let a talker answer a question about what was named; what is not known is left so."""
    if isinstance(named, PictureError) or (refers(question) and not is_known(named)):
        return named
    said = in_words([names_of(named)])
    asked = relevant([{"role": "user", "content": f"{said}\n{question}"}])
    reply = talker.chat(asked, most=_REPLY)
    return replace(
        named,
        label=reply,
        name=reply,
        probability=None,
        known=True,
        said=said,
    )


def _own_words(
    model: Model, texts: Sequence[PictureText], question: str
) -> list[Answer | PictureError]:
    """Let a run that takes any question answer one about what it can name; the rest is left so.

    Several things in a picture are asked about together.
    """
    found, task, run = answer_texts(model, texts), model.task(question), model.trained
    known = {row: one for row, one in enumerate(found) if isinstance(one, Answer) and is_known(one)}
    asked = [
        Request.about(
            run.prompt, "".join(thing.ascii_image for thing in one.things), task.labels, question
        )
        for one in known.values()
    ]
    replies, reasons = _replies(model, task, asked)
    for number, (row, named) in enumerate(known.items()):
        if number in reasons:
            found[row] = PictureError(f"too tall as text ({reasons[number]}); crop it")
            continue
        label, chances = replies[number]
        alone = bool(chances) and not named.parts
        found[row] = replace(
            named,
            label=label,
            name=task.name_of(label),
            probability=chances.get(label),
            probabilities=chances if alone else named.probabilities,
            known=label != UNKNOWN,
            said="" if alone else in_words([names_of(named)]),
        )
    return found


def _replies(
    model: Model, task: Task, asked: Sequence[Request]
) -> tuple[dict[int, tuple[str, dict[str, float]]], dict[int, str]]:
    """Answer requests by a label or in writing; say which are too long."""
    reasons = model.too_long(asked)
    fit = [row for row in range(len(asked)) if row not in reasons]
    some = [asked[row] for row in fit]
    if not task.labels:
        read = model.trained.prompt.read_reply
        return {
            row: (read(one), {}) for row, one in zip(fit, model.generate(some), strict=True)
        }, reasons
    found = {}
    for row, scores in zip(fit, model.score(some), strict=True):
        ranked = _ranked(task, scores)
        found[row] = next(iter(ranked)), ranked
    return found, reasons


def _ranked(task: Task, scores: NDArray[np.float32]) -> dict[str, float]:
    """Return the probability of each label, likeliest first."""
    chances = zip(task.labels, probabilities(scores).tolist(), strict=True)
    return dict(sorted(chances, key=lambda pair: -pair[1]))


def _answer_each(
    model: Model, texts: Sequence[PictureText], question: str | None
) -> list[Answer | PictureError]:
    """Answer texts of one thing each."""
    run, task = model.trained, model.task(question)
    asked = [
        Request.about(run.prompt, text.ascii_image, task.labels, task.question) for text in texts
    ]
    model.settle(len(asked), rounded=True)
    model.warn_of_merged()
    replies, reasons = _replies(model, task, asked)
    found: list[Answer | PictureError] = []
    for row, text in enumerate(texts):
        if row in replies:
            label, chances = replies[row]
            found.append(to_answer(text, run, chances, label, task.name_of(label)))
            continue
        found.append(
            PictureError(
                f"{text.height}x{text.width} pixels are too tall as text "
                f"({reasons.get(row, '')}); crop it"
            )
        )
    return found


@dataclass(frozen=True)
class Seen:
    """Outcome of one picture of many."""

    path: str  # path as it was given or found
    answer: Answer | None = None  # answer of the model; None where there is none
    error: str = ""  # reason why there is none, "" where there is one
    pixels: NDArray[np.uint8] | None = None  # the picture, gray uint8[H, W], where it was asked for
    state: str = ""  # state of the file as its task notes it


@dataclass(frozen=True)
class Asking:
    """What many pictures are asked."""

    question: str | None = None  # None for the first that the model was trained on
    signs: bool = False  # True where each is a line of letters and digits, read sign by sign
    max_pixels: int = MAX_PIXELS  # largest number of pixels per file
    pixels: bool = False  # True where the pixels of the pictures are kept


@dataclass(frozen=True)
class _Seeing:
    """Answers a list of pictures; a worker keeps it, with the model."""

    model: Model
    asking: Asking

    def __call__(self, tasks: list[PictureFile]) -> list[Seen]:
        from glyphsight.inference.signs import read_signs

        seen = [Seen(task.path, error=task.error or "") for task in tasks]
        texts: dict[int, PictureText] = {}
        for row, task in enumerate(tasks):
            if task.error:
                continue
            try:
                require_medium(task.path, self.model)
                hears = self.model.trained.profile.trim is not None
                pixels = task.read(max_pixels=self.asking.max_pixels, heard=hears)
            except PictureError as error:
                seen[row] = Seen(task.path, error=str(error))
                continue
            try:
                kept = pixels if self.asking.pixels else None
                seen[row] = Seen(task.path, pixels=kept, state=task.state)
                if self.asking.signs:
                    seen[row] = replace(seen[row], answer=read_signs(self.model, pixels))
                else:
                    texts[row] = to_text(pixels, self.model.trained.profile)
            except PictureError as error:
                seen[row] = Seen(task.path, error=f"{task.path}: {error}")
        answers = self.model.answers(list(texts.values()), self.asking.question)
        for row, answer in zip(texts, answers, strict=True):
            if isinstance(answer, PictureError):
                seen[row] = Seen(tasks[row].path, error=f"{tasks[row].path}: {answer}")
            else:
                seen[row] = replace(seen[row], answer=answer)
        return seen


def see_many(
    tasks: Iterable[PictureFile],
    model: Model,
    where: Workers | None = None,
    *,
    asking: Asking = Asking(),
    together: int = TOGETHER,
) -> Iterator[Seen]:
    """Answer any number of pictures, in order, in bounded memory.

    Args:
        tasks: Pictures as :func:`glyphsight.media.bulk.plan` finds them; taken as they are needed.
        model: A trained model; workers load it by its name.
        where: Processes that do the work, None for this one.
        asking: What each picture is asked.
        together: Largest number of pictures answered together, after 1, 2, 4 and so on, so that
            the first answer comes at once.

    Raises:
        ModelError: As :meth:`glyphsight.inference.Model.task`, or the model cannot read signs.
    """
    model.task(asking.question)
    model.settle(len(tasks) if isinstance(tasks, Sized) else None, rounded=True)
    left, sizes = iter(tasks), (min(2**power, together) for power in count())
    chunks = takewhile(bool, (list(islice(left, size)) for size in sizes))
    seeing = _Seeing(model, asking)
    for some in parallel.map(seeing, chunks, where or Workers(workers=1)):
        yield from some
