"""Plain text to learn beside records, so that a model keeps its language.

It comes from a file, or from what the base model itself writes.
"""

from __future__ import annotations

import random
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glyphsight.console import progress_bar
from glyphsight.dataset.record import read_text
from glyphsight.errors import DatasetError, ModelError
from glyphsight.files import cache_dir, cached, checksum
from glyphsight.inference.passes import left_padded
from glyphsight.inference.tokenize import prompt_ids, text_ids
from glyphsight.models import LoadedModel, load_model, nano
from glyphsight.models.chat import end_tokens
from glyphsight.train.data import Example

PIECE = 128
"""Tokens of a long piece of text."""

SHORT = 24
"""Most tokens of a short one."""

_ANSWER = 6  # tokens after a sum
_BATCH = 64
_TOP_K = 50  # less likely tokens make small models ramble


def pieces_for(records: int, share: float) -> int:
    """Return the number of pieces that make up ``share`` of all examples beside the records."""
    return round(records * share / (1 - share))


def text_pieces(
    loaded: LoadedModel, file: Path, count: int, seed: int, *, as_base: bool = False
) -> list[Example]:
    """Split a text into pieces, every token but the first of each to be learned.

    The first half are long: :data:`PIECE` tokens (fewer where the model's window is smaller) of the
    text split end to end; the rest at its end is not taken. The others are short, as questions to a
    model often are: paragraphs of at most :data:`SHORT` tokens, and the first tokens, from 4 up, of
    longer paragraphs and of the long pieces.

    Args:
        loaded: Model, whose tokenizer splits the text.
        file: File of UTF-8 text, its paragraphs separated by blank lines.
        count: Number of pieces. Each is taken once before any is taken again.
        seed: Random seed for the choice of pieces and the length of short ones.
        as_base: True to learn what the base model says in place of the text itself.

    Raises:
        DatasetError: The file cannot be read or is shorter than a piece.
    """
    text = read_text(file)
    opening, tokens = text_ids(loaded.tokenizer, text)
    length = min(PIECE, loaded.window or PIECE) - len(opening)
    whole = [tokens[start : start + length] for start in range(0, len(tokens) - length + 1, length)]
    if not whole:
        raise DatasetError(
            f"{file}: {len(tokens)} tokens are less than a piece of {length}; give more text"
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
    """Choose ``count`` texts in random order, each once before any is chosen again."""
    orders = [rng.permutation(len(texts)) for _ in range(-(-count // len(texts)))]
    return [texts[index] for order in orders for index in order][:count]


def own_words(
    base: str, seed: int = 0, *, texts: int = 512, length: int = 128, sums: int = 1024
) -> Path:
    """Let a base model write a file of texts: once (minutes on a CPU), then it is kept.

    The first ``texts`` begin at the model's opening token, or its end-of-text token. The others, a
    line each, continue a sum or a row of numbers from 11 to 99: a model trained to answer with
    numbers forgets first what else follows them. All are sampled at temperature 1 from the 50
    likeliest tokens (Fan et al. 2018).

    A directory's text is written again when its weights change; of a hub id the name decides.

    Raises:
        ModelError: The model cannot be loaded, or is a ``nano``, which has no language.
    """
    if base == nano.NAME:
        raise ModelError("text_share: a nano has no words of its own; give text_file")
    weights = checksum(sorted(Path(base).glob("*.safetensors"))) if Path(base).is_dir() else ""
    made_by = f"{base} {weights} {seed} {texts} {length} {sums} {_ANSWER} {_TOP_K}"
    kept = cache_dir() / "own-words" / f"{sha256(made_by.encode()).hexdigest()[:12]}.txt"

    def write(path: Path) -> None:
        written = _written(base, seed, texts, length, sums)
        path.write_text("\n\n".join(written) + "\n", encoding="utf-8", newline="\n")

    return cached(kept, write)


def _written(base: str, seed: int, texts: int, length: int, sums: int) -> list[str]:
    loaded = load_model(base)
    opening = loaded.tokenizer.bos_token_id
    if opening is None:
        opening = next(iter(end_tokens(loaded.tokenizer, loaded.chat)), None)
    if opening is None:
        raise ModelError(f"{base}: has no token to begin a text with; give text_file")
    with (
        torch.random.fork_rng(),
        torch.inference_mode(),
        progress_bar(total=texts + sums, desc=f"{loaded.name} writes", unit="text") as bar,
    ):
        torch.manual_seed(seed)
        free = _continued(loaded, [[opening]] * texts, length, bar)
        asked = prompt_ids(loaded.tokenizer, _sums(seed, sums))
        answered = _continued(loaded, asked, _ANSWER, bar)
    return free + [text.splitlines()[0] for text in answered]


def _continued(loaded: LoadedModel, begun: list[list[int]], length: int, bar: Any) -> list[str]:
    """Let the model continue beginnings by ``length`` tokens at most and half of it at least."""
    tokenizer = loaded.tokenizer
    texts: list[str] = []
    for start in range(0, len(begun), _BATCH):
        read = left_padded(begun[start : start + _BATCH], tokenizer.pad_token_id)
        ids = read["input_ids"].to(loaded.model.device)
        mask = read.get("attention_mask", torch.ones_like(ids)).to(ids.device)
        written = loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=length,
            min_new_tokens=length // 2,
            do_sample=True,
            temperature=1.0,
            top_k=_TOP_K,
            top_p=1.0,
            repetition_penalty=1.0,
            pad_token_id=tokenizer.pad_token_id,
        )
        texts += tokenizer.batch_decode(written, skip_special_tokens=True)
        bar.update(len(ids))
    return [text.strip("\n") for text in texts]


def _sums(seed: int, count: int) -> list[str]:
    """Make sums and rows of numbers, each up to where its answer is due."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        first, step = rng.randint(11, 99), rng.randint(1, 9)
        sign = rng.choice("+-x,")
        if sign == ",":
            texts.append(", ".join(str(first + n * step) for n in range(rng.randint(2, 5))) + ",")
        else:
            texts.append(f"{first} {sign} {rng.randint(1, 99)} =")
    return texts
