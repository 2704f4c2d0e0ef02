"""Time of an optimizer step on nano's weights: torch's Muon and AdamW against what training uses.

    .venv/bin/python benchmarks/optimizer.py

Medians of 30 steps, side by side in one process; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from glyphsight.models.nano import make_nano
from glyphsight.train.trainer import Muon


def main() -> None:
    """Print a table of milliseconds and ratios."""
    model, _ = make_nano(0)
    hidden = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    chosen = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    pairs = {
        "Muon": (torch.optim.Muon(hidden, lr=1e-3), Muon(hidden, lr=1e-3)),
        "AdamW": (torch.optim.AdamW(rest), torch.optim.AdamW(rest, fused=True)),
    }
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(33):
        for name, pair in pairs.items():
            for which, optimizer in enumerate(pair):
                start = time.perf_counter()
                optimizer.step()
                times.setdefault((name, which), []).append(time.perf_counter() - start)
    print("| optimizer | torch's default, ms | used here, ms | ratio |\n|---|---|---|---|")
    for name in pairs:
        default, used = (1000 * statistics.median(times[name, which][3:]) for which in (0, 1))
        print(f"| {name} | {default:.1f} | {used:.1f} | {default / used:.1f} |")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    main()
