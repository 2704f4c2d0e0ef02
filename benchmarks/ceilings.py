"""Floors and ceilings of labelled pictures as text, as Markdown tables.

    python benchmarks/ceilings.py idx:DIR idx:DIR ...
    python benchmarks/ceilings.py --judge validation DATASET ...

A source's pictures are read in the published format, a dataset's records in their own. Each needs
a split to learn from and one to judge on. Settings are chosen on training pictures; the judged
split is named once. The last line is the usual ceiling: a small convolutional network on the level
grid, with one channel per level. Nothing is read from the cache. Processor time, unlike time by the
clock, stays about the same on a shared machine; to compare it, give numpy's libraries one thread
and one core.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import load_dataset
from glyphsight.dataset.storage import read_manifest
from glyphsight.evaluate.baselines import ALL, Grids, Task, baselines, hold_out
from glyphsight.evaluate.result import Share
from glyphsight.models.load import default_device
from glyphsight.sources import is_spec, load_split, open_source

CNN = "cnn"
BATCH = 128
EPOCHS = 6
FEWEST_STEPS = 600  # six epochs of few records teach nothing
RATE = 3e-3
HELD_OUT = 3000
SHIFTED = 4  # cells; an axis that is shorter would lose too much by a shift
JUDGED = 512


def network(size: tuple[int, int], levels: int, count: int) -> Any:
    """Stack two convolutions, a pool, one convolution, a pool and two dense layers.

    Args:
        size: Rows and columns of a grid, at least 1.
        levels: Number of input channels.
        count: Number of outputs, one per class.
    """
    rows, columns = (math.ceil(math.ceil(extent / 2) / 2) for extent in size)

    def convolution(before: int, after: int) -> list[Any]:
        layer = nn.Conv2d(before, after, 3, padding=1, bias=False)
        return [layer, nn.BatchNorm2d(after), nn.ReLU()]

    return nn.Sequential(
        *convolution(levels, 32),
        *convolution(32, 32),
        nn.MaxPool2d(2, ceil_mode=True),
        *convolution(32, 64),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(64 * rows * columns, 128),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(128, count),
    )


def shifted(grids: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Move each grid by up to one cell along both axes; the darkest level comes in.

    Args:
        grids: uint8[N, rows, columns]; an axis of fewer than four cells stays.
        rng: Source of the shifts, all equally likely.
    """
    count, size = len(grids), grids.shape[1:]
    room = [int(extent >= SHIFTED) for extent in size]
    wide = np.pad(grids, ((0, 0), *((r, r) for r in room)))
    starts = [rng.integers(0, 2 * r + 1, count) for r in room]
    down = starts[0][:, None] + np.arange(size[0])
    across = starts[1][:, None] + np.arange(size[1])
    moved: NDArray[np.uint8] = wide[
        np.arange(count)[:, None, None], down[:, :, None], across[:, None, :]
    ]
    return moved


def channels(grids: NDArray[np.uint8], levels: int, device: str) -> torch.Tensor:
    """Give each level a channel, float32[N, levels, rows, columns]."""
    return F.one_hot(torch.from_numpy(grids).to(device).long(), levels).permute(0, 3, 1, 2).float()


def predict(model: nn.Module, grids: NDArray[np.uint8], task: Task) -> NDArray[np.int64]:
    """Name the class of each grid, int64[N]."""
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        parts = [
            model(channels(part, task.levels, device)).argmax(dim=1).cpu().numpy()
            for part in np.split(grids, range(JUDGED, len(grids), JUDGED))
        ]
    return np.concatenate(parts)


