"""Perplexity of a model on a text, in windows that overlap."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glyphsight.errors import DatasetError, ModelError
from glyphsight.inference.passes import forward
from glyphsight.inference.tokenize import text_ids
from glyphsight.models import LoadedModel

WINDOW = 512
STRIDE = 256
_FEWEST = 10  # windows: resampling fewer says nothing of how far a figure may move


@dataclass(frozen=True)
class TextLoss:
    """What a text costs a model.

    Attributes:
        name: Of the text.
        tokens: Tokens judged in each window, int; every token of the text but one without a token
            before it is judged once.
        nats: Cross-entropy summed over them, natural logarithm, one figure a window.
        size: UTF-8 bytes of what was judged.
    """

    name: str
    tokens: tuple[int, ...]
    nats: tuple[float, ...]
    size: int

    @property
    def perplexity(self) -> float:
        """Exponential of the mean cross-entropy a token; comparable only between same tokens."""
        return perplexity([self])

    @property
    def bits_per_byte(self) -> float:
        """Cross-entropy in bits over the bytes of the text; comparable between any tokenizers."""
        return bits_per_byte([self])


def perplexity(losses: Sequence[TextLoss]) -> float:
    """Perplexity a token over several texts; infinity where a float cannot hold it."""
    mean = sum(sum(loss.nats) for loss in losses) / sum(sum(loss.tokens) for loss in losses)
    return math.exp(mean) if mean < 700 else math.inf


def bits_per_byte(losses: Sequence[TextLoss]) -> float:
    """Bits a byte over several texts (as Gao et al. 2020 for The Pile)."""
    nats = sum(sum(loss.nats) for loss in losses)
    return nats / math.log(2) / sum(loss.size for loss in losses)


def spans(count: int, window: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """Where windows over ``count`` tokens begin, from where on they judge, and where they end.

    Each window ends ``stride`` tokens after the one before it and judges those tokens alone; what
    it reads before them is context. The first one judges all it reads.
    """
    judged = 0
    for begin in range(0, count, stride):
        end = min(begin + window, count)
        yield begin, judged, end
        judged = end
        if end == count:
            return


def fitted(
    loaded: LoadedModel, opening: Sequence[int], window: int, stride: int
) -> tuple[int, int]:
    """Window and stride, made smaller where the model takes fewer tokens.

    Raises:
        ModelError: They do not fit each other.
    """
    if not 1 <= stride <= window or window < 2:
        raise ModelError(
            f"window {window} and stride {stride}: give a window of 2 tokens or more and a stride "
            "from 1 to the window"
        )
    if loaded.window is not None:
        window = min(window, loaded.window - len(opening))
    return window, min(stride, window)


def window_count(loaded: LoadedModel, text: str, window: int, stride: int) -> int:
    """How many windows :func:`text_loss` takes over a text."""
    opening, ids = text_ids(loaded.tokenizer, text)
    return sum(1 for _ in spans(len(ids), *fitted(loaded, opening, window, stride)))


def text_loss(
    loaded: LoadedModel,
    text: str,
    name: str = "text",
    *,
    window: int = WINDOW,
    stride: int = STRIDE,
    progress: Callable[[int], Any] = lambda n: None,
) -> TextLoss:
    """Cross-entropy of a model on a text, every token given those before it in its window.

    Windows with a stride, as transformers' page "Perplexity of fixed-length models" takes them: the
    smaller the stride, the more context each token has and the longer it takes. Where the tokenizer
    opens a text with a token of its own, every window begins with it; where it has none, the
    first token of the text has nothing before it and is not judged.

    Args:
        loaded: The model.
        text: What it is to have written, two tokens at least.
        name: Of the text, in the result and in errors.
        window: Tokens read at once at most; fewer where the model takes fewer.
        stride: Tokens from one window to the next, from 1 to ``window``.
        progress: Called with the number of windows done since the last call.

    Raises:
        ModelError: Window or stride do not fit each other.
        DatasetError: The text is too short to judge.
    """
    import torch

    opening, ids = text_ids(loaded.tokenizer, text)
    window, stride = fitted(loaded, opening, window, stride)
    unread = 0 if opening else 1
    if len(ids) <= unread:
        raise DatasetError(f"{name}: {len(ids)} tokens are too few to judge; give a longer text")
    tokens, nats = [], []
    with torch.inference_mode():
        for begin, judged, end in spans(len(ids), window, stride):
            first = max(judged, unread)
            targets = torch.tensor(ids[first:end], dtype=torch.long)
            start = begin if opening or first > begin else begin - 1  # what its first token goes by
            read = opening + ids[start : end - 1]
            logprobs = forward(loaded, [read], len(targets), share=False).logprobs[0]
            told = logprobs.gather(1, targets.to(logprobs.device)[:, None])
            nats.append(-float(told.double().sum()))
            tokens.append(len(targets))
            progress(1)
    size = len(text.encode()) - len(loaded.tokenizer.decode(ids[:unread]).encode())
    return TextLoss(name, tuple(tokens), tuple(nats), size)


def relative_loss(
    first: Sequence[TextLoss],
    second: Sequence[TextLoss],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, tuple[float, float] | None]:
    """How much more bits a byte the first model takes than the second, as a share of the second's.

    Args:
        first: Of one model.
        second: The same texts by the other.
        resamples: Of the paired bootstrap over windows (Efron 1979).
        seed: Of the resampling.

    Returns:
        The share, 0 where they are equal, and its 95 % percentile interval: windows are drawn with
        replacement, both models' figures of a window together. Windows that overlap share context,
        never a judged token. None where the two cut the texts into other tokens, so that no
        windows are the same, and below ten windows.
    """
    share = bits_per_byte(first) / bits_per_byte(second) - 1
    windows = [loss.tokens for loss in first]
    if windows != [loss.tokens for loss in second] or sum(map(len, windows)) < _FEWEST:
        return share, None
    a, b = (np.concatenate([loss.nats for loss in losses]) for losses in (first, second))
    drawn = np.random.default_rng(seed).integers(len(a), size=(resamples, len(a)))
    low, high = np.percentile(a[drawn].sum(axis=1) / b[drawn].sum(axis=1) - 1, [2.5, 97.5])
    return share, (float(low), float(high))
