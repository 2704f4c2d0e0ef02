"""Time of a step with torch's fused attention against plain matrix products, on a CPU.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/attention.py
    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/attention.py --models smollm2-135m

Forward and backward on a batch of the bundled digits in the published format, as each model is
trained on them, in bfloat16 autocast and in float32. Each kind of attention in turn on the same
batch; medians, the ratio is what counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from torch.nn import functional as F

from glyphsight.codec import encode_batch
from glyphsight.dataset import Prompt, Record
from glyphsight.dataset.prompt import in_turn
from glyphsight.models import load_model
from glyphsight.sources import load_split, open_source
from glyphsight.train.data import collate, tokenize_records
from glyphsight.train.settings import resolve_settings

KINDS = ("sdpa", "eager")


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
    return loaded.model, collate(examples, loaded.tokenizer.pad_token_id)


def milliseconds(model: Any, batch: dict[str, Any], kind: str, bfloat16: bool) -> float:
    """One forward and backward pass."""
    model.set_attn_implementation(kind)
    labels = batch["labels"]
    read = {name: tensor for name, tensor in batch.items() if name != "labels"}
    start = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        logits = model(**read, logits_to_keep=labels.shape[1], use_cache=False).logits
    F.cross_entropy(logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten()).backward()
    taken = time.perf_counter() - start
    model.zero_grad()
    return 1000 * taken


def main() -> None:
    """Print a table of milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=["nano"])
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    print("| model | number type | tokens | fused, ms | plain, ms | ratio |")
    print("|---|---|---|---|---|---|")
    for name in given.models:
        model, batch = batch_of(name)
        tokens = " x ".join(map(str, batch["input_ids"].shape))
        for bfloat16 in (True, False):
            times: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for _ in range(given.repeats + 2):
                for kind in KINDS:
                    times[kind].append(milliseconds(model, batch, kind, bfloat16))
            fused, plain = (statistics.median(times[kind][2:]) for kind in KINDS)
            number = "bfloat16" if bfloat16 else "float32"
            found = f"{fused:.0f} | {plain:.0f} | {fused / plain:.2f}"
            print(f"| {name} | {number} | {tokens} | {found} |")


if __name__ == "__main__":
    main()
