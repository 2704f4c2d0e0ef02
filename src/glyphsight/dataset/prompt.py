"""The words around the picture: what a model reads and what it should write."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from glyphsight.dataset.record import Record, json_type
from glyphsight.dataset.text import parse_json, read_text
from glyphsight.errors import DatasetError

_PICTURE, _ANSWER = "{ASCII_image}", "{Response}"


@dataclass(frozen=True)
class Prompt:
    """How a record becomes a prompt and a completion; saved with every trained model.

    Attributes:
        question: Text the model reads; ``{ASCII_image}`` stands for the picture.
        answer: Text it should write; ``{Response}`` stands for the answer. It starts with the
            space, since tokenizers merge a space with the word after it.
        instruction: What the model is told once, before the question: a line before it, and the
            system message of a chat; "" for none.
    """

    question: str = f"{_PICTURE}Response:"
    answer: str = f" {_ANSWER}"
    instruction: str = ""

    def __post_init__(self) -> None:
        for text, field in ((self.question, _PICTURE), (self.answer, _ANSWER)):
            if text.count(field) != 1:
                raise DatasetError(f"prompt {text!r} must hold {field} once")

    def ask(self, ascii_image: str) -> str:
        """The prompt for a picture."""
        before, after = self._around()
        return f"{before}{ascii_image}{after}"

    def reply(self, response: str) -> str:
        """The completion for an answer."""
        return self.answer.replace(_ANSWER, response)

    def pair(self, record: Record) -> tuple[str, str]:
        """Prompt and completion of a record."""
        return self.ask(record.ascii_image), self.reply(record.response)

    def messages(self, record: Record) -> list[dict[str, str]]:
        """The record as a chat: system with the instruction, where there is one, user, assistant.

        The assistant's turn stands alone, so it goes without the space an answer starts with.
        """
        asked = self.question.replace(_PICTURE, record.ascii_image)
        said = self.answer.removeprefix(" ").replace(_ANSWER, record.response)
        system = [{"role": "system", "content": self.instruction}] if self.instruction else []
        return [
            *system,
            {"role": "user", "content": asked},
            {"role": "assistant", "content": said},
        ]

    def parse(self, prompt: str, completion: str) -> tuple[str, str] | None:
        """Picture and answer of a prompt and its completion, the inverse of :meth:`pair`.

        Returns:
            None where the words around them are others.
        """
        picture = _between(prompt, *self._around())
        response = _between(completion, *_parts(self.answer, _ANSWER))
        return None if picture is None or response is None else (picture, response)

    def parse_turns(self, user: str, assistant: str) -> tuple[str, str] | None:
        """Picture and answer of a user's and an assistant's message; see :meth:`messages`."""
        picture = _between(user, *_parts(self.question, _PICTURE))
        response = _between(assistant, *_parts(self.answer.removeprefix(" "), _ANSWER))
        return None if picture is None or response is None else (picture, response)

    def read_reply(self, text: str) -> str:
        """The answer inside a completion; the inverse of :meth:`reply`, white space trimmed."""
        before, after = _parts(self.answer, _ANSWER)
        return text.strip().removeprefix(before.strip()).removesuffix(after.strip()).strip()

    def _around(self) -> tuple[str, str]:
        """Text before and after the picture."""
        before, after = _parts(self.question, _PICTURE)
        return (f"{self.instruction}\n{before}" if self.instruction else before), after


def _parts(text: str, field: str) -> tuple[str, str]:
    before, _, after = text.partition(field)
    return before, after


def _between(text: str, before: str, after: str) -> str | None:
    """What stands between the two in ``text``, None where it does not start and end with them."""
    if len(text) < len(before) + len(after) or not (
        text.startswith(before) and text.endswith(after)
    ):
        return None
    return text[len(before) : len(text) - len(after)]


def wordings_from_json(value: Any, where: str) -> tuple[Prompt, ...]:
    """Wordings from the JSON of a list of objects with ``question``, ``answer``, ``instruction``.

    What an object leaves out is as in the default :class:`Prompt`.

    Raises:
        DatasetError: It is no such list; names the place.
    """
    if not isinstance(value, list) or not value:
        what = "an empty array" if value == [] else json_type(value)
        raise DatasetError(
            f'{where}: {what} where a list of {{"question": "...", "answer": "..."}} belongs'
        )
    known = [field.name for field in fields(Prompt)]
    wordings = []
    for number, item in enumerate(value, start=1):
        place = f"{where}: wording {number}"
        if not isinstance(item, dict):
            raise DatasetError(f"{place}: {json_type(item)}, must be an object")
        for key, text in item.items():
            if key not in known:
                raise DatasetError(f"{place}: unknown key {key!r}; there is {', '.join(known)}")
            if not isinstance(text, str):
                raise DatasetError(f"{place}: {key!r} is {json_type(text)}, must be a string")
        try:
            wordings.append(Prompt(**item))
        except DatasetError as error:
            raise DatasetError(f"{place}: {error}") from None
    return tuple(wordings)


def read_wordings(file: Path) -> tuple[Prompt, ...]:
    """Wordings from a JSON file; see :func:`wordings_from_json`.

    Raises:
        DatasetError: Names the file, the wording and what is wrong with it.
    """
    return wordings_from_json(parse_json(read_text(file), file), str(file))


@lru_cache(maxsize=8)
def by_fixed_text(wordings: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    """Wordings with the most words of their own first: of two that fit, the first is meant."""
    return tuple(
        sorted(wordings, key=lambda one: -len(one.question + one.answer + one.instruction))
    )
