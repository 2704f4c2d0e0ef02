"""The one scorer: log-likelihood of each answer after a prompt. The passes are an engine's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from glyphsight.dataset.prompt import Prompt
from glyphsight.errors import ModelError
from glyphsight.inference.passes import Floats, Ids, in_batches
from glyphsight.inference.tokenize import completion_ids
from glyphsight.models.chat import Turns
from glyphsight.models.runs import UNKNOWN


@dataclass(frozen=True)
class Request:
    """A question to a model."""

    prompt: str  # text that the model reads, as ``Prompt.ask`` renders it
    # Completions as ``Prompt.reply`` renders each; they bound a free one
    answers: tuple[str, ...] = ()
    unknown: int | None = None  # column of "unknown", whose score is lowered by the run's caution

    @staticmethod
    def about(prompt: Prompt, text: str, labels: Sequence[str], question: str = "") -> Request:
        """Ask which label fits the text of a picture."""
        return Request.among(labels, tuple(map(prompt.reply, labels)), prompt.ask(text, question))

    @staticmethod
    def among(labels: Sequence[str], answers: tuple[str, ...], prompt: str) -> Request:
        """Ask which of the labels, rendered as ``answers``, goes on from a rendered prompt."""
        return Request(prompt, answers, labels.index(UNKNOWN) if UNKNOWN in labels else None)


class Engine(Protocol):
    """Computes the passes of a model, for one thread at a time."""

    name: str  # name of the engine, such as ``numpy``
    device: str  # type of the device, such as ``cpu``

    def agrees(self, sequences: Ids) -> tuple[bool, bool]:
        """Return whether padding, and a shared beginning computed once, leave scores alone."""
        ...

    def forward(
        self, sequences: Ids, keep: int, *, share: bool, cached: bool
    ) -> tuple[Floats, Any]:
        """Run one pass over N sequences.

        Args:
            sequences: Token ids.
            keep: Last positions wanted.
            share: True where a shared beginning is computed once; changes speed alone.
            cached: True where keys and values are kept for :meth:`endings`.

        Returns:
            Log-probabilities float32[N, keep, V], and the state of the pass.
        """
        ...

    def endings(self, passed: Any, sequences: Ids, endings: Sequence[Ids]) -> list[Floats]:
        """Score endings of the sequences of a pass, all tokens but the first of each ending.

        Args:
            passed: State of the pass.
            sequences: Token ids of the pass.
            endings: Token ids of the endings of each sequence, at least two per ending.

        Returns:
            N arrays float32[endings].
        """
        ...

    def write(self, sequences: Ids, most: int, ends: Sequence[int]) -> list[list[int]]:
        """Return the token ids written greedily after each sequence, at most ``most``.

        Writing stops at a token of ``ends``.
        """
        ...

    def advance(self, new: Ids, states: Sequence[Any]) -> list[tuple[Floats, Any]]:
        """Read further tokens of N sequences, each on its own.

        Args:
            new: Token ids to read, at least one per sequence.
            states: State of each sequence as this function returned it; None at its beginning.

        Returns:
            N pairs: log-probabilities float32[V] of the next token, and the state.
        """
        ...


class PromptTooLongError(ModelError):
    """Prompts that do not fit the model's window.

    Attributes:
        reasons: Fault and fix by number of the prompt, from 1; at least one.
    """

    def __init__(self, reasons: dict[int, str]) -> None:
        number, reason = next(iter(reasons.items()))
        super().__init__(f"picture {number}: {reason}")
        self.reasons = reasons

    def __reduce__(self) -> tuple[type[PromptTooLongError], tuple[dict[int, str]]]:
        return PromptTooLongError, (self.reasons,)


@dataclass(frozen=True)
class Completions:
    """Token ids of the answers to choose from."""

    shared: list[int]  # token ids that all answers start with
    rests: list[list[int]]  # token ids after them, one list per answer

    @staticmethod
    def of(tokenizer: Any, answers: Sequence[str], turns: Turns | None = None) -> Completions:
        """Tokenize answers; they end with the end token only where one continues another.

        Raises:
            ModelError: There are no answers, two are the same tokens, or one has none.
        """
        if not answers:
            raise ModelError("no answers to choose from; give one, or let the model write")
        ids = completion_ids(tokenizer, answers, turns, end=False)
        for answer, own in zip(answers, ids, strict=True):
            if not own:
                raise ModelError(
                    f"label {answer.strip()!r} has no token in this model's vocabulary; rename it"
                )
        known = {tuple(own) for own in ids}
        if len(known) < len(ids):
            raise ModelError("two labels are the same tokens to this model; rename one")
        if any(tuple(own[:n]) in known for own in ids for n in range(1, len(own))):
            ids = completion_ids(tokenizer, answers, turns)
        count = 0
        while all(len(own) > count + 1 and own[count] == ids[0][count] for own in ids):
            count += 1
        return Completions(ids[0][:count], [own[count:] for own in ids])

    @property
    def longest(self) -> int:
        """Tokens of the longest answer."""
        return len(self.shared) + max(map(len, self.rests))


def score(
    engine: Engine,
    prompts: Ids,
    choices: Sequence[Completions],
    batch_size: int,
    *,
    progress: Callable[[list[int]], object] = lambda rows: None,
    share: bool = True,
) -> list[Floats]:
    """Score the answers of each prompt: N arrays float32[answers], natural logarithm.

    One pass per batch gives the answers that differ in one token; the endings of longer ones take
    passes of their own over the kept keys and values.
    """
    scores = [np.empty(0, dtype=np.float32)] * len(prompts)
    sequences = [ids + own.shared for ids, own in zip(prompts, choices, strict=True)]
    pads, shares = engine.agrees(sequences)
    for rows in in_batches(sequences, batch_size, engine.device, padded=pads):
        own = [choices[row] for row in rows]
        some = [sequences[row] for row in rows]
        keep = max(len(c.shared) for c in own) + 1
        longer = [[rest for rest in c.rests if len(rest) > 1] for c in own]
        logprobs, passed = engine.forward(some, keep, share=share and shares, cached=any(longer))
        for row, c, found in zip(rows, own, logprobs, strict=True):
            before = found[keep - 1 - len(c.shared) : -1]
            begun = before[np.arange(len(c.shared)), c.shared].sum(dtype=np.float32)
            scores[row] = begun + found[-1, [rest[0] for rest in c.rests]]
        if any(longer):
            ends = engine.endings(passed, some, longer)
            for row, c, end in zip(rows, own, ends, strict=True):
                scores[row][[len(rest) > 1 for rest in c.rests]] += end
        progress(rows)
    return scores


def write(
    engine: Engine,
    prompts: Ids,
    rooms: Sequence[int],
    ends: Sequence[int],
    batch_size: int,
    *,
    progress: Callable[[list[int]], object] = lambda rows: None,
) -> list[list[int]]:
    """Write greedily after each prompt, at most as many tokens as it has room for.

    Arguments are those of :func:`score`; ``ends`` are the tokens that end an answer.
    """
    written: list[list[int]] = [[] for _ in prompts]
    pads, _ = engine.agrees(prompts)
    size = batch_size if pads else 1  # RWKV of transformers 5 mixes states in a batch
    for room in sorted(set(rooms), reverse=True):  # all of a pass have as much room
        alike = [row for row, own in enumerate(rooms) if own == room]
        some = [prompts[row] for row in alike]
        for batch in in_batches(some, size, engine.device):
            rows = [alike[index] for index in batch]
            found = engine.write([prompts[row] for row in rows], room, ends)
            for row, tokens in zip(rows, found, strict=True):
                written[row] = tokens
            progress(rows)
    return written


def probabilities(scores: Floats) -> Floats:
    """Turn log-likelihoods over answers, float32[..., L], into probabilities that sum to 1."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result: Floats = shifted / shifted.sum(axis=-1, keepdims=True)
    return result
