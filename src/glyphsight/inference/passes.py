"""Forward passes of torch: padded batches, a shared beginning computed once, kept keys and values.

Sequences are padded on the left, with position ids that count from the first token of each
sequence, so that batch size and padding do not change the result of a position.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from glyphsight.models.load import LoadedModel

_CPU_TOKENS = 2048  # per pass: larger ones leave the CPU's caches and gain nothing
_END_TOKENS = 512  # per pass over endings, whose logits are all kept
_SHARED = 8  # tokens a beginning must have, and how many it must save, to be worth a pass
_SAVED = 64


def left_padded(sequences: Sequence[Sequence[int]], pad: int) -> dict[str, Any]:
    """Make a batch that ends flush right.

    Returns:
        ``input_ids``, ``position_ids`` int64[N, T] and, where lengths differ, ``attention_mask``
        int64[N, T] (left out otherwise: without a mask, attention takes its fast path).
    """
    import torch

    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, longest - len(sequence) :] = torch.tensor(sequence, dtype=torch.long)
        mask[row, longest - len(sequence) :] = 1
    batch = {"input_ids": ids, "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)}
    if any(len(sequence) < longest for sequence in sequences):
        batch["attention_mask"] = mask
    return batch


def in_batches(
    sequences: Sequence[Sequence[int]], batch_size: int, device: str
) -> Iterator[list[int]]:
    """Yield the rows of each pass: sequences of like length, those with one beginning together.

    Args:
        sequences: Token ids.
        batch_size: Sequences per pass at most; on a CPU fewer where they are long.
        device: Type of the device that computes them, such as ``cpu``.
    """
    order = sorted(range(len(sequences)), key=lambda i: (-len(sequences[i]), sequences[i], i))
    start = 0
    while start < len(order):
        size = batch_size
        if device == "cpu":
            size = min(size, max(1, _CPU_TOKENS // max(1, len(sequences[order[start]]))))
        yield order[start : start + size]
        start += size


def shared_beginning(sequences: Sequence[Sequence[int]], keep: int) -> int:
    """Count the tokens that all sequences begin with, the last ``keep`` of each left out."""
    first, most = sequences[0], min(map(len, sequences)) - keep
    for other in sequences[1:]:
        pairs = zip(first[: max(0, most)], other, strict=False)
        most = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return max(0, most)


@dataclass(frozen=True)
class Passed:
    """Result of a pass.

    Attributes:
        logprobs: Log-probabilities at the last positions, float32[N, keep, V].
        cache: Keys and values of every position; None where they were not asked for, or the model
            keeps them in another way than token by token.
        mask: int64[N, T] of the positions in ``cache``; None where all are tokens.
        lengths: Tokens of each sequence, int64[N].
    """

    logprobs: Any
    cache: Any
    mask: Any
    lengths: Any


def forward(
    loaded: LoadedModel,
    sequences: Sequence[Sequence[int]],
    keep: int,
    *,
    share: bool = True,
    cached: bool = False,
) -> Passed:
    """Run one pass over N sequences, their shared beginning computed once.

    Args:
        loaded: The model.
        sequences: Token ids.
        keep: Last positions wanted.
        share: Compute a shared beginning once; changes speed alone.
        cached: Keep keys and values.
    """
    import torch

    device, count = loaded.model.device, len(sequences)
    begun = shared_beginning(sequences, keep) if share else 0
    past = None
    if begun >= _SHARED and begun * (count - 1) >= _SAVED:
        once = torch.tensor([list(sequences[0][:begun])], device=device)
        past = _by_token(loaded.model(input_ids=once, logits_to_keep=1, use_cache=True))
    if past is None:
        begun = 0
    else:
        past.batch_repeat_interleave(count)
    batch = left_padded([sequence[begun:] for sequence in sequences], loaded.tokenizer.pad_token_id)
    batch["position_ids"] += begun
    if begun and "attention_mask" in batch:
        shared = torch.ones(count, begun, dtype=torch.long)
        batch["attention_mask"] = torch.cat([shared, batch["attention_mask"]], dim=1)
    inputs = {name: tensor.to(device) for name, tensor in batch.items()}
    if past is not None:
        inputs[_cache_name(loaded)] = past
    done = loaded.model(**inputs, logits_to_keep=keep, use_cache=cached or past is not None)
    return Passed(
        torch.log_softmax(done.logits.float(), dim=-1),
        _by_token(done) if cached else None,
        inputs.get("attention_mask"),
        torch.tensor([len(sequence) for sequence in sequences], device=device),
    )


def score_endings(
    loaded: LoadedModel,
    passed: Passed,
    sequences: Sequence[list[int]],
    endings: Sequence[Sequence[list[int]]],
) -> list[NDArray[np.float32]]:
    """Score endings of each of the N sequences of a pass, all tokens but the first of each.

    The endings of a sequence are one row after its kept keys and values, under a mask in which
    endings do not see each other. A model without such keys reads every ending after its whole
    sequence.

    Args:
        loaded: The model.
        passed: A pass with ``cached``.
        sequences: Token ids of the pass.
        endings: Token ids of the endings of each sequence, at least two per ending.

    Returns:
        N arrays float32[endings].
    """
    found = [np.zeros(len(own), dtype=np.float32) for own in endings]
    order = [(row, column) for row, own in enumerate(endings) for column in range(len(own))]
    if passed.cache is None or not _takes_any_mask(loaded):
        whole = [sequences[row] + endings[row][column] for row, column in order]
        for batch in in_batches(whole, len(sequences), loaded.model.device.type):
            keep = max(len(endings[order[i][0]][order[i][1]]) for i in batch)
            logprobs = forward(loaded, [whole[i] for i in batch], keep, share=False).logprobs
            for i, own in zip(batch, logprobs, strict=True):
                row, column = order[i]
                ending = endings[row][column]
                found[row][column] = _told(own[keep - len(ending) : -1], ending[1:])
        return found
    for columns in _columns_per_pass(endings):
        some = [own[columns] for own in endings]
        for own, scores in zip(found, _after(loaded, passed, some), strict=True):
            own[columns] = scores
    return found


def _columns_per_pass(endings: Sequence[Sequence[list[int]]]) -> Iterator[slice]:
    """Yield columns of which all sequences together read a bounded number of tokens."""
    most, start = max(map(len, endings)), 0
    while start < most:
        stop = start + 1
        while stop < most:
            longest = max(sum(len(e) - 1 for e in own[start : stop + 1]) for own in endings)
            if longest * len(endings) > _END_TOKENS:
                break
            stop += 1
        yield slice(start, stop)
        start = stop


def _after(
    loaded: LoadedModel, passed: Passed, endings: Sequence[Sequence[list[int]]]
) -> Iterator[list[float]]:
    """Yield the scores of the endings of each sequence, from one pass over its kept keys."""
    import torch

    device, count = loaded.model.device, len(endings)
    longest = max(sum(len(ending) - 1 for ending in own) for own in endings)
    ids = torch.full((count, longest), loaded.tokenizer.pad_token_id, dtype=torch.long)
    places = torch.zeros_like(ids)
    seen = torch.eye(longest, dtype=torch.bool).repeat(count, 1, 1)
    spans = []
    for row, own in enumerate(endings):
        start = 0
        for ending in own:
            stop = start + len(ending) - 1
            ids[row, start:stop] = torch.tensor(ending[:-1])
            places[row, start:stop] = torch.arange(stop - start)
            seen[row, start:stop, start:stop] = torch.ones(stop - start, stop - start).tril().bool()
            spans.append((row, start, stop, ending[1:]))
            start = stop
    past = copy.copy(passed.cache)
    past.layers = [copy.copy(layer) for layer in passed.cache.layers]  # a pass may come again
    kept = past.get_seq_length()
    before = torch.ones(count, kept) if passed.mask is None else passed.mask.cpu()
    visible = torch.cat([before.bool()[:, None].expand(-1, longest, -1), seen], dim=2)
    mask = torch.zeros(visible.shape, dtype=loaded.model.dtype)
    mask.masked_fill_(~visible, torch.finfo(mask.dtype).min)
    inputs = {
        "input_ids": ids.to(device),
        "position_ids": passed.lengths[:, None] + places.to(device),
        "attention_mask": mask[:, None].to(device),
        _cache_name(loaded): past,
    }
    logits = loaded.model(**inputs, use_cache=True).logits
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    scores: list[list[float]] = [[] for _ in endings]
    for row, start, stop, targets in spans:
        scores[row].append(_told(logprobs[row, start:stop], targets))
    yield from scores


def _told(logprobs: Any, targets: Sequence[int]) -> float:
    """Sum the log-probabilities float32[T, V] of T target tokens."""
    import torch

    index = torch.tensor(targets, device=logprobs.device)[:, None]
    return float(logprobs.gather(1, index).sum())


def _takes_any_mask(loaded: LoadedModel) -> bool:
    """Tell whether positions are rotations, so that mask and positions are free of each other."""
    return hasattr(loaded.model.config.get_text_config(), "rope_parameters")


def _cache_name(loaded: LoadedModel) -> str:
    """Name the argument for kept keys and values: ``cache`` from transformers 5.24 on."""
    model = loaded.model
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    return "cache" if "cache" in signature(inner.forward).parameters else "past_key_values"


def _by_token(done: Any) -> Any:
    """Return the keys and values of a pass, None where they are not kept token by token."""
    from transformers.cache_utils import DynamicLayer

    cache = done.get("cache", done.get("past_key_values"))
    layers = getattr(cache, "layers", None)
    return cache if layers and all(type(layer) is DynamicLayer for layer in layers) else None


class TorchEngine:
    """Passes of a model that transformers loaded.

    Attributes:
        device: Type of the device, such as ``cpu``.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self.device: str = loaded.model.device.type

    def forward(
        self, sequences: Sequence[list[int]], keep: int, *, share: bool, cached: bool
    ) -> tuple[NDArray[np.float32], Any]:
        """Return log-probabilities float32[N, keep, V] and what :meth:`endings` needs."""
        import torch

        with torch.inference_mode():
            passed = forward(self._loaded, sequences, keep, share=share, cached=cached)
        return passed.logprobs.cpu().numpy(), passed

    def endings(
        self, passed: Any, sequences: Sequence[list[int]], endings: Sequence[Sequence[list[int]]]
    ) -> list[NDArray[np.float32]]:
        """See :func:`score_endings`."""
        import torch

        with torch.inference_mode():
            return score_endings(self._loaded, passed, sequences, endings)

    def write(
        self, sequences: Sequence[list[int]], most: int, ends: Sequence[int]
    ) -> list[list[int]]:
        """Return the token ids written greedily after each sequence, at most ``most``."""
        import torch

        pad = self._loaded.tokenizer.pad_token_id
        batch = left_padded(sequences, pad)
        ids = batch["input_ids"].to(self._loaded.model.device)
        mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
        with torch.inference_mode():
            written = self._loaded.model.generate(
                input_ids=ids,
                attention_mask=mask.to(ids.device),
                max_new_tokens=most,
                do_sample=False,
                pad_token_id=pad,
                eos_token_id=list(ends),
            )
        found: list[list[int]] = written[:, ids.shape[1] :].tolist()
        return found
