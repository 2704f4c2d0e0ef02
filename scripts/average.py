"""Average the weights of a run and of one trained from it: a new run, to be measured.

python scripts/average.py runs/6 runs/7 runs/mean --share 0.5

The mean is often better than either (Izmailov et al. 2018, Wortsman et al. 2022).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from glyphsight.errors import ModelError
from glyphsight.models import LoadedModel, load_model


def averaged(first: Path, second: Path, share: float = 0.5) -> LoadedModel:
    """Average two runs weight by weight.

    The runs must lie near each other, as where the second was trained from the first at a moderate
    rate. The two factors of an adapter are averaged each for itself.

    Args:
        first: Directory of a run, an adapter or a whole model.
        second: Directory of a run with the same weights by name. The mean keeps its record, and
            the tokens of answers that it has more.
        share: Share of the second in the mean, 0-1.

    Raises:
        ModelError: One cannot be loaded, or they have other weights or another base.
    """
    one, other = load_model(first, training=True), load_model(second, training=True)
    if one.run is None or other.run is None:
        raise ModelError(f"{second if one.run else first}: is no trained run; give two runs")
    before = dict(one.model.named_parameters())
    after = dict(other.model.named_parameters())
    words = [one.model.get_input_embeddings().weight, one.model.get_output_embeddings().weight]
    if "lm_head.weight" in after:  # which may share those of the embeddings in the first
        before.setdefault("lm_head.weight", words[1])
    alike = before.keys() == after.keys() and all(
        weight.shape == before[name].shape
        or (weight.shape[1:] == before[name].shape[1:] and any(before[name] is x for x in words))
        for name, weight in after.items()
    )
    if not alike:
        raise ModelError(
            f"{first} and {second}: have different weights; give a run and one trained --from it"
        )
    with torch.no_grad():
        for name, weight in after.items():
            weight[: len(before[name])].lerp_(before[name], 1 - share)
    unmeasured = {"validation_accuracy": None, "validation_records": 0}
    return replace(other, run=replace(other.run, training=other.run.training | unmeasured))


def main() -> None:
    """Average and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second; one half")
    given = parser.parse_args()
    mean = averaged(given.first, given.second, given.share)
    assert mean.run is not None
    mean.save(given.out)
    mean.run.save(given.out)
    print(f"{given.out}: the mean of {given.first} and {given.second}")


if __name__ == "__main__":
    main()
