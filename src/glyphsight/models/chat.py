"""The turns of a chat around a prompt and its answer, as a tokenizer's own template writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glyphsight.dataset.prompt import PromptText
from glyphsight.errors import ModelError

_TOLD, _ASKED, _SAID = "glyphsight-tells", "glyphsight-asks", "glyphsight-says"
_DAY = "26 Jul 2024"  # the one Llama's templates fall back to
_FIX = "take the plain prompt with --set chat=no"


@dataclass(frozen=True)
class Turns:
    """Text around the words of system and user, and the end of the assistant's turn."""

    # Text before the user's words where there is no instruction, with the opening token where the
    # template writes it
    before: str
    after: str  # text between the user's words and those of the assistant
    end: int  # id of the token that ends the assistant's turn
    system: str = ""  # text before an instruction
    # Text between an instruction and the user's words; "" where the template takes no system
    # message, so that the instruction is the first line of the user's words
    between: str = ""

    def around(self, prompt: str) -> str:
        """Write the turns around a prompt, up to where the assistant speaks.

        Every character of the prompt is kept. The instruction of a
        :class:`~glyphsight.dataset.prompt.PromptText` becomes the system message.
        """
        if self.between and isinstance(prompt, PromptText) and prompt.instruction:
            told = f"{self.system}{prompt.instruction}{self.between}"
            return f"{told}{prompt.user}{self.after}"
        return f"{self.before}{prompt}{self.after}"


def has_template(tokenizer: Any) -> bool:
    """Return whether a tokenizer comes with a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def chat_turns(tokenizer: Any, name: str) -> Turns:
    """Read the turns that a tokenizer's chat template writes for one question and its answer.

    The template is filled once, with words in place of the picture, since many templates trim
    their messages and a picture may begin with white space. Llama's gets a fixed date in place of
    today's, and a model that can think aloud is told not to: a model is asked as it was trained.

    Raises:
        ModelError: There is no template, or it cannot be used.
    """
    if not has_template(tokenizer):
        raise ModelError(f"{name}: its tokenizer has no chat template; {_FIX}")
    system, user, assistant = (
        {"role": role, "content": text}
        for role, text in (("system", _TOLD), ("user", _ASKED), ("assistant", _SAID))
    )
    try:
        asked = fill(tokenizer, [user], opened=True)
        said = fill(tokenizer, [user, assistant], opened=False)
    except Exception as error:  # a template is a program of its own
        raise ModelError(f"{name}: its chat template fails ({error}); {_FIX}") from error
    if asked.count(_ASKED) != 1 or said.count(_SAID) != 1:
        raise ModelError(f"{name}: its chat template leaves out what is said; {_FIX}")
    before, _, after = asked.partition(_ASKED)
    closing = tokenizer(said.partition(_SAID)[2], add_special_tokens=False)["input_ids"]
    special = set(tokenizer.all_special_ids)
    end = next((token for token in closing if token in special), tokenizer.eos_token_id)
    if end is None:
        raise ModelError(f"{name}: nothing ends an answer in its chat template; {_FIX}")
    try:
        told = fill(tokenizer, [system, user], opened=True)
    except Exception:  # Gemma's first templates refuse a system message
        return Turns(before, after, end)
    opening, _, rest = told.partition(_TOLD)
    between, _, after_told = rest.partition(_ASKED)
    if told.count(_TOLD) != 1 or after_told != after:
        return Turns(before, after, end)
    return Turns(before, after, end, opening, between)


def end_tokens(tokenizer: Any, turns: Turns | None) -> list[int]:
    """Return the ids of the tokens that end an answer, plain or in turns."""
    ends = {tokenizer.eos_token_id, turns.end if turns else None}
    return sorted(end for end in ends if end is not None)


def fill(tokenizer: Any, messages: Sequence[dict[str, str]], *, opened: bool = True) -> str:
    """Write messages as the template does, ``opened`` up to where the assistant speaks."""
    how = {"tokenize": False, "add_generation_prompt": opened, "enable_thinking": False}
    return str(tokenizer.apply_chat_template(list(messages), **how, date_string=_DAY))
