"""Memory of a run: kept small, and flat over the steps."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from typing import Any

import torch

_PRIMITIVES = 512
_LENGTHS = 16


def bound_caches() -> None:
    """Keep fewer compiled matrix products than torch does; call it before the first of them.

    oneDNN compiles a kernel for each shape, so for each length of a batch, and keeps 1,024 of them:
    some 23 MB per length with SmolLM2.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(_PRIMITIVES))


def release_free_memory() -> None:
    """Give freed memory back to the system; glibc keeps it otherwise. No effect elsewhere."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return


def keep_frozen_weights_in(model: Any, dtype: Any) -> None:
    """Keep frozen linear layers in the type that autocast casts them to at every step.

    The products are the same to the last bit; float32 weights and their copies are not held.
    """
    embeddings = model.get_input_embeddings().weight
    for layer in model.modules():
        if not isinstance(layer, torch.nn.Linear) or layer.weight is embeddings:
            continue
        if not layer.weight.requires_grad and layer.weight.dtype == torch.float32:
            layer.weight.data = layer.weight.data.to(dtype)


def length_multiple(lengths: Iterable[int]) -> int:
    """Return the multiple that lengths of batches are padded to: 8 where many lengths differ, or 1.

    Fewer lengths need fewer compiled matrix products, in time and in memory.
    """
    return 8 if len(set(lengths)) > _LENGTHS else 1
