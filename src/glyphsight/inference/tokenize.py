"""Prompts and completions to token ids, the same in training and in scoring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glyphsight.errors import ModelError
from glyphsight.models.chat import Turns


def prompt_ids(
    tokenizer: Any, prompts: Sequence[str], turns: Turns | None = None
) -> list[list[int]]:
    """Tokenize prompts: as system and user of a chat where there are turns, else as plain text.

    A plain prompt gets the tokenizer's own opening token where there is one; a chat template
    writes that token itself.

    Args:
        tokenizer: Callable as those of transformers are.
        prompts: Texts as :meth:`~glyphsight.dataset.Prompt.ask` gives them.
        turns: Chat around each prompt, None for plain prompts.

    Returns:
        Token ids of each prompt.
    """
    if not prompts:
        return []
    ids: list[list[int]]
    if turns is not None:
        texts = [turns.around(prompt) for prompt in prompts]
        ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids
    ids = tokenizer(list(prompts), add_special_tokens=True)["input_ids"]
    end = tokenizer.eos_token_id
    opening = tokenizer.bos_token_id
    return [own[:-1] if own and own[-1] == end != opening else own for own in ids]


def completion_ids(
    tokenizer: Any, completions: Sequence[str], turns: Turns | None = None, *, end: bool = True
) -> list[list[int]]:
    """Tokenize completions, each closed with its end token unless ``end`` is off.

    The end token is the one that ends an assistant's turn where there are turns, else the
    end-of-sequence token. A completion is tokenized on its own, never together with its prompt, so
    the border between the two is the same as in inference. A chat turn stands alone and goes
    without the space that sets a completion off from a plain prompt.

    Raises:
        ModelError: The end token is wanted and the tokenizer has none.
    """
    if not completions:
        return []
    texts = [text.removeprefix(" ") for text in completions] if turns else list(completions)
    last = tokenizer.eos_token_id if turns is None else turns.end
    if end and last is None:
        raise ModelError(
            "the model's tokenizer has no token that ends an answer; name one as eos_token in its "
            "tokenizer_config.json"
        )
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[*own, last] if end else own for own in ids]


def text_ids(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    """Tokenize plain text of any length.

    Returns:
        The tokens the tokenizer opens a text with, often none, and those of the text itself.
    """
    [opening] = prompt_ids(tokenizer, [""])
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return opening, ids
