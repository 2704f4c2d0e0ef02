"""Passes of Llama models in onnxruntime with int8 weights: many pictures per second on a CPU.

The weights of linear layers are rounded to 7 bits of an int8, one scale for each output; an adapter
is folded into them first. Their inputs are rounded to uint8 at each pass (dynamic quantization),
one scale for each sequence, so that a sequence has the same scores in every batch. All else, and
the layers behind the gates, are float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.extras import need
from glyphsight.files import cache_dir, cached, hash64
from glyphsight.inference.numpy_engine import NumpyEngine, Part, Row, as_float32
from glyphsight.inference.passes import Floats
from glyphsight.parallel import threads

_OPSET, _IR = 23, 11  # the first with attention as one operator
_VERSION = 3  # changes with the graph that is made, so that an earlier one is not taken for it


class FastEngine(NumpyEngine):
    """Passes of a Llama model in int8; arguments are those of :class:`NumpyEngine`.

    The graph is made once, in some seconds, and kept in the cache directory, a byte per weight and
    four per weight behind the gates.

    Raises:
        MissingPackageError: onnxruntime or onnx is not installed.
        ModelError: As of :class:`NumpyEngine`.
    """

    name = "fast"

    def __init__(self, base: Path, adapter: Path | None = None) -> None:
        super().__init__(base, adapter)
        with need("fast"):
            import onnxruntime
        files = [base / "model.safetensors"]
        files += [adapter / "adapter_model.safetensors"] if adapter is not None else []
        key = [(str(file.resolve()), (at := file.stat()).st_size, at.st_mtime_ns) for file in files]
        graph = cached(
            cache_dir() / "int8" / f"{hash64(repr((_VERSION, key))):016x}.onnx", self._make
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # a sequence per thread
        self._session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        self._threads = ThreadPoolExecutor(threads())

    def _pass(
        self, rows: Sequence[Row], keep: int, *, cached: bool
    ) -> tuple[list[Floats], list[list[tuple[Floats, Floats]]]]:
        outputs = [one.name for one in self._session.get_outputs()][: None if cached else 1]
        found = list(
            self._threads.map(lambda row: self._session.run(outputs, self._inputs(row, keep)), rows)
        )
        kept = [list(zip(own[1::2], own[2::2], strict=True)) for own in found]
        return [own[0] for own in found], [[(k[0], v[0]) for k, v in own] for own in kept]

    def _inputs(self, row: Row, keep: int) -> dict[str, NDArray[Any]]:
        count = len(row.ids)
        past = row.past[0][0].shape[1] if row.past else 0
        angles = (row.positions[:, None] * self._frequencies).astype(np.float32)
        seen = np.tri(count, past + count, past, dtype=bool) if row.seen is None else row.seen
        none = np.empty((1, self._groups, 0, self._size), dtype=np.float32)
        inputs = {
            "hidden": as_float32(self._embeddings[list(row.ids)])[None],
            "cos": np.cos(angles)[None],
            "sin": np.sin(angles)[None],
            "seen": seen,
            "keep": np.array([-keep]),
        }
        for number in range(len(self._layers)):
            key, value = row.past[number] if row.past else (none[0], none[0])
            inputs |= {f"past_key.{number}": key[None], f"past_value.{number}": value[None]}
        return inputs

    def _make(self, file: Path) -> None:
        """Write the graph of the model."""
        with need("fast"):
            import onnx
        heads, groups, size = self._heads, self._groups, self._size
        make = _Graph(float(self._epsilon))
        widths = make.constant("widths", np.array([heads * size, groups * size, groups * size]))
        ends = [
            "keep",
            make.constant("end", np.array([2**31])),
            make.constant("axis", np.array([1])),
        ]
        hidden = "hidden"
        for number, layer in enumerate(self._layers):
            at = f"layer.{number}"
            mixed = make.normed(hidden, layer.before_attention, f"{at}.before_attention")
            mixed = make.times(mixed, layer.query_key_value, f"{at}.mixed")
            parts = [f"{at}.query", f"{at}.key", f"{at}.value"]
            make.add("Split", [mixed, widths], *parts, axis=2)
            turned = [
                make.add("RotaryEmbedding", [part, "cos", "sin"], f"{part}.turned", num_heads=count)
                for part, count in zip(parts[:2], (heads, groups), strict=True)
            ]
            past = [f"past_key.{number}", f"past_value.{number}"]
            gathered = make.add(
                "Attention",
                [*turned, parts[2], "seen", *past],
                *(f"{at}.gathered", f"key.{number}", f"value.{number}"),
                q_num_heads=heads,
                kv_num_heads=groups,
            )
            if number == len(self._layers) - 1:  # nothing reads its other positions
                gathered = make.add("Slice", [gathered, *ends], f"{at}.last")
                hidden = make.add("Slice", [hidden, *ends], f"{at}.last_hidden")
            output = make.times(gathered, layer.output, f"{at}.output")
            hidden = make.add("Add", [hidden, output], f"{at}.attended")
            both = make.normed(hidden, layer.before_mlp, f"{at}.before_mlp")
            both = make.times(both, layer.gate_up, f"{at}.both")
            make.add("Split", [both], f"{at}.gate", f"{at}.up", axis=2, num_outputs=2)
            swish = make.add("Sigmoid", [f"{at}.gate"], f"{at}.sigmoid")
            swish = make.add("Mul", [f"{at}.gate", swish], f"{at}.swish")
            down = make.add("Mul", [swish, f"{at}.up"], f"{at}.product")
            # A few of these values are a thousand times the others, which one scale rounds away.
            down = make.exactly(down, layer.down, f"{at}.down")
            hidden = make.add("Add", [hidden, down], f"{at}.hidden")
        logits = make.times(make.normed(hidden, self._norm, "norm"), self._head, "logits")
        flat = make.add("Squeeze", [logits, make.constant("first", np.array([0]))], "flat")
        make.add("LogSoftmax", [flat], "logprobs", axis=-1)
        onnx.save(make.model(self._declared()), str(file))

    def _declared(self) -> dict[str, tuple[Any, ...]]:
        """Return the shapes of inputs and outputs; texts stand for any number."""
        shapes: dict[str, tuple[Any, ...]] = {
            "hidden": (1, "tokens", self._embeddings.shape[1]),
            "cos": (1, "tokens", self._size // 2),
            "sin": (1, "tokens", self._size // 2),
            "seen": ("tokens", "all"),
            "keep": (1,),
            "logprobs": ("kept", "vocabulary"),
        }
        for number in range(len(self._layers)):
            for name in ("key", "value"):
                shapes[f"past_{name}.{number}"] = (1, self._groups, "past", self._size)
                shapes[f"{name}.{number}"] = (1, self._groups, "all", self._size)
        return shapes


class _Graph:
    """Nodes and weights of an ONNX graph, as they are added."""

    def __init__(self, epsilon: float) -> None:
        self._epsilon = epsilon
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Add values that do not change."""
        from onnx import numpy_helper

        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, inputs: Sequence[str], *names: str, **how: Any) -> str:
        """Add a node; return the name of its first output."""
        from onnx import helper

        self._nodes.append(helper.make_node(kind, inputs, names, **how))
        return names[0]

    def times(self, values: str, parts: Sequence[Part], name: str) -> str:
        """Multiply with the transposed weights of all parts, in int8."""
        exact = np.concatenate([_folded(part) for part in parts])
        # Two products of 255 and 64 fit 16 bits, in which CPUs without VNNI add; of 128 they do not
        scale = np.maximum(np.abs(exact).max(axis=1) / 63, np.float32(1e-12))
        rounded = np.ascontiguousarray(np.rint(exact / scale[:, None]).astype(np.int8).T)
        inputs = [
            values,
            self.constant(f"{name}.weight", rounded),
            self.constant(f"{name}.scale", scale),
        ]
        return self.add("DynamicQuantizeMatMul", inputs, name, domain="com.microsoft")

    def exactly(self, values: str, parts: Sequence[Part], name: str) -> str:
        """Multiply with the transposed weights of all parts, in float32."""
        exact = np.concatenate([_folded(part) for part in parts])
        inputs = [values, self.constant(f"{name}.weight", np.ascontiguousarray(exact.T))]
        return self.add("MatMul", inputs, name)

    def normed(self, values: str, weight: Floats, name: str) -> str:
        """Divide by the root of the mean square and multiply with a weight."""
        inputs = [values, self.constant(f"{name}.weight", weight)]
        return self.add("RMSNormalization", inputs, name, epsilon=self._epsilon)

    def model(self, shapes: Mapping[str, tuple[Any, ...]]) -> Any:
        """Return the model; names that a node makes are its outputs, the others its inputs."""
        from onnx import TensorProto, helper

        made = {name for node in self._nodes for name in node.output}
        kinds = {"seen": TensorProto.BOOL, "keep": TensorProto.INT64}
        tensors = {
            name: helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
            for name, shape in shapes.items()
        }
        inputs = [tensor for name, tensor in tensors.items() if name not in made]
        outputs = [tensor for name, tensor in tensors.items() if name in made]
        graph = helper.make_graph(self._nodes, "llama", inputs, outputs, self._weights)
        sets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=sets, ir_version=_IR)


def _folded(part: Part) -> Floats:
    """Return the weights of a linear layer with its adapter in float32."""
    exact = as_float32(part.weight)
    if part.added is None:
        return exact
    down, up = part.added
    return exact + up @ down
