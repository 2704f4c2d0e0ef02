"""Plain text among the pictures, learnt whole: a model that is taught to see goes on talking."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from glyphsight.dataset.text import read_text
from glyphsight.errors import DatasetError
from glyphsight.inference.tokenize import text_ids
from glyphsight.models import LoadedModel
from glyphsight.train.data import Example

PIECE = 128
"""Tokens of a long piece of text."""

SHORT = 24
"""Most tokens of a short one."""

CUT = 3
"""Which way of cutting and of standing in batches this is: a run that is gone on with must meet the
pieces it began with, where it would have met them."""


def pieces_for(records: int, share: float) -> int:
    """How many pieces of text make up ``share`` of all examples beside so many records."""
    return round(records * share / (1 - share))


def text_pieces(
    loaded: LoadedModel, file: Path, count: int, seed: int, *, as_base: bool = False
) -> list[Example]:
    """Pieces of a text, every token but the first of each to be learnt.

    The first half are long: :data:`PIECE` tokens (fewer where the model's window is smaller) of the
    text cut end to end; what is left over at its end is not taken. The rest are short, as what a
    model is asked often is: paragraphs of at most :data:`SHORT` tokens, and of longer ones and of
    the long pieces the first so many, from 4 up.

    Args:
        loaded: The model, whose tokenizer cuts the text.
        file: UTF-8 text, its paragraphs set off by blank lines.
        count: Pieces wanted. Of each kind each is taken once before any is taken again.
        seed: Of which are taken, and of how many tokens short ones have.
        as_base: Learn what the base model would say in place of what the text says.

    Raises:
        DatasetError: The file cannot be read or is shorter than a piece.
    """
    text = read_text(file)
    opening, cut = text_ids(loaded.tokenizer, text)
    length = min(PIECE, loaded.window or PIECE) - len(opening)
    whole = [cut[start : start + length] for start in range(0, len(cut) - length + 1, length)]
    if not whole:
        raise DatasetError(
            f"{file}: {len(cut)} tokens are less than a piece of {length}; give more text"
        )
    paragraphs = [part.strip("\r\n") for part in re.split(r"\n\s*\n", text)]
    ids = loaded.tokenizer(paragraphs, add_special_tokens=False)["input_ids"]
    begun = [own for own in ids if len(own) > 1] + whole
    rng = np.random.default_rng([seed, len(whole)])
    chosen = _in_turn(whole, count - count // 2, rng)
    longest = min(SHORT, length)
    for own in _in_turn(begun, count // 2, rng):
        some = int(rng.integers(min(4, longest), longest, endpoint=True))
        chosen.append(own if len(own) <= longest else own[:some])
    pieces = [opening + own for own in chosen]
    return [Example(piece, len(piece) - 1, as_base) for piece in pieces]


def _in_turn(texts: list[list[int]], count: int, rng: np.random.Generator) -> list[list[int]]:
    """So many of the texts, in an order by chance, each once before any is taken again."""
    places = [rng.permutation(len(texts)) for _ in range(-(-count // len(texts)))]
    return [texts[place] for round_ in places for place in round_][:count]
