"""Texts of pictures to answers, and any number of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import count, islice, takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glyphsight import parallel
from glyphsight.dataset.questions import refers
from glyphsight.errors import PictureError
from glyphsight.inference.answer import Answer, to_answer
from glyphsight.inference.apart import all_halves, apart
from glyphsight.inference.naming import in_words, is_known, names_of, relevant
from glyphsight.inference.reading import PictureText, require_medium, to_text, turned
from glyphsight.inference.score import Request, probabilities
from glyphsight.media.bulk import PictureFile
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.models.runs import UNKNOWN, Task
from glyphsight.parallel import Workers

if TYPE_CHECKING:
    from glyphsight.inference.model import Model

_REPLY = 128  # tokens of an answer in words at most
_SURE = 0.98  # probability of a label from which a picture is read once
TOGETHER = 64
"""Largest number of pictures read and answered together."""


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
        ranked = _ranked(dict(zip(task.labels, probabilities(scores).tolist(), strict=True)))
        found[row] = next(iter(ranked)), ranked
    return found, reasons


def _ranked(chances: dict[str, float]) -> dict[str, float]:
    """Sort the probabilities of labels, likeliest first."""
    return dict(sorted(chances.items(), key=lambda pair: -pair[1]))


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
    if run.turned_by:
        _read_turned(model, task, texts, replies)
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


def _read_turned(
    model: Model,
    task: Task,
    texts: Sequence[PictureText],
    replies: dict[int, tuple[str, dict[str, float]]],
) -> None:
    """Where the model is not sure of a label, take the mean with the same picture turned."""
    run = model.trained
    unsure = [row for row, (label, chances) in replies.items() if chances.get(label, 1) < _SURE]
    read = [(row, one) for row in unsure for one in turned(texts[row], run.profile, run.turned_by)]
    if not read:
        return
    asked = [Request.about(run.prompt, one, task.labels, task.question) for _, one in read]
    again, _ = _replies(model, task, asked)
    together = {row: [replies[row][1]] for row, _ in read}
    for number, (_, chances) in again.items():
        together[read[number][0]].append(chances)
    for row, some in together.items():
        ranked = _ranked({label: sum(one[label] for one in some) / len(some) for label in some[0]})
        replies[row] = next(iter(ranked)), ranked


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
