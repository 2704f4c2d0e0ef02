"""LoRA adapters of PEFT: made, loaded and saved; bases in 4 bits."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from glyphsight.errors import ModelError


@contextmanager
def without_peft_warning() -> Iterator[None]:
    """Hide one warning that users can do nothing about.

    huggingface/peft (0.21, ``peft_model.py``) asks for ``is_gradient_checkpointing``, which
    transformers 5 renamed; what it gets is right.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`is_gradient_checkpointing` is deprecated", category=FutureWarning
        )
        yield


def new_adapter(model: Any, rank: int, alpha: int) -> Any:
    """Put a trainable LoRA adapter of this rank and scale on every linear layer of a model."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with without_peft_warning():
        return _save_adapter_alone(get_peft_model(model, config))


def load_adapter(model: Any, directory: Path, *, training: bool) -> Any:
    """Put the adapter in a directory on its base model."""
    from peft import PeftModel

    with without_peft_warning():
        adapted = PeftModel.from_pretrained(model, str(directory), is_trainable=training)
        return _save_adapter_alone(adapted)


def _save_adapter_alone(model: Any) -> Any:
    """Let a PEFT model save its adapter without asking a hub for its base.

    PEFT asks, at each checkpoint, whether the base's vocabulary has grown, which ours never does.
    Without a network that takes time and prints warnings that look like failures.
    """
    model.save_pretrained = partial(model.save_pretrained, save_embedding_layers=False)
    return model


def require_four_bits(device: str) -> None:
    """Fail early where a base in 4 bits cannot be loaded.

    Raises:
        ModelError: Names what is missing and the fix.
    """
    import torch

    missing = []
    if not torch.cuda.is_available() or not device.startswith("cuda"):
        missing.append("a CUDA device")
    if importlib.util.find_spec("bitsandbytes") is None:
        missing.append("bitsandbytes (pip install bitsandbytes)")
    if missing:
        raise ModelError(
            f"method qlora: it needs {' and '.join(missing)}; train with --method lora"
        )


def four_bits(device: str) -> dict[str, Any]:
    """Give the arguments of ``from_pretrained`` that quantize linear layers to NF4.

    NF4 is of Dettmers et al. 2023. Not verified on a GPU.
    """
    import torch
    from transformers import BitsAndBytesConfig

    exact = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=exact,
    )
    return {"quantization_config": config, "device_map": {"": device}}
