"""Pictures that a model writes: the form is fixed by a grammar, the glyphs are drawn at random.

The places of a text of the profile, and the characters that may stand at each, make a grammar.
``llguidance`` says which tokens of any tokenizer fit it next; the others are not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.codec.encode import to_picture
from glyphsight.codec.formats import get_format
from glyphsight.errors import ModelError
from glyphsight.inference.batcher import BATCH
from glyphsight.inference.stream import Writing, choose
from glyphsight.pages import text_html
from glyphsight.settings import check, setting

Advance = Callable[[list[list[int]], list[Any]], list[tuple[NDArray[np.float32], Any]]]
"""Function that reads further tokens of N texts: the log-probabilities of the next, the states."""

_CANDIDATES = 8  # texts for each drawing with a gap, of which the one that fits best is kept


@dataclass(frozen=True)
class DrawSettings:
    """Settings of drawings.

    Attributes:
        n: Number of drawings.
        temperature: Divisor of the log-probabilities; 0 takes the likeliest tokens, so that all
            drawings are one.
        seed: Seed of the drawing; left out, other drawings each time. Drawing i of a seed is the
            same whatever their number, but for rounding.
    """

    n: int = setting(1, low=1, high=10_000)
    temperature: float = setting(0.9, low=0, high=100)
    seed: int | None = setting(None, low=0)

    def __post_init__(self) -> None:
        check(self, ModelError)


@dataclass(frozen=True)
class Drawing:
    """A picture that a model wrote.

    Attributes:
        label: Label that it was asked to draw.
        ascii_image: The text.
        profile: Profile of the text.
    """

    label: str
    ascii_image: str
    profile: Profile

    def picture(self, scale: int = 8) -> NDArray[np.uint8]:
        """Return gray pixels, uint8[H, W], ``scale`` of them per column."""
        levels = get_format(self.profile.format).read(self.ascii_image, self.profile.palette)
        return to_picture(levels, self.profile, scale)

    def _repr_html_(self) -> str:
        """Show the drawing in a notebook."""
        return text_html(self.ascii_image)


@dataclass(frozen=True)
class Grammar:
    """Tokens that may come next in a text of a fixed layout.

    Attributes:
        known: The tokenizer, as ``llguidance`` takes it.
        rule: The grammar.
        size: Number of its tokens.
    """

    known: Any
    rule: str
    size: int

    @staticmethod
    def of(tokenizer: Any, places: Sequence[str]) -> Grammar:
        """Make the grammar of the characters that may stand at each place of a text."""
        own = getattr(tokenizer, "backend_tokenizer", None) or tokenizer.backend
        known, size = _known(own.to_str(), tokenizer.eos_token_id)
        parts = ((f"[{_escaped(one)}]", len(list(same))) for one, same in groupby(places))
        pattern = "".join(f"{one}{{{count}}}" for one, count in parts)
        return Grammar(known, pattern, size)

    def start(self) -> Any:
        """Return the state at the beginning of a text."""
        from llguidance import LLMatcher, grammar_from

        state = LLMatcher(self.known, grammar_from("regex", self.rule))
        if state.is_error():
            raise ModelError(
                f"no grammar for this tokenizer ({state.get_error()}); take another model"
            )
        return state

    def allowed(self, state: Any) -> NDArray[np.intp]:
        """Return the tokens that fit next; none at the end of a text."""
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

        if state.is_accepting():
            return np.empty(0, dtype=np.intp)
        bits = allocate_token_bitmask(1, self.size)
        fill_next_token_bitmask(state, bits)
        return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little"))


@lru_cache(maxsize=4)
def _known(tokenizer: str, end: int | None) -> tuple[Any, int]:
    from llguidance import LLTokenizer

    known = LLTokenizer(tokenizer, eos_token=end)
    return known, known.vocab_size


def _escaped(characters: str) -> str:
    return "".join(rf"\x{{{ord(one):x}}}" for one in characters)


def write_drawings(
    advance: Advance, prompt: list[int], grammar: Grammar, settings: DrawSettings, *, gap: bool
) -> list[tuple[list[int], float]]:
    """Write drawings after a prompt; return tokens and weight of each.

    Each token is drawn among those that fit. The weight of a text is the logarithm of how much the
    model expects what is known of it: the sum, over its tokens, of that of the probability of all
    tokens that fit. A text that has a gap above known rows is written several times, and the one of
    most weight is kept.

    Args:
        advance: Function that reads tokens.
        prompt: Token ids.
        grammar: Tokens that may come next.
        settings: Number, temperature and seed.
        gap: True where rows are known below rows that are not.
    """
    each = _CANDIDATES if gap else 1
    seeds = np.random.SeedSequence(settings.seed).generate_state(4)
    draws = [np.random.default_rng([*seeds, row]) for row in range(settings.n * each)]
    found: list[tuple[list[int], float]] = []
    for start in range(0, len(draws), BATCH):
        some = draws[start : start + BATCH]
        found += _written_together(advance, prompt, grammar, settings.temperature, some)
    return [
        max(found[start : start + each], key=lambda one: one[1])
        for start in range(0, len(found), each)
    ]


def _written_together(
    advance: Advance,
    prompt: list[int],
    grammar: Grammar,
    temperature: float,
    draws: Sequence[np.random.Generator],
) -> list[tuple[list[int], float]]:
    """Write a text for each source of random numbers, a token of each at a time."""
    texts: list[list[int]] = [[] for _ in draws]
    weights, writing = np.zeros(len(draws)), Writing(temperature=temperature)
    states = [grammar.start() for _ in draws]
    going, new, kept = list(range(len(draws))), [prompt for _ in draws], [None for _ in draws]
    while going:
        found = advance(new, kept)
        for row, (logprobs, _) in zip(going, found, strict=True):
            fit = grammar.allowed(states[row])
            some = logprobs[fit]
            weights[row] += np.logaddexp.reduce(some)
            token = int(fit[choose(some, writing, draws[row])])
            texts[row].append(token)
            states[row].consume_token(token)
        left = [at for at, row in enumerate(going) if not states[row].is_accepting()]
        kept, going = [found[at][1] for at in left], [going[at] for at in left]
        new = [texts[row][-1:] for row in going]
    return list(zip(texts, weights.tolist(), strict=True))
