"""Write trained runs as other programs take them: merged, as an adapter, as GGUF, as ONNX."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from glyphsight.errors import ModelError
from glyphsight.extras import need
from glyphsight.files import let_others_read, new_directory, write_json
from glyphsight.models import export_gguf, smollm2
from glyphsight.models.export_words import write_words
from glyphsight.models.load import LoadedModel, load_model, model_tokenizer, without_peft_warning
from glyphsight.models.runs import ModelSource, RunRecord, resolve

TYPES = {
    "merged": ("f32", "bf16", "f16"),
    "adapter": (),
    "gguf": export_gguf.TYPES,
    "onnx": ("f32", "int8"),
}
"""Types of weights that each form may have; the first is the default."""
_TORCH = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


def export(
    model: str | Path, form: str, out: Path, weights: str | None = None
) -> tuple[RunRecord, list[Path]]:
    """Write a run for programs that know nothing of glyphsight.

    ``merged`` is a whole model of transformers, an adapter folded into its base. ``adapter`` is a
    PEFT directory. ``gguf`` is the merged model for llama.cpp and Ollama, and the adapter alone
    where the run is one. ``onnx`` takes ``input_ids`` int64[N, T] and gives ``logits``
    float32[N, T, V]. Each has its tokenizer and the words around a picture with it.

    Args:
        model: Run, or any model, as :func:`glyphsight.models.load_model` takes it.
        form: Form to write: a key of :data:`TYPES`.
        out: Directory to make; it appears whole or not at all.
        weights: Type of the weights, see :data:`TYPES`; None for the first.

    Returns:
        Record of the run (for a base model a plain one), and the files.

    Raises:
        ModelError: The model cannot be loaded, or not be written in this form.
        GlyphsightError: ``out`` is there already or cannot be written.
    """
    if form not in TYPES:
        raise ModelError(f"unknown form {form!r}; choose one of {', '.join(TYPES)}")
    if weights is not None and weights not in TYPES[form]:
        fix = f"choose one of {', '.join(TYPES[form])}" if TYPES[form] else "leave it out"
        raise ModelError(f"{form}: no weights of type {weights!r}; {fix}")
    need("train")
    source = resolve(model)
    record = source.run or RunRecord(base=source.lasting_name)
    with new_directory(out) as made:
        if form == "adapter":
            name = _write_adapter(source, made)
            tokenizer = model_tokenizer(record.base)
        else:
            kind = weights or TYPES[form][0]
            loaded = load_model(model, dtype="float32")
            tokenizer = loaded.tokenizer
            write = {"merged": _write_merged, "gguf": _write_gguf, "onnx": _write_onnx}[form]
            name = write(loaded, source, kind, made)
        if form != "gguf":  # which holds its own
            tokenizer.save_pretrained(made)
            record.save(made)
        write_words(made, name, form, record, tokenizer)
        let_others_read(*filter(Path.is_file, made.iterdir()))
    return record, sorted(out.iterdir())


def _whole(loaded: LoadedModel) -> Any:
    """Return the model with its adapter folded in."""
    if not hasattr(loaded.model, "peft_config"):
        return loaded.model
    with without_peft_warning():
        return loaded.model.merge_and_unload()


def _write_merged(loaded: LoadedModel, source: ModelSource, kind: str, out: Path) -> str:
    import torch

    _whole(loaded).to(getattr(torch, _TORCH[kind])).save_pretrained(out)
    return out.name


def _write_adapter(source: ModelSource, out: Path) -> str:
    if source.fault or source.adapter is None:
        problem = source.fault or "is a whole model, no adapter; export it --to merged"
        raise ModelError(f"{source.name}: {problem}")
    weights = source.adapter.with_name("adapter_model.safetensors")
    shutil.copyfile(weights, out / weights.name)
    settings = json.loads(source.adapter.read_text("utf-8"))
    if source.run is not None and source.run.base == smollm2.NAME:  # not its place in the cache
        settings["base_model_name_or_path"] = smollm2.HUB_NAME
    write_json(out / source.adapter.name, settings)
    return out.name


def _write_gguf(loaded: LoadedModel, source: ModelSource, kind: str, out: Path) -> str:
    name = Path(source.name).resolve().name
    if source.adapter is not None:
        export_gguf.write_adapter(loaded, source.adapter.parent, out / f"{name}-lora.gguf")
    state = _whole(loaded).state_dict()
    tensors = {at: np.asarray(one.float().cpu()) for at, one in state.items()}
    export_gguf.write_model(loaded, tensors, kind, out / f"{name}-{kind}.gguf")
    return f"{name}-{kind}.gguf"


def _write_onnx(loaded: LoadedModel, source: ModelSource, kind: str, out: Path) -> str:
    with need("export", "onnx", "onnxruntime", "onnxscript"):
        import torch
        from onnxruntime.quantization import QuantType, quantize_dynamic

    class Logits(torch.nn.Module):  # type: ignore[misc]
        """A model that takes and gives tensors alone."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any) -> Any:
            return self.model(input_ids=input_ids, use_cache=False).logits

    file, whole = out / "model.onnx", _whole(loaded).cpu().eval()
    longest = torch.export.Dim("tokens", max=loaded.window)
    with _quiet():
        torch.onnx.export(
            Logits(whole),
            (torch.zeros((2, 16), dtype=torch.int64),),
            str(file),
            dynamo=True,
            input_names=["input_ids"],
            output_names=["logits"],
            dynamic_shapes={"input_ids": {0: torch.export.Dim("texts"), 1: longest}},
            external_data=sum(one.numel() for one in whole.parameters()) > 2**28,
            verbose=False,
        )
        if kind == "int8":
            exact = file.rename(out / "exact.onnx")
            quantize_dynamic(
                exact, file, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True
            )  # 7 bits: CPUs without VNNI would add products of 8 bits with saturation
            exact.unlink()
    return file.name


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what the exporters say of themselves: deprecations and steps one could take."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
