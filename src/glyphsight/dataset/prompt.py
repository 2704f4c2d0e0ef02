"""Wordings: the text around pictures and questions that a model reads and the answer it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import cycle
from pathlib import Path
from typing import Any

from glyphsight.dataset.record import Record, json_type, parse_json, read_text
from glyphsight.errors import DatasetError
from glyphsight.files import normal

_PICTURE, _QUESTION, _ANSWER = "{ASCII_image}", "{Question}", "{Response}"


class PromptText(str):
    """Prompt as a plain model reads it; its instruction is known, for the system message."""

    user: str
    instruction: str

    def __new__(cls, user: str, instruction: str = "") -> PromptText:
        """Join the instruction and the text of the user's message by a line end."""
        text = super().__new__(cls, f"{instruction}\n{user}" if instruction else user)
        text.user, text.instruction = user, instruction
        return text

    def __reduce__(self) -> tuple[type[PromptText], tuple[str, str]]:  # for other processes
        return PromptText, (self.user, self.instruction)


@dataclass(frozen=True)
class Prompt:
    """Wording that turns a record into a prompt and a completion; saved with every trained model.

    Attributes:
        question: Text the model reads. ``{ASCII_image}`` stands for the pictures of the record,
            ``{Question}`` for the record's own question. Without ``{Question}`` that question
            stands on a line of its own after the pictures.
        answer: Text the model should write; ``{Response}`` stands for the answer. The space before
            it belongs here, since tokenizers merge a space with the word after it.
        instruction: Text the model is told before the question: the first line of a prompt, the
            system message of a chat; "" for none.
    """

    question: str = f"{_PICTURE}Response:"
    answer: str = f" {_ANSWER}"
    instruction: str = ""

    def __post_init__(self) -> None:
        for text, field in ((self.question, _PICTURE), (self.answer, _ANSWER)):
            if text.count(field) != 1:
                raise DatasetError(f"prompt {text!r} must hold {field} once; put it in")
        if self.question.count(_QUESTION) > 1:
            raise DatasetError(
                f"prompt {self.question!r} must not hold {_QUESTION} twice; remove one"
            )

    def ask(self, picture: str, question: str = "") -> PromptText:
        """Return the prompt for the text of the pictures and the record's own question.

        A question that holds ``{ASCII_image}`` says itself where the pictures stand.
        """
        if _PICTURE in question:
            question = question.replace(_PICTURE, picture.removesuffix("\n"))
            picture = ""
        before, after = self._around(question)
        if question and _QUESTION not in self.question:
            end = "\n" if picture and not picture.endswith("\n") else ""
            picture = f"{picture}{end}{question}\n"
        return PromptText(f"{before}{picture}{after}", self.instruction)

    def reply(self, answer: str) -> str:
        """Return the completion for an answer."""
        return self.answer.replace(_ANSWER, answer)

    def pair(self, record: Record) -> tuple[PromptText, str]:
        """Return prompt and completion of a record."""
        return self.ask(record.picture, record.question), self.reply(record.answer)

    def messages(self, record: Record) -> list[dict[str, str]]:
        """Return a record as a chat: system where there is an instruction, user, assistant.

        The assistant's message goes without the space that the answer starts with.
        """
        asked = self.ask(record.picture, record.question)
        system = [{"role": "system", "content": asked.instruction}] if asked.instruction else []
        said = self.answer.removeprefix(" ").replace(_ANSWER, record.answer)
        return [
            *system,
            {"role": "user", "content": asked.user},
            {"role": "assistant", "content": said},
        ]

    def parse(self, asked: str, said: str, *, chat: bool = False) -> tuple[str, str] | None:
        """Read picture and answer of a prompt and its completion; None where the words are others.

        This inverts :meth:`pair`, with ``chat`` :meth:`messages`, for records of one picture
        without a question of their own.
        """
        before, after = self._around()
        if self.instruction and not chat:
            before = f"{self.instruction}\n{before}"
        reply = self.answer.removeprefix(" ") if chat else self.answer
        picture, answer = _between(asked, before, after), _between(said, *reply.split(_ANSWER))
        return None if picture is None or answer is None else (picture, answer)

    def read_reply(self, text: str) -> str:
        """Read the answer inside a completion: the inverse of :meth:`reply`, in normal form."""
        before, after = map(normal, self.answer.split(_ANSWER))
        return normal(text).removeprefix(before).removesuffix(after).strip()

    def _around(self, question: str = "") -> tuple[str, str]:
        """Return the text before and after the pictures, the instruction not included."""
        before, after = self.question.split(_PICTURE)
        return before.replace(_QUESTION, question), after.replace(_QUESTION, question)


def _between(text: str, before: str, after: str) -> str | None:
    """Return the text between the two, None where ``text`` does not start and end with them."""
    if len(text) < len(before) + len(after) or not (
        text.startswith(before) and text.endswith(after)
    ):
        return None
    return text[len(before) : len(text) - len(after)]


def wordings_from_json(value: Any, where: str) -> tuple[Prompt, ...]:
    """Read wordings from a list of objects with ``question``, ``answer`` and ``instruction``."""
    if not isinstance(value, list) or not value:
        what = "an empty array" if value == [] else json_type(value)
        raise DatasetError(
            f'{where}: {what} in place of a list; give [{{"question": "...", "answer": "..."}}]'
        )
    known = [field.name for field in fields(Prompt)]
    wordings = []
    for number, item in enumerate(value, start=1):
        at = f"{where}: wording {number}"
        if not isinstance(item, dict):
            raise DatasetError(f"{at}: {json_type(item)}, must be an object; make it one")
        for key, text in item.items():
            if key not in known:
                raise DatasetError(f"{at}: unknown key {key!r}; give one of {', '.join(known)}")
            if not isinstance(text, str):
                raise DatasetError(
                    f"{at}: {key!r} is {json_type(text)}, must be a string; quote it"
                )
        try:
            wordings.append(Prompt(**item))
        except DatasetError as error:
            raise DatasetError(f"{at}: {error}") from None
    return tuple(wordings)


def read_wordings(file: Path) -> tuple[Prompt, ...]:
    """Read wordings from a JSON file; see :func:`wordings_from_json`."""
    return wordings_from_json(parse_json(read_text(file), file), str(file))


def in_turn(records: Sequence[Record], wordings: Sequence[Prompt]) -> list[tuple[Record, Prompt]]:
    """Give record number i of a dataset wording i modulo their number, as the layouts do."""
    return list(zip(records, cycle(wordings), strict=False))


@lru_cache(maxsize=8)
def by_fixed_text(wordings: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    """Sort wordings, the most words of their own first: of two that fit, the first is meant."""
    return tuple(
        sorted(wordings, key=lambda one: -len(one.question + one.answer + one.instruction))
    )
