"""Reduce a wholly trained run to an adapter of low rank: a new run, to be measured or trained on.

python scripts/low_rank.py runs/whole runs/adapter --rank 8 --data data
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from glyphsight.dataset import Record, load_dataset
from glyphsight.dataset.prompt import in_turn
from glyphsight.errors import ModelError
from glyphsight.inference.passes import in_batches
from glyphsight.models import LoadedModel, load_model
from glyphsight.models.load import new_adapter
from glyphsight.models.runs import root_of
from glyphsight.train.data import tokenize_records

_RECORDS = 256
_BATCH = 8
_FLOOR = 1e-3  # of the mean power of an input: directions never met weigh little, not nothing


def low_rank_adapter(
    run: Path, rank: int, records: list[Record] | None = None
) -> tuple[LoadedModel, float]:
    """Approximate the change of a run's linear layers by a PEFT adapter.

    Each layer's change is truncated to ``rank`` (Eckart and Young 1936). With ``records`` the error
    of the layer's *output* on them is least: the change is truncated after whitening its inputs by
    their second moments, as low-rank compression of language models does (SVD-LLM, Wang et al.
    2024). Changes of embeddings and norms are left out, so that the adapter works in every runtime;
    a short training of the adapter makes up for them.

    Args:
        run: Directory of a run trained with method ``full``, from a base or from other such runs.
        rank: Rank of the adapter.
        records: Training records to weigh inputs by; a few hundred are enough.

    Returns:
        The base at the root of the run with the adapter on it, its record the run's with that base,
        and the share of the squared change (of weights, or with ``records`` of outputs) of the
        linear layers that the adapter keeps, 0-1.

    Raises:
        ModelError: The run holds an adapter already, or its base has other layers.
    """
    trained = load_model(run, training=True)
    if trained.run is None or hasattr(trained.model, "peft_config"):
        raise ModelError(f"{run}: holds no whole model trained with glyphsight; give one that does")
    root = root_of(trained.run)
    base = load_model(root.base, seed=root.seed, training=True, made_for=root.made_for)
    adapted = new_adapter(base.model, rank, rank)
    layers = [
        (name, layer)
        for name, layer in adapted.base_model.model.named_modules()
        if hasattr(layer, "lora_A")
    ]
    moments = _input_moments(trained, {name for name, _ in layers}, records) if records else {}
    weights = dict(trained.model.named_parameters())
    kept = whole = 0.0
    for name, layer in layers:
        learnt = weights.get(f"{name}.weight")
        before = layer.base_layer.weight.detach()
        if learnt is None or learnt.shape != before.shape:
            raise ModelError(f"{run}: its layer {name} does not fit {root.base}")
        whiten, colour = _whitening(moments[name]) if moments else (None, None)
        change = learnt.detach() - before
        u, s, v = torch.linalg.svd(
            change if whiten is None else change @ whiten, full_matrices=False
        )
        spread = s[:rank].sqrt()
        with torch.no_grad():
            layer.lora_B["default"].weight.copy_(u[:, :rank] * spread)
            inward = v[:rank] if colour is None else v[:rank] @ colour
            layer.lora_A["default"].weight.copy_(spread[:, None] * inward)
        kept += float(s[:rank].square().sum())
        whole += float(s.square().sum())
    record = replace(trained.run, base=root.base, seed=root.seed)
    return replace(base, model=adapted, run=record), kept / whole if whole else 1.0


def _input_moments(trained: LoadedModel, names: set[str], records: list[Record]) -> dict[str, Any]:
    """Second moments of each named layer's inputs, float32[in, in], over all tokens of records."""
    moments: dict[str, Any] = {}

    def add(name: str, given: Any) -> None:
        inputs = given.detach().reshape(-1, given.shape[-1])
        moments[name] = moments.get(name, 0) + inputs.T @ inputs

    hooks = [
        layer.register_forward_pre_hook(lambda _, given, name=name: add(name, given[0]))
        for name, layer in trained.model.named_modules()
        if name in names
    ]
    assert trained.run is not None
    examples = tokenize_records(trained, in_turn(records, trained.run.prompts), trained.name)
    alike: dict[int, list[list[int]]] = {}  # no padding, which would count as input
    for example in examples:
        alike.setdefault(len(example.ids), []).append(example.ids)
    with torch.inference_mode():
        for some in alike.values():
            for places in in_batches(some, _BATCH, trained.model.device.type):
                ids = torch.tensor([some[place] for place in places], device=trained.model.device)
                trained.model(input_ids=ids, logits_to_keep=1, use_cache=False)
    for hook in hooks:
        hook.remove()
    return moments


def _whitening(moments: Any) -> tuple[Any, Any]:
    """The symmetric root of a matrix of second moments, and its inverse, both float32[in, in]."""
    power, axes = torch.linalg.eigh(moments.double() / moments.diagonal().double().mean())
    root = power.clamp_min(_FLOOR).sqrt()
    return ((axes * root) @ axes.T).float(), ((axes / root) @ axes.T).float()


def main() -> None:
    """Reduce and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--data", type=Path, help="dataset whose training records weigh inputs")
    given = parser.parse_args()
    records = load_dataset(given.data)[:_RECORDS] if given.data else None
    adapted, kept = low_rank_adapter(given.run, given.rank, records)
    assert adapted.run is not None
    adapted.save(given.out)
    adapted.run.save(given.out)
    of = "outputs" if records else "weights"
    print(f"{given.out}: rank {given.rank} keeps {100 * kept:.1f} % of the squared change of {of}")


if __name__ == "__main__":
    main()
