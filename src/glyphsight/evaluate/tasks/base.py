"""What every set gives: questions, each with its words, its choices and its right answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyphsight.dataset import Prompt
from glyphsight.dataset.record import json_type
from glyphsight.dataset.text import read_text
from glyphsight.errors import DatasetError

_ART, _CHOICES, _ANSWER = "{art}", "{choices}", "{answer}"


@dataclass(frozen=True)
class Question:
    """One question of a set.

    Attributes:
        art: The picture as text, as it stands in the file.
        prompt: All that the model reads, up to where its answer begins; no white space at its end.
        choices: The answers to choose from; empty where the set gives none, and writing alone can
            be judged.
        answers: Those that are right, at least one.
        group: What the set averages over; "" where it does not.
    """

    art: str
    prompt: str
    choices: tuple[str, ...]
    answers: tuple[str, ...]
    group: str = ""


@dataclass(frozen=True)
class QuestionSet:
    """The questions of a file.

    Attributes:
        name: Kind of set: ``vitc``, ``asciieval``, ``bigbench``.
        file: Where they come from.
        questions: At least one.
        completion: Makes completions of answers; its ``question`` is not used.
    """

    name: str
    file: Path
    questions: list[Question]
    completion: Prompt


@dataclass(frozen=True)
class Wording:
    """The words of a question.

    Attributes:
        text: ``{art}`` stands for the picture, ``{choices}`` for the choices as the set lists them,
            ``{answer}``, at the end, for the answer. What stands before the answer is read; the
            white space there belongs to the answer, since tokenizers merge a space with the word
            after it.
    """

    text: str

    def __post_init__(self) -> None:
        for field in (_ART, _ANSWER):
            if self.text.count(field) != 1:
                raise DatasetError(f"must hold {field} once")
        if not self.text.rstrip().endswith(_ANSWER):
            raise DatasetError(f"must end with {_ANSWER}")

    @property
    def _read(self) -> str:
        return self.text.partition(_ANSWER)[0]

    @property
    def completion(self) -> Prompt:
        """Makes completions of answers."""
        space = self._read[len(self._read.rstrip()) :]
        return Prompt(answer=f"{space}{{Response}}")

    def ask(self, art: str, choices: str = "") -> str:
        """The prompt for a picture and its choices, already listed."""
        before, _, after = self._read.rstrip().partition(_ART)
        return f"{before.replace(_CHOICES, choices)}{art}{after.replace(_CHOICES, choices)}"


def read_wording(file: Path) -> Wording:
    """Words of a question from a text file; see :class:`Wording`.

    Raises:
        DatasetError: Names the file and what is wrong with it.
    """
    text = read_text(file)
    try:
        return Wording(text)
    except DatasetError as error:
        raise DatasetError(
            f"{file}: {error}; such as 'What is this?\\n{_ART}\\n{_ANSWER}'"
        ) from None


def field(value: Any, key: str, kind: type, where: str) -> Any:
    """A field of an object of a set.

    Args:
        value: The object.
        key: Name of the field.
        kind: ``str``, ``list``, ``dict`` or ``bool``.
        where: File and number of the object, for errors.

    Raises:
        DatasetError: It is no object, the field is missing or of another type.
    """
    if not isinstance(value, dict):
        raise DatasetError(f"{where}: {json_type(value)} where an object belongs")
    if key not in value:
        there = ", ".join(value) or "none"
        raise DatasetError(
            f"{where}: key {key!r} is missing (there is {there}); "
            "take the file as its project publishes it"
        )
    if not isinstance(value[key], kind):
        wanted = {str: "a string", list: "an array", dict: "an object", bool: "true or false"}
        raise DatasetError(f"{where}: {key!r} is {json_type(value[key])}, must be {wanted[kind]}")
    return value[key]
