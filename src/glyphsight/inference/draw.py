"""Pictures that a model writes: the form is fixed by a grammar, the glyphs are drawn at random.

The places of a text of the profile, and the characters that may stand at each, make a grammar.
``llguidance`` says which tokens of any tokenizer fit it next; the others are not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import Profile
from glyphsight.codec.encode import to_picture
from glyphsight.codec.formats import get_format
from glyphsight.codec.layout import layout_of, places_left
from glyphsight.dataset.drawing import asked_to_draw
from glyphsight.errors import FormatError, ModelError
from glyphsight.inference.batcher import BATCH, Job
from glyphsight.inference.stream import Writing, choose
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.models.runs import DRAW
from glyphsight.pages import text_html
from glyphsight.settings import check, setting

if TYPE_CHECKING:
    from glyphsight.inference.model import Model

Advance = Callable[[list[list[int]], list[Any]], list[tuple[NDArray[np.float32], Any]]]
"""Function that reads further tokens of N texts: the log-probabilities of the next, the states."""

_NAMED = 20  # labels in a message
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

    Raises:
        ModelError: ``n`` is not from 1 to 10,000, ``temperature`` not from 0 to 100, or ``seed``
            below 0.
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
        """Return gray pixels, uint8[H, W], from 0 (dark) to 255.

        Args:
            scale: Pixels per column, at least 1.

        Raises:
            FormatError: ``scale`` is below 1, or the picture too large.
        """
        if scale < 1:
            raise FormatError(f"scale is {scale!r}; give a whole number, at least 1")
        levels = get_format(self.profile.format).read(self.ascii_image, self.profile.palette)
        return to_picture(levels, self.profile, scale)

    def _repr_html_(self) -> str:
        """Show the drawing in a notebook."""
        return text_html(self.ascii_image)


@dataclass(frozen=True)
class Grammar:
    """Tokens that may come next in a text of a fixed layout."""

    known: Any  # the tokenizer, as ``llguidance`` takes it
    rule: str  # the grammar
    size: int  # number of its tokens

    @staticmethod
    def of(tokenizer: Any, places: Sequence[str]) -> Grammar:
        """Make the grammar of the characters that may stand at each place of a text.

        Raises:
            ModelError: ``llguidance`` does not take the tokenizer.
        """
        known, size = _known(tokenizer)
        parts = ((f"[{_escaped(one)}]", len(list(same))) for one, same in groupby(places))
        pattern = "".join(f"{one}{{{count}}}" for one, count in parts)
        return Grammar(known, pattern, size)

    def start(self) -> Any:
        """Return the state at the beginning of a text."""
        from llguidance import LLMatcher, grammar_from

        state = LLMatcher(self.known, grammar_from("regex", self.rule))
        if state.is_error():
            raise _no_grammar(state.get_error())
        return state

    def allowed(self, state: Any) -> NDArray[np.intp]:
        """Return the tokens that fit next, int64[tokens]."""
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

        bits = allocate_token_bitmask(1, self.size)
        fill_next_token_bitmask(state, bits)
        if state.is_error():  # else the end token fits for ever
            raise _no_grammar(state.get_error())
        return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little"))


@lru_cache(maxsize=4)
def _known(tokenizer: Any) -> tuple[Any, int]:
    """Return what ``llguidance`` knows of a tokenizer, and its tokens; to ask costs 50 ms."""
    from llguidance import LLTokenizer

    if (own := getattr(tokenizer, "backend_tokenizer", None)) is None:
        raise _no_grammar()
    try:
        known = LLTokenizer(own.to_str(), eos_token=tokenizer.eos_token_id)
    except ValueError as error:
        raise _no_grammar(error) from error
    return known, known.vocab_size


def _no_grammar(why: object = "") -> ModelError:
    said = f" ({str(why).splitlines()[0]})" if why else ""
    return ModelError(f"no grammar for this tokenizer{said}; take another model")


def _escaped(characters: str) -> str:
    return "".join(rf"\x{{{ord(one):x}}}" for one in characters)


def named(labels: Sequence[str]) -> str:
    """Name labels for a message, the first of many."""
    more = len(labels) - _NAMED
    return ", ".join(labels[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def draw(
    model: Model, label: str | None, settings: DrawSettings, given: str, step: Callable[[], object]
) -> list[Drawing]:
    """Write pictures of a label for :meth:`glyphsight.inference.Model.draw`, which says how."""
    run = model.trained
    if not run.draws:
        raise ModelError(
            f"{model.name}: was not trained to draw; give {DRAW}, or train it with --data draw:DATA"
        )
    if label is None and not given:
        raise ModelError(f"no label; give one of {named(run.draws)}")
    if label is not None and label not in run.draws:
        raise ModelError(
            f"{model.name}: was not trained to draw {label!r}; give one of {named(run.draws)}, or "
            "train it with --data draw:DATA"
        )
    places = places_left(given, run.profile)
    glyphs = zip(places, layout_of(run.profile), strict=True)
    gap = "?1" in "".join("?" if len(one) > 1 else "1" for one, own in glyphs if len(own) > 1)
    labels = run.draws if label is None else (label,)
    model.settle(settings.n + len(labels) - 1)
    lead = run.prompt.reply("\n").partition("\n")[0].removeprefix(" " * bool(model.chat_turns))
    asked = [run.prompt.ask("", asked_to_draw(one)) for one in labels]
    with model._tokens:
        grammar = Grammar.of(model.tokenizer, (*lead, *places))
        ids = prompt_ids(model.tokenizer, asked, model.chat_turns)
    model._require_room(ids, [1] * len(ids))
    prompts = dict(zip(labels, ids, strict=True))

    def advance(new: list[list[int]], states: list[Any]) -> list[Any]:
        step()
        return model._batcher.ask(Job(new, states=states), model._open)

    def write(one: str, how: DrawSettings) -> list[tuple[list[int], float]]:
        room = None if model.window is None else model.window - len(prompts[one])
        return write_drawings(advance, prompts[one], grammar, how, gap=gap, room=room)

    if label is None:
        tried = {one: write(one, replace(settings, n=1))[0][1] for one in labels}
        label = max(labels, key=tried.__getitem__)
    texts = (
        model.tokenizer.decode(ids, skip_special_tokens=True) for ids, _ in write(label, settings)
    )
    return [Drawing(label, text[len(lead) :], run.profile) for text in texts]


def write_drawings(
    advance: Advance,
    prompt: list[int],
    grammar: Grammar,
    settings: DrawSettings,
    *,
    gap: bool,
    room: int | None = None,
) -> list[tuple[list[int], float]]:
    """Write drawings after a prompt.

    Each token is drawn among those that fit. The weight of a text is the logarithm of how much the
    model expects what is known of it: the sum, over its tokens, of that of the probability of all
    tokens that fit. A text that has a gap above known rows is written several times, and the one of
    most weight is kept. ``room`` is the most tokens of a drawing.

    Returns:
        Token ids of each drawing, and its weight: a natural logarithm, at most 0.

    Raises:
        ModelError: A drawing does not end within the room, or no token fits.
    """
    each = _CANDIDATES if gap else 1
    seeds = np.random.SeedSequence(settings.seed).generate_state(4)
    draws = [np.random.default_rng([*seeds, row]) for row in range(settings.n * each)]
    found: list[tuple[list[int], float]] = []
    for start in range(0, len(draws), BATCH):
        some = draws[start : start + BATCH]
        found += _written_together(advance, prompt, grammar, settings.temperature, some, room)
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
    room: int | None,
) -> list[tuple[list[int], float]]:
    """Write a text for each source of random numbers, a token of each at a time."""
    texts: list[list[int]] = [[] for _ in draws]
    weights, writing = np.zeros(len(draws)), Writing(temperature=temperature)
    states = [grammar.start() for _ in draws]
    going, new, kept = list(range(len(draws))), [prompt for _ in draws], [None for _ in draws]
    while going:
        if room is not None and len(texts[going[0]]) == room:
            raise ModelError(
                f"a drawing does not end within the {room} tokens that the model has left for it; "
                "train one on pictures of fewer columns"
            )
        found = advance(new, kept)
        for row, (logprobs, _) in zip(going, found, strict=True):
            fit = grammar.allowed(states[row])
            if not len(fit):
                raise _no_grammar()
            some = logprobs[fit]
            weights[row] += np.logaddexp.reduce(some)
            token = int(fit[choose(some, writing, draws[row])])
            texts[row].append(token)
            if not states[row].consume_token(token):
                raise _no_grammar(states[row].get_error())
        left = [at for at, row in enumerate(going) if not states[row].is_accepting()]
        kept, going = [found[at][1] for at in left], [going[at] for at in left]
        new = [texts[row][-1:] for row in going]
    return list(zip(texts, weights.tolist(), strict=True))
