"""Plain text among the pictures, learnt whole: a model that is taught to see goes on talking."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from glyphsight.dataset.text import read_text
from glyphsight.errors import DatasetError
from glyphsight.models import LoadedModel
from glyphsight.models.tokenize import text_ids
from glyphsight.train.data import Example

PIECE = 128
"""Tokens of a piece of text."""


def pieces_for(records: int, share: float) -> int:
    """How many pieces of text make up ``share`` of all examples beside so many records."""
    return round(records * share / (1 - share))


def text_pieces(
    loaded: LoadedModel, file: Path, count: int, seed: int, *, as_base: bool = False
) -> list[Example]:
    """Pieces of a text, every token but the first of each to be learnt.

    Args:
        loaded: The model, whose tokenizer cuts the text.
        file: UTF-8 text. It is cut end to end into pieces of :data:`PIECE` tokens (fewer where the
            model's window is smaller); what is left over at its end is not taken.
        count: Pieces wanted. Each is taken once before any is taken again.
        seed: Of which are taken.
        as_base: Learn what the base model would say in place of what the text says.

    Raises:
        DatasetError: The file cannot be read or is shorter than a piece.
    """
    opening, cut = text_ids(loaded.tokenizer, read_text(file))
    length = min(PIECE, loaded.window or PIECE) - len(opening)
    whole = [cut[start : start + length] for start in range(0, len(cut) - length + 1, length)]
    if not whole:
        raise DatasetError(
            f"{file}: {len(cut)} tokens are less than a piece of {length}; give more text"
        )
    rng = np.random.default_rng([seed, len(whole)])
    rounds = [rng.permutation(len(whole)) for _ in range(-(-count // len(whole)))]
    chosen = np.concatenate(rounds)[:count] if rounds else np.zeros(0, dtype=np.int64)
    ids = [opening + whole[place] for place in chosen]
    return [Example(piece, len(piece) - 1, as_base) for piece in ids]
