"""Forward passes of torch: padded batches, a shared beginning computed once, kept keys and values.

Sequences are padded on the left, with position ids that count from the first token of each
sequence, so that batch size and padding do not change the result of a position. Some families
read padding or kept keys in another way, so each model is checked once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from glyphsight.console import say

if TYPE_CHECKING:
    from glyphsight.models.load import LoadedModel

Ids = Sequence[list[int]]  # token ids of sequences
Floats = NDArray[np.float32]
_CPU_TOKENS = 2048  # per pass: larger ones leave the CPU's caches and gain nothing
_END_TOKENS = 512  # per pass over endings, whose logits are all kept
_SHARED = 8  # tokens a beginning must have, and how many it must save, to be worth a pass
_SAVED = 64
LIKELY = 64  # tokens whose scores are compared where a model is checked
ROUNDED = 1e-3  # largest change of a score by rounding in float32, and in half precision
ROUNDED_HALF = 0.5


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
    sequences: Sequence[Sequence[int]], batch_size: int, device: str, *, padded: bool = True
) -> Iterator[list[int]]:
    """Yield the rows of each pass: sequences of like length, those with one beginning together.

    Args:
        sequences: Token ids.
        batch_size: Sequences per pass at most; on a CPU fewer where they are long.
        device: Type of the device that computes them, such as ``cpu``.
        padded: True where a pass may hold sequences of several lengths.
    """
    order = sorted(range(len(sequences)), key=lambda i: (-len(sequences[i]), sequences[i], i))
    start = 0
    while start < len(order):
        size, length = batch_size, len(sequences[order[start]])
        if device == "cpu":
            size = min(size, max(1, _CPU_TOKENS // max(1, length)))
        rows = order[start : start + size]
        if not padded:
            rows = [row for row in rows if len(sequences[row]) == length]
        yield rows
        start += len(rows)


def shared_beginning(sequences: Sequence[Sequence[int]], keep: int) -> int:
    """Count the tokens that all sequences begin with, the last ``keep`` of each left out."""
    most = max(0, min(map(len, sequences)) - keep)
    # All others lie between these two
    low, high = min(map(list, sequences)), max(map(list, sequences))
    pairs = enumerate(zip(low[:most], high, strict=False))
    return next((at for at, (one, other) in pairs if one != other), most)


class Packed(NamedTuple):
    """Endings of a sequence in one row, T tokens: all of each but its last, alike ones once."""

    ids: list[int]
    places: NDArray[np.int64]  # [T], of each token in its ending
    seen: NDArray[np.bool_]  # [T, T], those before each token in its own ending
    spans: list[tuple[int, int, list[int]]]  # start and stop of each, its tokens but the first

    @staticmethod
    def of(endings: Ids) -> Packed:
        """Pack endings of at least two tokens each."""
        starts: dict[tuple[int, ...], int] = {}
        ids: list[int] = []
        for ending in endings:
            read = tuple(ending[:-1])
            if read not in starts:
                starts[read] = len(ids)
                ids += read
        places, seen = np.zeros(len(ids), np.int64), np.zeros((len(ids), len(ids)), dtype=bool)
        for read, start in starts.items():
            stop = start + len(read)
            places[start:stop] = np.arange(len(read))
            seen[start:stop, start:stop] = np.tri(len(read), dtype=bool)
        spans = []
        for ending in endings:
            start = starts[tuple(ending[:-1])]
            spans.append((start, start + len(ending) - 1, ending[1:]))
        return Packed(ids, places, seen, spans)


class Passed(NamedTuple):
    """Result of a pass over N sequences."""

    logprobs: Any  # float32[N, keep, V], at the last positions
    cache: Any  # keys and values; None where not asked for, or not kept token by token
    mask: Any  # int64[N, T] of the positions in the cache; None where all are tokens
    lengths: Any  # int64[N]


_CHECKED: WeakKeyDictionary[Any, tuple[int, bool, bool]] = WeakKeyDictionary()
"""Length of the sequence that a model was checked with, whether it pads and shares."""


class TorchEngine:
    """Passes of a model that transformers loaded."""

    name = "torch"

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded, self._model = loaded, loaded.model
        self._pad = loaded.tokenizer.pad_token_id
        self.device: str = loaded.model.device.type
        self._keeps = True  # until a pass returns nothing to read on from

    def agrees(self, sequences: Ids) -> tuple[bool, bool]:
        """See :class:`~glyphsight.inference.score.Engine`; a model is checked once.

        It is checked again for sequences twice as long, since attention may have a window. The
        longest without its first third is read alone, in a batch with the whole one, and after a
        beginning that it shares with a longer one.
        """
        length, pads, shares = _CHECKED.get(self._model, (0, True, True))
        whole = max(sequences, key=len, default=[])
        part = whole[len(whole) // 3 :]
        if len(sequences) < 2 or len(part) <= 2 * length or len(part) < _SHARED:
            return pads, shares
        import torch

        exact = self._model.dtype == torch.float32 and not torch.is_autocast_enabled(self.device)
        most, half = ROUNDED if exact else ROUNDED_HALF, len(part) // 2
        [alone] = self._run([part], 1).logprobs
        [padded, _] = self._run([part, whole], 1).logprobs
        [shared, _] = self._run([part, part[:half] + part[half // 2 :]], 1, half).logprobs
        likely = alone[0].topk(min(LIKELY, alone.shape[1])).indices
        apart = [float((one - alone)[0, likely].abs().max()) for one in (padded, shared)]
        found = pads and apart[0] < most, shares and apart[1] < most
        _CHECKED[self._model] = len(part), *found
        if found != (pads, shares):
            ways = [way for way, fit in zip(("padding", "sharing"), found, strict=True) if not fit]
            say(
                f"glyphsight: {self._loaded.name}: {' and '.join(ways)} would change its scores by "
                f"{max(apart):.2g}; it is asked without, which is slower"
            )
        return found

    def forward(
        self, sequences: Ids, keep: int, *, share: bool, cached: bool
    ) -> tuple[Floats, Passed]:
        """Run one pass; see :class:`~glyphsight.inference.score.Engine`."""
        begun = shared_beginning(sequences, keep) if share else 0
        if begun < _SHARED or begun * (len(sequences) - 1) < _SAVED:
            begun = 0
        passed = self._run(sequences, keep, begun, cached=cached)
        return passed.logprobs.cpu().numpy(), passed

    def _run(self, sequences: Ids, keep: int, begun: int = 0, *, cached: bool = False) -> Passed:
        """Run one pass, the first ``begun`` tokens of all sequences computed once."""
        import torch

        device, count, past = self._model.device, len(sequences), None
        with torch.inference_mode():
            if begun:
                once = torch.tensor([list(sequences[0][:begun])], device=device)
                past = _by_token(self._model(input_ids=once, logits_to_keep=1, use_cache=True))
            if past is None:
                begun = 0
            else:
                past.batch_repeat_interleave(count)
            batch = left_padded([sequence[begun:] for sequence in sequences], self._pad)
            batch["position_ids"] += begun
            if begun and "attention_mask" in batch:
                shared = torch.ones(count, begun, dtype=torch.long)
                batch["attention_mask"] = torch.cat([shared, batch["attention_mask"]], dim=1)
            inputs = {name: tensor.to(device) for name, tensor in batch.items()}
            if past is not None:
                inputs[self._cache_name()] = past
            done = self._model(**inputs, logits_to_keep=keep, use_cache=cached or past is not None)
            return Passed(
                torch.log_softmax(done.logits.float(), dim=-1),
                _by_token(done) if cached else None,
                inputs.get("attention_mask"),
                torch.tensor([len(sequence) for sequence in sequences], device=device),
            )

    def endings(self, passed: Passed, sequences: Ids, endings: Sequence[Ids]) -> list[Floats]:
        """Score endings; see :class:`~glyphsight.inference.score.Engine`.

        The endings of a sequence are one row after its kept keys and values, under a mask in which
        endings do not see each other. A model without such keys reads every ending after its whole
        sequence.
        """
        found = [np.zeros(len(own), dtype=np.float32) for own in endings]
        order = [(row, column) for row, own in enumerate(endings) for column in range(len(own))]
        whole = [sequences[row] + endings[row][column] for row, column in order]
        pads, shares = self.agrees(whole)
        # Where positions are rotations, mask and positions are free of each other.
        turned = hasattr(self._model.config.get_text_config(), "rope_parameters")
        if passed.cache is not None and turned and shares:
            for columns in _columns_per_pass(endings):
                some = [own[columns] for own in endings]
                for own, scores in zip(found, self._after(passed, some), strict=True):
                    own[columns] = scores
            return found
        for batch in in_batches(whole, len(sequences), self.device, padded=pads):
            keep = max(len(endings[order[i][0]][order[i][1]]) for i in batch)
            logprobs = self._run([whole[i] for i in batch], keep).logprobs
            for i, own in zip(batch, logprobs, strict=True):
                row, column = order[i]
                ending = endings[row][column]
                found[row][column] = _told(own[keep - len(ending) : -1], ending[1:])
        return found

    def _after(self, passed: Passed, endings: Sequence[Ids]) -> list[list[float]]:
        """Score the endings of each sequence in one pass over its kept keys."""
        import torch

        rows = [Packed.of(own) for own in endings]
        longest = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), longest), self._pad, dtype=torch.long)
        places = torch.zeros_like(ids)
        seen = torch.eye(longest, dtype=torch.bool).repeat(len(rows), 1, 1)
        for at, row in enumerate(rows):
            size = len(row.ids)
            ids[at, :size] = torch.tensor(row.ids)
            places[at, :size] = torch.from_numpy(row.places)
            seen[at, :size, :size] = torch.from_numpy(row.seen)
        past = copy.copy(passed.cache)
        past.layers = [copy.copy(layer) for layer in passed.cache.layers]  # a pass may come again
        before = torch.ones(len(rows), past.get_seq_length())
        before = before if passed.mask is None else passed.mask.cpu()
        visible = torch.cat([before.bool()[:, None].expand(-1, longest, -1), seen], dim=2)
        mask = torch.zeros(visible.shape, dtype=self._model.dtype)
        mask.masked_fill_(~visible, torch.finfo(mask.dtype).min)
        device = self._model.device
        inputs = {
            "input_ids": ids.to(device),
            "position_ids": passed.lengths[:, None] + places.to(device),
            "attention_mask": mask[:, None].to(device),
            self._cache_name(): past,
        }
        with torch.inference_mode():
            logits = self._model(**inputs, use_cache=True).logits
            logprobs = torch.log_softmax(logits.float(), dim=-1)
        return [
            [_told(own[start:stop], targets) for start, stop, targets in row.spans]
            for own, row in zip(logprobs, rows, strict=True)
        ]

    def write(self, sequences: Ids, most: int, ends: Sequence[int]) -> list[list[int]]:
        """Write greedily; see :class:`~glyphsight.inference.score.Engine`."""
        import torch

        batch = left_padded(sequences, self._pad)
        ids = batch["input_ids"].to(self._model.device)
        mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=ids,
                attention_mask=mask.to(ids.device),
                max_new_tokens=most,
                do_sample=False,
                pad_token_id=self._pad,
                eos_token_id=list(ends) or None,
            )
        found: list[list[int]] = written[:, ids.shape[1] :].tolist()
        return found

    def advance(self, new: Ids, states: Sequence[Any]) -> list[tuple[Floats, Any]]:
        """Read further tokens, a pass each; see :class:`~glyphsight.inference.score.Engine`.

        A model that keeps nothing of what it read reads the whole sequence at each step.
        """
        import torch

        found = []
        for ids, state in zip(new, states, strict=True):
            before, kept = state or ([], None)
            whole = [*before, *ids]
            if self._keeps:
                inputs = {} if kept is None else {self._cache_name(): kept}
                read = torch.tensor([ids], device=self._model.device)
                with torch.inference_mode():
                    done = self._model(input_ids=read, logits_to_keep=1, use_cache=True, **inputs)
                    logprobs = torch.log_softmax(done.logits[0, -1].float(), dim=-1)
                kept = done.get("cache", done.get("past_key_values"))
                self._keeps = kept is not None
            if not self._keeps:
                logprobs = self._run([whole], 1).logprobs[0, -1]
            found.append((logprobs.cpu().numpy(), (whole, kept)))
        return found

    def _cache_name(self) -> str:
        """Name the argument for kept keys: ``cache`` from transformers 5.24 on."""
        model = self._model
        inner = model.get_base_model() if hasattr(model, "peft_config") else model
        return "cache" if "cache" in signature(inner.forward).parameters else "past_key_values"


def _columns_per_pass(endings: Sequence[Ids]) -> Iterator[slice]:
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


def _told(logprobs: Any, targets: Sequence[int]) -> float:
    """Sum the log-probabilities float32[T, V] of T target tokens."""
    import torch

    index = torch.tensor(targets, device=logprobs.device)[:, None]
    return float(logprobs.gather(1, index).sum())


def _by_token(done: Any) -> Any:
    """Return the keys and values of a pass, None where they are not kept token by token."""
    from transformers.cache_utils import DynamicLayer

    cache = done.get("cache", done.get("past_key_values"))
    layers = getattr(cache, "layers", None)
    return cache if layers and all(type(layer) is DynamicLayer for layer in layers) else None
