"""Prompts and completions to token ids, so that training and scoring cut the same text alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def prompt_ids(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Token ids of prompts, with the tokenizer's own opening token where it has one."""
    if not prompts:
        return []
    cut: list[list[int]] = tokenizer(list(prompts), add_special_tokens=True)["input_ids"]
    end = tokenizer.eos_token_id
    opening = tokenizer.bos_token_id
    return [ids[:-1] if ids and ids[-1] == end != opening else ids for ids in cut]


def completion_ids(
    tokenizer: Any, completions: Sequence[str], *, end: bool = True
) -> list[list[int]]:
    """Token ids of completions, each closed with the end-of-sequence token unless ``end`` is off.

    A completion is cut on its own, never together with its prompt, so the border between the two
    lies where it lies in inference.
    """
    if not completions:
        return []
    cut: list[list[int]] = tokenizer(list(completions), add_special_tokens=False)["input_ids"]
    return [[*ids, tokenizer.eos_token_id] if end else ids for ids in cut]


def text_ids(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    """Token ids of plain text, however long.

    Returns:
        The tokens the tokenizer opens a text with, often none, and those of the text itself.
    """
    [opening] = prompt_ids(tokenizer, [""])
    cut: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return opening, cut
