"""What all weights learnt, as an adapter: the low-rank part of the change of every linear layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glyphsight.errors import ModelError
from glyphsight.models import load_model
from glyphsight.models.load import without_peft_warning


def low_rank_adapter(run: Path, rank: int) -> tuple[Any, float]:
    """The best approximation of a run's change by a PEFT adapter (Eckart and Young 1936).

    Each linear layer's change is cut to its ``rank`` largest singular values. Changes of embeddings
    and norms are left out: an adapter of linear layers works in every runtime.

    Args:
        run: A run trained with method ``full``.
        rank: Rank of the adapter.

    Returns:
        The base with the adapter on it, a ``PeftModel``, and the share of the squared change of the
        linear layers that the adapter keeps, 0-1.

    Raises:
        ModelError: The run holds an adapter already, or its base has other layers.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    taught = load_model(run, training=True)
    if taught.run is None or hasattr(taught.model, "peft_config"):
        raise ModelError(f"{run}: holds no whole model trained with glyphsight; give one that does")
    base = load_model(taught.run.base, seed=taught.run.seed, training=True)
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    with without_peft_warning():
        adapted = get_peft_model(base.model, config)
    weights = dict(taught.model.named_parameters())
    kept = whole = 0.0
    for name, layer in adapted.base_model.model.named_modules():
        if not hasattr(layer, "lora_A"):
            continue
        learnt = weights.get(f"{name}.weight")
        before = layer.base_layer.weight.detach()
        if learnt is None or learnt.shape != before.shape:
            raise ModelError(f"{run}: its layer {name} does not fit {taught.run.base}")
        u, s, v = torch.linalg.svd(learnt.detach() - before, full_matrices=False)
        root = s[:rank].sqrt()
        with torch.no_grad():
            layer.lora_B["default"].weight.copy_(u[:, :rank] * root)
            layer.lora_A["default"].weight.copy_(root[:, None] * v[:rank])
        kept += float(s[:rank].square().sum())
        whole += float(s.square().sum())
    return adapted, kept / whole if whole else 1.0