def cnn(task: Task, batch: int = BATCH, fewest_steps: int = FEWEST_STEPS) -> tuple[Any, str, int]:
    """Train with Adam, one cycle of the learning rate and one-cell shifts; choose the epoch.

    A part of the training records is held out for that choice and never trained on. Where there
    are too few for one, the last epoch counts.

    Args:
        task: Training grids and test grids.
        batch: Grids per step.
        fewest_steps: Steps at least; a small set is seen more often.

    Returns:
        Class of each test grid, the method with its settings, records trained on.
    """
    device = default_device()
    count = int(task.classes.max()) + 1
    kept, held = hold_out(task.classes, HELD_OUT, task.seed)
    batch = min(batch, len(kept))
    per_epoch = len(kept) // batch
    epochs = max(EPOCHS, math.ceil(fewest_steps / per_epoch))
    judge_every = epochs // EPOCHS  # of many short epochs only some are judged
    rng = np.random.default_rng(task.seed)
    torch.manual_seed(task.seed)
    model = network(task.train.shape[1:], task.levels, count)
    model = model.to(device, memory_format=torch.channels_last)  # a CPU is faster by 1.4
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=epochs * per_epoch, pct_start=0.2
    )
    best, best_right, best_epoch = None, -1, epochs
    for epoch in range(1, epochs + 1):
        model.train()
        order = rng.permutation(kept)
        for start in range(0, per_epoch * batch, batch):
            chosen = order[start : start + batch]
            grids = channels(shifted(task.train[chosen], rng), task.levels, device)
            loss = F.cross_entropy(model(grids), torch.from_numpy(task.classes[chosen]).to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if len(held) and (epochs - epoch) % judge_every == 0:
            right = int((predict(model, task.train[held], task) == task.classes[held]).sum())
            if right >= best_right:  # of equals the later, which has learnt more
                best_right, best_epoch = right, epoch
                best = {key: value.clone() for key, value in model.state_dict().items()}
    if best is not None:
        model.load_state_dict(best)
    what = f"small CNN, one-cell shifts, epoch {best_epoch} of {epochs}"
    return predict(model, task.test, task), what, len(kept)


def measure(name: str, train: Grids, test: Grids, seed: int) -> tuple[str, Share, int]:
    """Measure one learner: its method, its right answers, the records it is trained on."""
    if name != CNN:
        [one] = baselines(train, test, seed=seed, names=[name], cache=False, quiet=True)
        return one.what, one.share, one.trained_on
    task, labels = Task.of(train, test, seed)
    classes, what, trained_on = cnn(task)
    right = sum(labels[one] == truth for one, truth in zip(classes, test.labels, strict=True))
    return what, Share.of(right, len(classes)), trained_on


def grids(data: str, split: str) -> Grids:
    """Read a split's texts back: a source's in the published format, a dataset's in its own."""
    if is_spec(data):
        pictures = load_split(open_source(data), split)
        return Grids.read(encode_batch(pictures.pixels), pictures.labels, where=split)
    manifest = read_manifest(Path(data)) if Path(data).is_dir() else {}
    if "profile" not in manifest:
        raise SystemExit(f"{data}: give a source SPEC or a directory of glyphsight dataset build")
    profile = Profile(**manifest["profile"])
    records = load_dataset(data, split)
    texts, labels = [one.picture for one in records], [one.answer for one in records]
    return Grids.read(texts, labels, profile, f"{data} {split}")


def main() -> None:
    """Print a table per source, each line as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", metavar="SPEC_OR_DATASET")
    parser.add_argument("--judge", default="test", help="split to judge on")
    parser.add_argument("--names", default=",".join([*ALL, CNN]), help="learners, by comma")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for data in given.sources:
        train, test = grids(data, "train"), grids(data, given.judge)
        print(f"\n{data}: {len(test.cells):,} {given.judge} pictures\n", flush=True)
        print("| baseline | right | 95 % interval | trained on | processor seconds |")
        print("|---|---|---|---|---|", flush=True)
        for name in given.names.split(","):
            started = time.process_time()
            what, share, trained_on = measure(name, train, test, given.seed)
            seconds = time.process_time() - started
            low, high = share.interval
            print(
                f"| {what} | {100 * share.accuracy:.2f} % | {100 * low:.2f} to {100 * high:.2f} % "
                f"| {trained_on:,} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
