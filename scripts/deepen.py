"""Give a trained nano more layers that change nothing yet: a start for further training.

    python scripts/deepen.py nano-names runs/deep --layers 6
    glyphsight train --from runs/deep --data DATA --out runs/names

New layers stand evenly among the old ones. Each is a copy of the layer before it whose two output
matrices are zero, so that the model answers as before (Chen et al. 2016, Net2Net).
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch

from glyphsight.models import LoadedModel, load_model


def deepened(start: LoadedModel, layers: int) -> LoadedModel:
    """Return a nano with ``layers`` layers that gives the answers of ``start``."""
    config = deepcopy(start.model.config)
    own = start.model.model.layers
    if layers < len(own):
        raise SystemExit(f"--layers {layers}: the run has {len(own)}; give as many at least")
    config.num_hidden_layers = layers
    config.layer_types = None
    model = type(start.model)(config)
    taken = [number * len(own) // layers for number in range(layers)]
    weights = {
        name: one for name, one in start.model.state_dict().items() if ".layers." not in name
    }
    for number, source in enumerate(taken):
        for name, one in own[source].state_dict().items():
            new = number > 0 and taken[number - 1] == source
            silent = new and name.endswith(("o_proj.weight", "down_proj.weight"))
            weights[f"model.layers.{number}.{name}"] = torch.zeros_like(one) if silent else one
    model.load_state_dict(weights)
    return replace(start, model=model)


def main() -> None:
    """Deepen and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", help="a nano, by its name or its directory")
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, default=6)
    given = parser.parse_args()
    start = load_model(given.run, training=True)
    if start.run is None or start.run.base != "nano":
        parser.error(f"{given.run}: is no trained nano")
    deep = deepened(start, given.layers)
    deep.save(given.out)
    start.run.save(given.out)
    print(f"{given.out}: {given.run} with {given.layers} layers")


if __name__ == "__main__":
    main()
