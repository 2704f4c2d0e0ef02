"""Time of a training step on a CPU: fused attention or plain matrix products, compiled or not.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/attention.py
    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/attention.py --models nano --float32

Forward and backward on a batch of the bundled digits in the published format, nano with all its
weights, others with a LoRA of rank 8, in bfloat16 autocast unless float32 is asked for. The four
ways in turn on the same batch, so that what else the core does slows all of them; medians over the
rounds of the time and of its ratio to that of fused attention, not compiled. Compiling is not
counted.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F

from glyphsight.codec import encode_batch
from glyphsight.dataset import Prompt, Record
from glyphsight.dataset.prompt import in_turn
from glyphsight.models import load_model, nano
from glyphsight.sources import load_split, open_source
from glyphsight.train.data import collate, tokenize_records
from glyphsight.train.settings import resolve_settings
from glyphsight.train.speed import compile_layers
from glyphsight.train.trainer import keep_frozen_weights_in

WAYS = [(kind, compiled) for compiled in (False, True) for kind in ("sdpa", "eager")]


def batch_of(name: str) -> tuple[Any, dict[str, Any]]:
    """A model and a batch that it is trained on."""
    loaded = load_model(name, training=True)
    size = resolve_settings(name, {}).values.batch_size
    pictures = load_split(open_source("bundled"), "train")
    records = [
        Record(text, label, size="20")
        for text, label in zip(encode_batch(pictures.pixels[:size]), pictures.labels, strict=False)
    ]
    examples = tokenize_records(loaded, in_turn(records, [Prompt()]), "bundled")
    model = loaded.model
    if name != nano.NAME:
        model = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear"))
    return model, collate(examples, loaded.tokenizer.pad_token_id)


def milliseconds(model: Any, batch: dict[str, Any], way: tuple[str, bool], bfloat16: bool) -> float:
    """One forward and backward pass."""
    kind, compiled = way
    model.set_attn_implementation(kind)
    labels = batch["labels"]
    read = {name: tensor for name, tensor in batch.items() if name != "labels"}
    start = time.perf_counter()
    with nullcontext() if compiled else torch.compiler.set_stance("force_eager"):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            logits = model(**read, logits_to_keep=labels.shape[1], use_cache=False).logits
        F.cross_entropy(logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten()).backward()
    taken = time.perf_counter() - start
    model.zero_grad()
    return 1000 * taken


def main() -> None:
    """Print a table of milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=["nano", "smollm2-135m"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--float32", action="store_true")
    given = parser.parse_args()
    ways = " | ".join(
        f"{'fused' if kind == 'sdpa' else 'plain'}{', compiled' if compiled else ''}"
        for kind, compiled in WAYS
    )
    print(f"| model | number type | tokens | {ways} |")
    print("|---|---|---|---|---|---|---|")
    for name in given.models:
        model, batch = batch_of(name)
        if not given.float32:
            keep_frozen_weights_in(model, torch.bfloat16)
        compile_layers(model, dynamic=False, required=True)
        rounds = [
            [milliseconds(model, batch, way, not given.float32) for way in WAYS]
            for _ in range(given.repeats + 2)
        ][2:]
        cells = [
            f"{statistics.median(times):.0f} ms ({statistics.median(ratios):.2f})"
            for times, ratios in zip(
                zip(*rounds, strict=True),
                zip(*([row[0] / one for one in row] for row in rounds), strict=True),
                strict=True,
            )
        ]
        number = "float32" if given.float32 else "bfloat16"
        tokens = " x ".join(map(str, batch["input_ids"].shape))
        print(f"| {name} | {number} | {tokens} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
