"""The turns of a chat around a prompt and its answer, as a tokenizer's own template writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glyphsight.errors import ModelError

_ASKED, _SAID = "glyphsight-asks", "glyphsight-says"
_DAY = "26 Jul 2024"  # the one Llama's templates fall back to


@dataclass(frozen=True)
class Turns:
    """Text around a user's words, up to where the assistant speaks, and how its turn ends.

    Attributes:
        before: What comes before the user's words, the tokenizer's opening token where the template
            writes it.
        after: What comes between them and the assistant's.
        end: Id of the token that ends the assistant's turn.
    """

    before: str
    after: str
    end: int

    def around(self, asked: str) -> str:
        """The user's words with the turns around them; every character of theirs is kept."""
        return f"{self.before}{asked}{self.after}"


def turns_from_json(value: Any) -> Turns | None:
    """Turns as ``dataclasses.asdict`` wrote them; None for none.

    Raises:
        TypeError: They are no turns.
    """
    return None if value is None else Turns(**value)


def has_template(tokenizer: Any) -> bool:
    """Whether a tokenizer comes with a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def chat_turns(tokenizer: Any, name: str) -> Turns:
    """The turns a tokenizer's chat template writes for one question and its answer.

    The template is filled once, with words in the picture's place, since many trim what they are
    given and a picture may begin with white space. Llama's gets a fixed date in today's place, and
    a model that can think aloud is told not to: a model is asked as it was taught.

    Args:
        tokenizer: Of transformers.
        name: What the user called the model.

    Raises:
        ModelError: There is no template, or it cannot be used.
    """
    mend = "take the plain prompt with --set chat=no"
    if not has_template(tokenizer):
        raise ModelError(f"{name}: its tokenizer has no chat template; {mend}")

    def fill(messages: list[dict[str, str]], *, opened: bool) -> str:
        text: str = tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=opened,
            enable_thinking=False,
            date_string=_DAY,
        )
        return text

    user, assistant = (
        {"role": role, "content": text} for role, text in (("user", _ASKED), ("assistant", _SAID))
    )
    try:
        asked, said = fill([user], opened=True), fill([user, assistant], opened=False)
    except Exception as error:  # a template is a program of its own
        raise ModelError(f"{name}: its chat template fails ({error}); {mend}") from error
    if asked.count(_ASKED) != 1 or said.count(_SAID) != 1:
        raise ModelError(f"{name}: its chat template leaves out what is said; {mend}")
    before, _, after = asked.partition(_ASKED)
    closing = tokenizer(said.partition(_SAID)[2], add_special_tokens=False)["input_ids"]
    special = set(tokenizer.all_special_ids)
    end = next((token for token in closing if token in special), tokenizer.eos_token_id)
    if end is None:
        raise ModelError(f"{name}: nothing ends an answer in its chat template; {mend}")
    return Turns(before, after, end)
