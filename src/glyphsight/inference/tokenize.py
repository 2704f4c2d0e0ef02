"""Prompts and completions to token ids, so that training and scoring cut the same text alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glyphsight.models.chat import Turns


def prompt_ids(
    tokenizer: Any, prompts: Sequence[str], turns: Turns | None = None
) -> list[list[int]]:
    """Token ids of prompts: as a user's turn where there are turns, else as they are.

    A plain prompt has the tokenizer's own opening token where there is one; a chat template writes
    that itself.
    """
    if not prompts:
        return []
    cut: list[list[int]]
    if turns is not None:
        texts = [turns.around(prompt) for prompt in prompts]
        cut = tokenizer(texts, add_special_tokens=False)["input_ids"]
        return cut
    cut = tokenizer(list(prompts), add_special_tokens=True)["input_ids"]
    end = tokenizer.eos_token_id
    opening = tokenizer.bos_token_id
    return [ids[:-1] if ids and ids[-1] == end != opening else ids for ids in cut]


def completion_ids(
    tokenizer: Any,
    completions: Sequence[str],
    turns: Turns | None = None,
    *,
    end: bool = True,
) -> list[list[int]]:
    """Token ids of completions, each closed with its end token unless ``end`` is off.

    The end token is the one that ends an assistant's turn where there are turns, else the
    end-of-sequence token. A completion is cut on its own, never together with its prompt, so the
    border between the two lies where it lies in inference. A turn stands alone, so there it goes
    without the space that sets it off from a plain prompt.
    """
    if not completions:
        return []
    texts = [text.removeprefix(" ") for text in completions] if turns else list(completions)
    last = tokenizer.eos_token_id if turns is None else turns.end
    cut: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[*ids, last] if end else ids for ids in cut]


def text_ids(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    """Token ids of plain text, however long.

    Returns:
        The tokens the tokenizer opens a text with, often none, and those of the text itself.
    """
    [opening] = prompt_ids(tokenizer, [""])
    cut: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return opening, cut
