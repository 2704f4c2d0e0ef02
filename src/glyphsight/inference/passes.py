"""Forward passes: padded batches, a beginning that all share once, kept keys and values.

Sequences are padded on the left, with position ids that count from each sequence's first token, so
batch size and padding do not change what a position gives.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import takewhile
from typing import Any

from glyphsight.models.load import LoadedModel

_CPU_TOKENS = 2048  # a pass: larger ones leave the CPU's caches and gain nothing
_SHARED = 8  # tokens a beginning must have, and how many it must save, to be worth a pass
_SAVED = 64


def left_padded(sequences: Sequence[Sequence[int]], pad: int) -> dict[str, Any]:
    """A batch that ends flush right.

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
    """Places of sequences for one pass each: of like length, those that begin alike together.

    Args:
        sequences: Token ids.
        batch_size: Sequences in a pass at most; on a CPU fewer where they are long.
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
    """How many tokens all sequences begin with, ``keep`` at the end of each left out."""
    first, most = sequences[0], min(map(len, sequences)) - keep
    for other in sequences[1:]:
        pairs = zip(first[: max(0, most)], other, strict=False)
        most = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return max(0, most)


@dataclass(frozen=True)
class Passed:
    """What a pass gave.

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
    """One pass over N sequences, what they all begin with computed once.

    Args:
        loaded: The model.
        sequences: Token ids, each of at least ``keep``.
        keep: Last positions wanted.
        share: Compute a common beginning once; changes speed alone.
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


def go_on(loaded: LoadedModel, passed: Passed, endings: Sequence[Sequence[int]]) -> Any:
    """Log-likelihood of L endings after each of the N sequences of a pass.

    Args:
        loaded: The model.
        passed: A pass whose ``cache`` was kept; it may be gone on from again.
        endings: Token ids of each, at least two. The first is what ``passed.logprobs`` already
            tells of, so it is read and not judged.

    Returns:
        float32[N, L]: the sum over all tokens of an ending but its first.
    """
    import torch

    device, count, times = loaded.model.device, len(passed.lengths), len(endings)
    longest = max(map(len, endings)) - 1
    ids = torch.full((times, longest), loaded.tokenizer.pad_token_id, dtype=torch.long)
    targets, judged = torch.zeros_like(ids), torch.zeros(times, longest)
    for row, ending in enumerate(endings):  # what stands behind an ending does not reach it
        ids[row, : len(ending) - 1] = torch.tensor(ending[:-1])
        targets[row, : len(ending) - 1] = torch.tensor(ending[1:])
        judged[row, : len(ending) - 1] = 1
    past = copy.copy(passed.cache)
    past.layers = [copy.copy(layer) for layer in passed.cache.layers]  # theirs stay as they are
    past.batch_repeat_interleave(times)
    positions = passed.lengths[:, None] + torch.arange(longest, device=device)
    inputs = {
        "input_ids": ids.repeat(count, 1).to(device),
        "position_ids": positions.repeat_interleave(times, dim=0),
        _cache_name(loaded): past,
    }
    if passed.mask is not None:
        mask = passed.mask.repeat_interleave(times, dim=0)
        inputs["attention_mask"] = torch.cat(
            [mask, torch.ones(count * times, longest, dtype=mask.dtype, device=device)], dim=1
        )
    logprobs = torch.log_softmax(loaded.model(**inputs, use_cache=True).logits.float(), dim=-1)
    told = logprobs.gather(2, targets.repeat(count, 1).to(device)[..., None])[..., 0]
    return (told * judged.repeat(count, 1).to(device)).sum(dim=1).view(count, times)


def _cache_name(loaded: LoadedModel) -> str:
    """What the model calls kept keys and values: ``cache`` from transformers 5.24 on."""
    model = loaded.model
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    return "cache" if "cache" in signature(inner.forward).parameters else "past_key_values"


def _by_token(done: Any) -> Any:
    """Keys and values of a pass that can be repeated and gone on from; None where they cannot."""
    from transformers.cache_utils import DynamicLayer

    cache = done.get("cache", done.get("past_key_values"))
    layers = getattr(cache, "layers", None)
    return cache if layers and all(type(layer) is DynamicLayer for layer in layers) else None
