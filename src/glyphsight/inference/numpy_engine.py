"""Passes of Llama models in numpy, so that a picture is answered before torch is imported.

The architecture is that of Touvron et al. 2023 (arXiv:2302.13971) with grouped queries (Ainslie et
al. 2023): RMSNorm, rotary positions, SwiGLU. Sequences of a pass lie one after the other, without
padding. Weights stay as they are in the file, mapped into memory; each pass turns one block at a
time into float32, in which all arithmetic is done.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import ModelError
from glyphsight.inference.passes import Floats, Ids, Packed

_TYPES = {"BF16": "<u2", "F16": "<f2", "F32": "<f4"}
_BLOCK = 1 << 20  # weights turned into float32 at a time: they stay in the cache
_HIDDEN = np.float32(-1e30)  # score of a position that may not be seen
_PLAIN = {"attention_bias": False, "mlp_bias": False, "hidden_act": "silu"}
_PLAIN_ADAPTER: dict[str, Any] = {"peft_type": "LORA", "bias": "none", "fan_in_fan_out": False}
_PLAIN_ADAPTER |= {"use_dora": False, "use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}}
_PLAIN_ADAPTER |= {"modules_to_save": None, "trainable_token_indices": None}


def read_safetensors(file: Path) -> dict[str, NDArray[Any]]:
    """Map the tensors of a file into memory; bfloat16 as its bits, uint16.

    Format: https://github.com/huggingface/safetensors, an 8-byte length, JSON, then the bytes.
    """
    data = np.memmap(file, np.uint8, "r")
    start = 8 + int(data[:8].view("<u8")[0])
    header = json.loads(data[8:start].tobytes())
    return {
        name: data[start + one["data_offsets"][0] : start + one["data_offsets"][1]]
        .view(_TYPES[one["dtype"]])
        .reshape(one["shape"])
        for name, one in header.items()
        if name != "__metadata__"
    }


def as_float32(values: NDArray[Any]) -> Floats:
    """Convert weights as a file has them to float32."""
    if values.dtype != np.uint16:
        return values.astype(np.float32)
    return (values.astype(np.uint32) << 16).view(np.float32)


@dataclass(frozen=True)
class Part:
    """A linear layer [out, in] as it is in the file, and the factors of its adapter."""

    weight: NDArray[Any]
    added: tuple[Floats, Floats] | None = None


@dataclass(frozen=True)
class _Layer:
    """Weights of a layer; those that read the same values stand together."""

    before_attention: Floats
    query_key_value: list[Part]
    output: list[Part]
    before_mlp: Floats
    gate_up: list[Part]
    down: list[Part]


@dataclass(frozen=True)
class Row:
    """A sequence of a pass."""

    ids: Sequence[int]  # token ids
    positions: NDArray[np.int64]  # position of each, int64[T]
    past: Sequence[tuple[Floats, Floats]] = ()  # keys and values float32[heads, S, D] of each layer
    # bool[T, S + T], what each token sees; None for all before it
    seen: NDArray[np.bool_] | None = None


class NumpyEngine:
    """Passes of a Llama model whose files lie in a directory.

    Args:
        base: Directory with ``config.json`` and ``model.safetensors``.
        adapter: Directory of a PEFT LoRA adapter on it, None for none.

    Attributes:
        window: Longest sequence in tokens.
        parameters: Number of weights of the layers, which every token is multiplied with.
        files: Directories of the base model and of the adapter, None where there is none.

    Raises:
        ModelError: The model is of another kind, or its weights are in several files.
    """

    name, device = "numpy", "cpu"
    parameters: int
    files: tuple[Path, Path | None]

    def __init__(self, base: Path, adapter: Path | None = None) -> None:
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        rope = config.get("rope_parameters") or {}
        if (
            config.get("model_type") != "llama"
            or rope.get("rope_type") != "default"
            or any(config.get(key, plain) != plain for key, plain in _PLAIN.items())
            or not (base / "model.safetensors").is_file()
        ):
            raise ModelError(f"{base}: not a plain Llama model in one file; load it with torch")
        self.files = base, adapter
        self.window: int = config["max_position_embeddings"]
        self._heads: int = config["num_attention_heads"]
        self._groups: int = config["num_key_value_heads"]
        self._size: int = config.get("head_dim") or config["hidden_size"] // self._heads
        self._epsilon = np.float32(config["rms_norm_eps"])
        steps = np.arange(0, self._size, 2, dtype=np.float32) / np.float32(self._size)
        self._frequencies = (1.0 / np.float32(rope["rope_theta"]) ** steps).astype(np.float32)
        tensors = read_safetensors(base / "model.safetensors")
        added = _adapter(adapter) if adapter is not None else {}

        def parts(*names: str) -> list[Part]:
            return [Part(tensors[f"{name}.weight"], added.get(name)) for name in names]

        def norm(name: str) -> Floats:
            return as_float32(tensors[f"{name}.weight"])

        self.parameters = sum(one.size for name, one in tensors.items() if "layers" in name)
        self._scratch = np.zeros(_BLOCK, dtype=np.float32)
        self._embeddings = tensors["model.embed_tokens.weight"]
        tied = config.get("tie_word_embeddings")
        self._head = parts("model.embed_tokens" if tied else "lm_head")
        self._norm = norm("model.norm")
        self._layers = []
        for number in range(config["num_hidden_layers"]):
            at = f"model.layers.{number}"
            self._layers.append(
                _Layer(
                    norm(f"{at}.input_layernorm"),
                    parts(*(f"{at}.self_attn.{part}_proj" for part in "qkv")),
                    parts(f"{at}.self_attn.o_proj"),
                    norm(f"{at}.post_attention_layernorm"),
                    parts(f"{at}.mlp.gate_proj", f"{at}.mlp.up_proj"),
                    parts(f"{at}.mlp.down_proj"),
                )
            )

    def agrees(self, sequences: Ids) -> tuple[bool, bool]:
        """Return that nothing is padded or shared."""
        return True, True

    def forward(
        self, sequences: Ids, keep: int, *, share: bool, cached: bool
    ) -> tuple[Floats, Any]:
        """Run one pass; see :class:`~glyphsight.inference.score.Engine`."""
        rows = [Row(ids, np.arange(len(ids))) for ids in sequences]
        logprobs, kept = self._pass(rows, keep, cached=cached)
        result = np.zeros((len(rows), keep, logprobs[0].shape[1]), dtype=np.float32)
        for row, own in enumerate(logprobs):
            result[row, keep - len(own) :] = own
        return result, kept

    def endings(self, passed: Any, sequences: Ids, endings: Sequence[Ids]) -> list[Floats]:
        """Score endings; see :class:`~glyphsight.inference.score.Engine`."""
        found = []
        for past, ids, own in zip(passed, sequences, endings, strict=True):
            scores = np.zeros(len(own), dtype=np.float32)
            if own:
                packed = Packed.of(own)
                seen = np.hstack([np.ones((len(packed.ids), len(ids)), dtype=bool), packed.seen])
                row = Row(packed.ids, len(ids) + packed.places, past, seen)
                [logprobs], _ = self._pass([row], len(row.ids), cached=False)
                for column, (start, stop, targets) in enumerate(packed.spans):
                    scores[column] = logprobs[np.arange(start, stop), targets].sum()
            found.append(scores)
        return found

    def write(self, sequences: Ids, most: int, ends: Sequence[int]) -> list[list[int]]:
        """Write greedily; see :class:`~glyphsight.inference.score.Engine`."""
        written: list[list[int]] = [[] for _ in sequences]
        going, new = list(range(len(sequences))), list(sequences)
        states: list[Any] = [None for _ in sequences]
        for _ in range(most):
            found = self.advance(new, states)
            for row, (logprobs, _) in zip(going, found, strict=True):
                written[row].append(int(logprobs.argmax()))
            left = [i for i, row in enumerate(going) if written[row][-1] not in ends]
            going, states = [going[i] for i in left], [found[i][1] for i in left]
            new = [written[row][-1:] for row in going]
            if not going:
                break
        return written

    def advance(self, new: Ids, states: Sequence[Any]) -> list[tuple[Floats, Any]]:
        """Read further tokens in one pass; see :class:`~glyphsight.inference.score.Engine`."""
        begun = [state[0][0].shape[1] if state else 0 for state in states]
        rows = [
            Row(ids, np.arange(start, start + len(ids)), state or ())
            for ids, start, state in zip(new, begun, states, strict=True)
        ]
        logprobs, kept = self._pass(rows, 1, cached=True)
        return [(own[-1], state) for own, state in zip(logprobs, kept, strict=True)]

    def _pass(
        self, rows: Sequence[Row], keep: int, *, cached: bool
    ) -> tuple[list[Floats], list[list[tuple[Floats, Floats]]]]:
        """Return log-probabilities float32[keep, V] at the ends of rows, and keys and values."""
        ends = np.cumsum([len(row.ids) for row in rows])
        counts = [len(row.ids) for row in rows]
        hidden = as_float32(self._embeddings[[token for row in rows for token in row.ids]])
        angles = np.concatenate([row.positions for row in rows])[:, None] * self._frequencies
        turn = np.concatenate([angles, angles], axis=1)[:, None].astype(np.float32)
        turns = np.cos(turn), np.sin(turn)
        kept: list[list[tuple[Floats, Floats]]] = [[] for _ in rows]
        for number, layer in enumerate(self._layers):
            if number == len(self._layers) - 1:  # nothing reads its other positions
                counts = [min(keep, count) for count in counts]
            last = np.concatenate(
                [np.arange(end - n, end) for end, n in zip(ends, counts, strict=True)]
            )
            mixed = self._attend(rows, number, hidden, turns, counts, kept if cached else None)
            hidden = hidden[last] + self._times(mixed, layer.output)
            both = self._times(self._normed(hidden, layer.before_mlp), layer.gate_up)
            gate, up = np.split(both, 2, axis=1)
            with np.errstate(over="ignore"):  # exp may be infinite: then the gate is shut
                open_gate = gate / (1 + np.exp(-gate))
            hidden += self._times(open_gate * up, layer.down)
        logits = self._times(self._normed(hidden, self._norm), self._head)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return np.split(logits, np.cumsum(counts)[:-1]), kept

    def _attend(
        self,
        rows: Sequence[Row],
        number: int,
        hidden: Floats,
        turns: tuple[Floats, Floats],
        counts: Sequence[int],
        kept: list[list[tuple[Floats, Floats]]] | None,
    ) -> Floats:
        """Return what the last ``counts`` positions of each row gather from those they see."""
        layer, heads, groups, size = self._layers[number], self._heads, self._groups, self._size
        mixed = self._times(self._normed(hidden, layer.before_attention), layer.query_key_value)
        mixed = mixed.reshape(len(mixed), heads + 2 * groups, size)
        straight, values = mixed[:, : heads + groups], mixed[:, heads + groups :]
        half = size // 2
        swapped = np.concatenate([-straight[..., half:], straight[..., :half]], axis=2)
        turned: Any = straight * turns[0] + swapped * turns[1]
        found, start = [], 0
        for place, (row, count) in enumerate(zip(rows, counts, strict=True)):
            stop = start + len(row.ids)
            key = turned[start:stop, heads:].transpose(1, 0, 2)
            value = values[start:stop].transpose(1, 0, 2)
            if row.past:
                before = row.past[number]
                key = np.concatenate([before[0], key], axis=1)
                value = np.concatenate([before[1], value], axis=1)
            if kept is not None:
                kept[place].append((key, value))
            seen = row.seen
            if seen is None:
                seen = np.tri(len(row.ids), key.shape[1], key.shape[1] - len(row.ids), dtype=bool)
            query = turned[stop - count : stop, :heads].transpose(1, 0, 2)
            query = query.reshape(groups, -1, size) * np.float32(size**-0.5)
            scores = (query @ key.transpose(0, 2, 1)).reshape(heads, count, -1)
            scores[:, ~seen[-count:]] = _HIDDEN
            scores = np.exp(scores - scores.max(axis=2, keepdims=True))
            scores /= scores.sum(axis=2, keepdims=True)
            gathered = scores.reshape(groups, -1, scores.shape[2]) @ value
            gathered = gathered.reshape(heads, count, size).transpose(1, 0, 2)
            found.append(gathered.reshape(count, -1))
            start = stop
        return np.concatenate(found)

    def _times(self, values: Floats, parts: Sequence[Part]) -> Floats:
        """Multiply values float32[T, in] with the transposed weights of all parts."""
        width = sum(len(part.weight) for part in parts)
        result = np.empty((len(values), width), dtype=np.float32)
        start = 0
        for part in parts:
            rows, columns = part.weight.shape
            at_once = max(1, _BLOCK // columns)
            for first in range(0, rows, at_once):
                block = part.weight[first : first + at_once]
                if block.dtype != np.float32:
                    exact = self._scratch[: block.size].reshape(block.shape)
                    if block.dtype == np.uint16:  # bfloat16 is the upper half of a float32
                        np.multiply(block, np.uint32(1 << 16), out=exact.view(np.uint32))
                    else:
                        exact[...] = block
                    block = exact
                result[:, start + first : start + first + len(block)] = values @ block.T
            if part.added:
                down, up = part.added
                result[:, start : start + rows] += (values @ down.T) @ up.T
            start += rows
        return result

    def _normed(self, hidden: Floats, weight: Floats) -> Floats:
        squares: Any = np.mean(hidden * hidden, axis=1, keepdims=True)
        result: Floats = hidden / np.sqrt(squares + self._epsilon) * weight
        return result


def _adapter(directory: Path) -> dict[str, tuple[Floats, Floats]]:
    """Read the factors of a LoRA adapter by name of the layer they change."""
    config = json.loads((directory / "adapter_config.json").read_text(encoding="utf-8"))
    file = directory / "adapter_model.safetensors"
    plain = file.is_file() and all(config.get(k, v) == v for k, v in _PLAIN_ADAPTER.items())
    tensors = read_safetensors(file) if plain else {}
    ending = ".lora_A.weight"
    names = [name.removesuffix(ending) for name in tensors if name.endswith(ending)]
    if not plain or len(tensors) != 2 * len(names):  # factors of embeddings, biases
        raise ModelError(f"{directory}: not a plain LoRA adapter; load it with torch")
    scale = np.float32(config["lora_alpha"] / config["r"])
    return {
        name.removeprefix("base_model.model."): (
            as_float32(tensors[f"{name}{ending}"]),
            as_float32(tensors[f"{name}.lora_B.weight"]) * scale,
        )
        for name in names
    }
