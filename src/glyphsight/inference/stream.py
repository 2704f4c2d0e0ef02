"""Text as it is written: token by token, in pieces that can be shown at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Advance = Callable[[list[int]], NDArray[np.float32]]
"""Function that reads further tokens and returns log-probabilities float32[V] of the next one."""

_HALF = "\ufffd"  # what a tokenizer writes for bytes that are no whole character yet


@dataclass(frozen=True)
class Writing:
    """Settings of a text that is written."""

    most: int = 256  # tokens at most, from 1
    stop: tuple[str, ...] = ()  # texts that end it; they are no part of it
    temperature: float = 0.0  # divisor of the log-probabilities; 0 takes the likeliest token
    # Share of the probability, above 0 and up to 1, that the likeliest tokens make up; the others
    # are not drawn
    top_p: float = 1.0
    seed: int | None = None  # seed of the drawing; None for another text each time
    top: int = 0  # likeliest tokens that are told with each token


@dataclass(frozen=True)
class Token:
    """A written token."""

    text: str  # its text; U+FFFD where it is part of a character
    logprob: float  # its log-probability, natural logarithm, before temperature and ``top_p``
    top: tuple[tuple[str, float], ...] = ()  # likeliest texts in its place, log-probabilities


@dataclass(frozen=True)
class Piece:
    """What a step adds to a text."""

    text: str  # whole characters; "" where a character or a text of ``stop`` may have begun
    token: Token | None  # token of the step; None where the model ended the text
    finish: str = ""  # why the text ends here: ``stop`` or ``length``; "" where it does not


def pieces(
    advance: Advance, prompt: list[int], tokenizer: Any, ends: Collection[int], writing: Writing
) -> Iterator[Piece]:
    """Write after a prompt, a piece a token; the last piece says why the text ends."""
    draw = np.random.default_rng(writing.seed)
    written: list[int] = []
    text, sent, new = "", 0, prompt
    while True:
        logprobs = advance(new)
        token = choose(logprobs, writing, draw)
        if token in ends:
            yield Piece(text[sent:], None, "stop")
            return
        written.append(token)
        new = [token]
        text = tokenizer.decode(written, skip_special_tokens=True)
        told = _told(tokenizer, token, logprobs, writing.top)
        if (cut := _first(text, writing.stop, sent)) is not None:
            yield Piece(text[sent:cut], told, "stop")
            return
        if len(written) == writing.most:
            yield Piece(text[sent:], told, "length")
            return
        whole = max(sent, len(text) - _held(text, writing.stop))
        yield Piece(text[sent:whole], told)
        sent = whole


def choose(logprobs: NDArray[np.float32], writing: Writing, draw: np.random.Generator) -> int:
    """Choose the next token: the likeliest, or one drawn (Holtzman et al. 2020 for ``top_p``)."""
    if writing.temperature == 0:
        return int(logprobs.argmax())
    heated = logprobs.astype(np.float64) / writing.temperature
    chances = np.exp(heated - heated.max())
    order = np.argsort(-chances, kind="stable")
    sums = np.cumsum(chances[order])
    sums /= sums[-1]
    count = min(int(np.searchsorted(sums, writing.top_p)) + 1, len(sums))
    drawn = draw.random() * sums[count - 1]
    return int(order[int(np.searchsorted(sums[:count], drawn, side="right"))])


def _told(tokenizer: Any, token: int, logprobs: NDArray[np.float32], top: int) -> Token:
    def text(one: int) -> str:
        return str(tokenizer.decode([one], skip_special_tokens=False))

    likeliest: Sequence[int] = []
    if top:
        some = np.argpartition(-logprobs, min(top, len(logprobs)) - 1)[:top]
        likeliest = some[np.argsort(-logprobs[some], kind="stable")].tolist()
    told = tuple((text(one), float(logprobs[one])) for one in likeliest)
    return Token(text(token), float(logprobs[token]), told)


def _first(text: str, stops: Sequence[str], start: int) -> int | None:
    """Find where the first text of ``stops`` begins, from ``start`` on."""
    return min((at for stop in stops if (at := text.find(stop, start)) >= 0), default=None)


def _held(text: str, stops: Sequence[str]) -> int:
    """Count the last characters that a further token may still change or cut off."""
    half = len(text) - len(text.rstrip(_HALF))
    begun = (n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n]))
    return max(half, max(begun, default=0))
