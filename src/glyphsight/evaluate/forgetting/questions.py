"""Easy questions in plain English, asked through the one scorer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from glyphsight.dataset import Prompt
from glyphsight.inference.score import score_choices
from glyphsight.models import LoadedModel


@dataclass(frozen=True)
class PlainQuestion:
    """A beginning and what may follow it.

    Attributes:
        kind: facts, completion, sentiment or arithmetic.
        prompt: The beginning.
        answer: The choice that follows.
        choices: All of them, a space before each.
    """

    kind: str
    prompt: str
    answer: str
    choices: tuple[str, ...]


@lru_cache(maxsize=1)
def plain_questions() -> tuple[PlainQuestion, ...]:
    """The questions that come with the package, written for it."""
    text = (files("glyphsight") / "assets" / "plain-questions.json").read_text("utf-8")
    return tuple(
        PlainQuestion(one["kind"], one["prompt"], one["answer"], tuple(one["choices"]))
        for one in json.loads(text)
    )


def answered_right(
    loaded: LoadedModel,
    questions: Sequence[PlainQuestion],
    *,
    progress: Callable[[int], Any] = lambda n: None,
) -> list[bool]:
    """Whether each question's likeliest choice, by log-likelihood of all its tokens, is the answer.

    The choice goes on from the question's text, so it is plain text to models of a chat too.

    Args:
        loaded: The model.
        questions: What to ask, each on its own, without examples.
        progress: Called with the number of questions done since the last call.

    Raises:
        ModelError: Two choices of a question are the same tokens to the model.
    """
    scores = score_choices(
        replace(loaded, chat=None),
        [question.prompt for question in questions],
        [question.choices for question in questions],
        Prompt(),
        progress=progress,
    )
    return [
        question.choices[int(own.argmax())] == question.answer
        for question, own in zip(questions, scores, strict=True)
    ]
