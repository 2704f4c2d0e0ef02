"""The mean of two runs of which one went on from the other: often better than either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from glyphsight.errors import ModelError
from glyphsight.models import LoadedModel, load_model


def averaged(first: Path, second: Path) -> LoadedModel:
    """A model whose every weight is the mean of those of two runs.

    After Izmailov et al. 2018 and Wortsman et al. 2022.
    Both must lie near each other, as where the second went on from the first at a moderate rate; of
    an adapter its two factors are averaged each for itself.

    Args:
        first: A run, an adapter or a whole model.
        second: A run of the same kind and base. The model is asked as this one is.

    Raises:
        ModelError: One cannot be loaded, or they have other weights or another base.
    """
    import torch

    one, other = load_model(first, training=True), load_model(second, training=True)
    if one.run is None or other.run is None:
        raise ModelError(f"{second if one.run else first}: no trained run; give two of them")
    before = dict(one.model.named_parameters())
    after = dict(other.model.named_parameters())
    alike = before.keys() == after.keys() and all(
        weight.shape == before[name].shape for name, weight in after.items()
    )
    if not alike:
        raise ModelError(f"{first} and {second}: have other weights; give a run and one --from it")
    with torch.no_grad():
        for name, weight in after.items():
            weight.lerp_(before[name], 0.5)
    unmeasured = {"validation_accuracy": None, "validation_records": 0}
    return replace(other, run=replace(other.run, training=other.run.training | unmeasured))
