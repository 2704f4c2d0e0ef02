"""The words around the picture: what a model reads and what it should write."""

from __future__ import annotations

from dataclasses import dataclass

from glyphsight.dataset.record import Record
from glyphsight.errors import DatasetError


@dataclass(frozen=True)
class Prompt:
    """How a record becomes a prompt and a completion; saved with every trained model.

    Attributes:
        question: Text the model reads; ``{ASCII_image}`` stands for the picture.
        answer: Text it should write; ``{Response}`` stands for the answer. It starts with the
            space, since tokenizers merge a space with the word after it.
    """

    question: str = "{ASCII_image}Response:"
    answer: str = " {Response}"

    def __post_init__(self) -> None:
        for text, field in ((self.question, "{ASCII_image}"), (self.answer, "{Response}")):
            if text.count(field) != 1:
                raise DatasetError(f"prompt {text!r} must hold {field} once")

    def ask(self, ascii_image: str) -> str:
        """The prompt for a picture."""
        return self.question.replace("{ASCII_image}", ascii_image)

    def reply(self, response: str) -> str:
        """The completion for an answer."""
        return self.answer.replace("{Response}", response)

    def pair(self, record: Record) -> tuple[str, str]:
        """Prompt and completion of a record."""
        return self.ask(record.ascii_image), self.reply(record.response)

    def read_reply(self, text: str) -> str:
        """The answer inside a completion; the inverse of :meth:`reply`, white space trimmed."""
        before, _, after = self.answer.partition("{Response}")
        return text.strip().removeprefix(before.strip()).removesuffix(after.strip()).strip()
