"""Tasks: questions with known answers, and how a reply is judged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from glyphsight.codec import Profile
from glyphsight.dataset import Prompt
from glyphsight.errors import DatasetError
from glyphsight.evaluate.result import Samples, Share
from glyphsight.files import normal
from glyphsight.inference import Model, Request
from glyphsight.sampling import stratified_sample

_MARKS = " \t.,:;!?'\"`*()[]"


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a task."""

    ascii_image: str  # picture as text
    answers: tuple[str, ...]  # right answers, at least one
    choices: tuple[str, ...]  # to choose from; empty where the answer is open: writing is judged
    group: str = ""  # question or concept that accuracy is also averaged over; "" for none
    # Text that the model reads, without white space at its end; "" stands for the task's wording
    # around the picture and the group's question
    prompt: str = ""
    pictures: int = 1  # number of pictures in the text

    def ask(self, wording: Prompt) -> str:
        """Return the prompt, in a wording where the item has none of its own."""
        return self.prompt or wording.ask(self.ascii_image, self.group)


def likeliest(model: Model, items: Sequence[Item], wording: Prompt, **how: Any) -> list[str]:
    """Return the likeliest choice of each item; ``how`` as of :meth:`Model.best`."""
    asked = [Request(one.ask(wording), tuple(map(wording.reply, one.choices))) for one in items]
    best = model.best(asked, **how)
    return [one.choices[column] for one, column in zip(items, best, strict=True)]


def as_written(reply: str, item: Item) -> str:
    """Return a reply itself as the answer, in normal form; a right one as the data spells it."""
    said = normal(reply)
    return next((one for one in item.answers if normal(one) == said), said)


def read_reply(reply: str, item: Item) -> str:
    """Find the answer in a reply: its first line or first word, without marks and case.

    Returns:
        The choice that the line or word is. Without choices the first word, as a right answer is
        spelled where it is one. "" where there is no answer.
    """
    line = next(iter(normal(reply).splitlines()), "")
    word = next(iter(line.split()), "").strip(_MARKS)
    known = {normal(one).casefold(): one for one in item.choices or item.answers}
    if not item.choices:
        return known.get(word.casefold(), word)
    return known.get(line.strip(_MARKS).casefold()) or known.get(word.casefold(), "")


def character_match(said: str, answer: str) -> float:
    """Return the share of the characters of ``answer`` that a reply holds, in any order, 0-1.

    The average match ratio of ViTC (Jiang et al. 2024), as its program counts: case is ignored and
    the reply is cut to the length of the answer.
    """
    given, wanted = said.casefold()[: len(answer)], answer.casefold()
    return (Counter(given) & Counter(wanted)).total() / len(wanted)


@dataclass(frozen=True)
class Task:
    """Questions with known answers, and how a reply is judged."""

    data: str  # data as the user named it: a path, a source SPEC or ``KIND:FILE``
    items: Sequence[Item]  # questions, at least one
    # Wording that turns answers into completions, and pictures into prompts for items without a
    # prompt of their own
    prompt: Prompt = field(default_factory=Prompt)
    # Function from a reply and its item to the answer in the reply, "" for none. It is sent to
    # other processes, so it stands in a module.
    read: Callable[[str, Item], str] = as_written
    plain: bool = True  # True where a chat model is asked without its template too
    labels: Sequence[str] = ()  # all answers to choose from, sorted; rows of the confusion matrix
    rows: Sequence[int] = ()  # number of each item in the data, from 0; empty for their order
    split: str | None = None  # split of the data; None where it has none
    files: Sequence[Path] = ()  # dataset files in order; empty for other data
    counts: Sequence[int] = ()  # number of records of each file
    profile: Profile | None = None  # that the pictures should be written in; None for any text
    notes: Sequence[str] = ()  # sentences on how the pictures were read
    partial: Callable[[str, str], float] | None = None  # rates an open answer as written, 0-1
    # Function from the model and the outcomes of all items to further figures, by name
    further: Callable[[Model, Samples], dict[str, Share]] | None = None

    def __post_init__(self) -> None:
        if not self.items:
            raise DatasetError(f"{self.data}: holds no question; give other data")
        if not self.labels:
            labels = sorted({choice for item in self.items for choice in item.choices})
            object.__setattr__(self, "labels", labels)

    @cached_property
    def truth(self) -> list[str]:
        """The first right answer to each item."""
        return [item.answers[0] for item in self.items]

    def limited(self, limit: int | None, seed: int) -> Task:
        """Return the task with ``limit`` items at most, stratified by answer."""
        if limit is None or limit >= len(self.items):
            return self
        kept = stratified_sample(self.truth, limit, seed).tolist()
        rows = [self.rows[row] if self.rows else row for row in kept]
        return replace(self, items=[self.items[row] for row in kept], rows=rows)

    def digest(self) -> str:
        """Return the SHA-256 of all that the items ask, in hexadecimal."""
        found = sha256(json.dumps(list(self.labels)).encode())
        before: Sequence[str] | None = None
        for item in self.items:
            choices = None if item.choices == before else item.choices  # mostly those of all
            value = [item.ascii_image, item.answers, item.group, item.prompt, choices]
            found.update(json.dumps(value).encode())
            before = item.choices
        return found.hexdigest()

    def name(self, row: int) -> str:
        """Return what a user calls an item: its data and its number there, from 1."""
        row = self.rows[row] if self.rows else row
        if not self.files:
            return f"{self.data}: {f'split {self.split}: ' if self.split else ''}record {row + 1}"
        starts = np.cumsum([0, *self.counts])
        file = int(np.searchsorted(starts, row, side="right")) - 1
        return f"{self.files[file]}: record {row - int(starts[file]) + 1}"
