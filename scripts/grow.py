"""Give a trained nano more layers, wider ones or other names: a start for further training.

    python scripts/grow.py nano-names runs/start --width 192 --layers 4 --data DATA
    glyphsight train --from runs/start --data DATA --out runs/names

New layers stand evenly among the old ones. Each is a copy of the layer before it whose two output
matrices are zero. What is wider keeps its weights; what is new is small and random, and new heads
and neurons write nothing yet (Chen et al. 2016, Net2Net). With ``--data`` the frequent answers of
these datasets, and no others, have a token each; new ones are still to be learned.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch

from glyphsight.models import LoadedModel, load_model
from glyphsight.models.nano import NAME, make_tokenizer
from glyphsight.models.runs import resolve
from glyphsight.train.learned import read_datasets
from glyphsight.train.tasks import frequent_answers

WRITING = ("o_proj.weight", "down_proj.weight")
"""Matrices of a layer that write to what the layers share."""


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
            silent = number > 0 and taken[number - 1] == source and name.endswith(WRITING)
            weights[f"model.layers.{number}.{name}"] = torch.zeros_like(one) if silent else one
    model.load_state_dict(weights)
    return replace(start, model=model)


def widened(start: LoadedModel, width: int) -> LoadedModel:
    """Return a nano of ``width`` channels that gives nearly the answers of ``start``."""
    config = deepcopy(start.model.config)
    own = config.hidden_size
    if width < own or width % config.head_dim:
        raise SystemExit(f"--width {width}: give a multiple of {config.head_dim} from {own} on")
    config.intermediate_size = config.intermediate_size * width // own
    config.num_attention_heads = config.num_key_value_heads = width // config.head_dim
    config.hidden_size = width
    model = type(start.model)(config)
    old = start.model.state_dict()
    with torch.no_grad():
        for name, wide in model.state_dict().items():
            narrow = old[name]
            if name.endswith(WRITING):
                wide[:, narrow.shape[1] :] = 0  # new heads and neurons say nothing yet
            # A norm divides by the root mean square, which is lower with new channels near zero.
            scale = (own / width) ** 0.5 if narrow.ndim == 1 else 1.0
            wide[tuple(slice(size) for size in narrow.shape)] = narrow * scale
    return replace(start, model=model)


def renamed(start: LoadedModel, data: list[Path]) -> LoadedModel:
    """Return a nano with a token for each frequent answer of datasets; other answers' tokens go."""
    answers = frequent_answers(read_datasets(data, 1, start.run))
    run = replace(start.run, base_answers=answers)
    tokenizer = make_tokenizer(run.made_for)
    known = start.tokenizer.get_vocab()
    pairs = [(new, known[one]) for one, new in tokenizer.get_vocab().items() if one in known]
    new, old = torch.tensor(pairs).T
    config = deepcopy(start.model.config)
    config.vocab_size = len(tokenizer)
    model = type(start.model)(config)
    own = start.model.state_dict()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weight = own[name]
        own[name] = weight.mean(dim=0) + 0.3 * weight.std() * torch.randn(
            len(tokenizer), weight.shape[1]
        )
        own[name][new] = weight[old]
    model.load_state_dict(own)
    return replace(start, model=model, tokenizer=tokenizer, run=run)


def main() -> None:
    """Grow and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", help="a nano, by its name or its directory")
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, help="left out: as many as it has")
    parser.add_argument("--width", type=int, help="channels; left out: as many as it has")
    parser.add_argument("--data", type=Path, action="append", help="datasets; repeat for several")
    given = parser.parse_args()
    start = load_model(given.run, training=True)
    if start.run is None or resolve(given.run).origin != NAME:
        parser.error(f"{given.run}: is no trained nano")
    torch.manual_seed(0)
    grown = renamed(start, given.data) if given.data else start
    grown = grown if given.width is None else widened(grown, given.width)
    grown = grown if given.layers is None else deepened(grown, given.layers)
    grown.save(given.out)
    grown.run.save(given.out)
    print(f"{given.out}: {given.run} grown to {grown.model.num_parameters():,} weights")


if __name__ == "__main__":
    main()
