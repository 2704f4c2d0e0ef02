"""Measure what a model draws: form, cost of the grammar, likeness, variety, copies.

    python benchmarks/draw.py choose DATA --source idx:DIR --model RUN
    python benchmarks/draw.py choose DATA --source idx:DIR --temperature 1.1 --min-p 0.05
    python benchmarks/draw.py table DATA --source idx:DIR --model draw
    python benchmarks/draw.py table NAMES --model RUN --n 20
    python benchmarks/draw.py halves DATA --source idx:DIR --n 20
    python benchmarks/draw.py form DATA --temperature 0.9 1.3

DATA is a dataset of the model's profile with its training, validation and test split, SOURCE the
pictures it was built from. A drawing becomes pixels as ``decode`` makes them, one a cell, resized
(bicubic) to SOURCE's size. A small CNN is trained on SOURCE's real pixels, moved by up to two of
them, two of three batches made coarse (few pixels, few grays), as pictures of few cells are. The
judge of ``table`` learns from the even training pictures with seed 0, that of ``choose`` from the
odd ones with seed 1; by that and the validation split alone a temperature is chosen. Without
SOURCE both learn from all of DATA's training texts, decoded to 28x28 pixels. The labels are those
of DATA that the model draws.

``choose`` prints a line for each temperature, share of the likeliest tokens (``--top-p``) and least
probability of a token beside the likeliest's (``--min-p``); with ``--apart`` a drawing within 3
cells of a training picture is drawn again, with ``--hotter 1=1.2`` a label has a temperature of its
own.

``table`` sets beside the drawings: real test pictures, encoded and decoded in the same way; copies
of training pictures; a training picture of the label each cell of which is that of one of its four
nearest neighbours or its own; and cells drawn one by one with the label's shares of levels. The
distance is the number of cells that differ. The Frechet distance is between the CNN's 64 features
of each and of 400 further real test pictures a label (or all that there are), decoded likewise.
``halves`` completes the upper half of real test pictures; ``form`` counts well-formed drawings with
and without the grammar.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glyphsight.codec import Profile, decode, resize
from glyphsight.codec.formats import get_format
from glyphsight.codec.layout import layout_of
from glyphsight.dataset import Record, load_dataset
from glyphsight.errors import FormatError
from glyphsight.evaluate.result import Share
from glyphsight.inference import Drawing, DrawSettings, Model
from glyphsight.inference.draw import Grammar
from glyphsight.inference.stream import Writing
from glyphsight.inference.stream import choose as choose_token
from glyphsight.sources import load_split, open_source

EPOCHS, BATCH, RATE, MOVED = 4, 128, 3e-3, 2
COARSE_EPOCHS, COARSE_SIZE = 12, (28, 28)  # of pictures that are coarse as they come
COPY = 3  # cells that a copy may differ in
NEIGHBOURS = 4
TURNS = 50  # times that a label is drawn at most, for drawings that lie apart
REFERENCE = 400  # real pictures a label that the Frechet distance is to


class Cnn(nn.Module):
    """Two convolutions and a hidden layer of 64, the features."""

    def __init__(self, size: tuple[int, int], count: int) -> None:
        super().__init__()
        rows, columns = (extent // 4 for extent in size)
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * rows * columns, 64), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Linear(64, count)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits float32[N, labels] of pictures float32[N, 1, H, W]."""
        logits: torch.Tensor = self.last(self.features(pixels))
        return logits


@dataclass(frozen=True)
class Judge:
    """A CNN with the labels of its outputs."""

    cnn: Cnn
    labels: list[str]

    @staticmethod
    def train(pixels: NDArray[np.uint8], truth: list[str], seed: int, *, fine: bool) -> Judge:
        """Train on pictures uint8[N, H, W], each moved at every step, fine ones made coarse."""
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        labels = sorted(set(truth))
        data = torch.from_numpy(pixels)[:, None].float() / 255
        wanted = torch.tensor([labels.index(one) for one in truth])
        cnn = Cnn(pixels.shape[1:], len(labels))
        steps = (EPOCHS if fine else COARSE_EPOCHS) * len(data) // BATCH
        optimizer = torch.optim.AdamW(cnn.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for step in range(steps):
            if step * BATCH % len(data) < BATCH:
                order = torch.randperm(len(data))
            rows = order[torch.arange(step * BATCH, (step + 1) * BATCH) % len(data)]
            top, left = MOVED - rng.integers(-MOVED, MOVED + 1, 2)
            framed = nn.functional.pad(data[rows], [MOVED] * 4)
            moved = framed[:, :, top : top + data.shape[2], left : left + data.shape[3]]
            seen = coarse(moved, rng) if fine else moved
            loss = nn.functional.cross_entropy(cnn(seen), wanted[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return Judge(cnn.eval(), labels)

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return float64[N, 64] of pictures uint8[N, H, W]."""
        with torch.inference_mode():
            parts = torch.from_numpy(pixels)[:, None].float().div(255).split(512)
            return torch.cat([self.cnn.features(one) for one in parts]).double().numpy()

    def says(self, features: NDArray[np.float64]) -> list[str]:
        """Name the label of each row of features."""
        with torch.inference_mode():
            found = self.cnn.last(torch.from_numpy(features).float()).argmax(dim=1)
        return [self.labels[int(one)] for one in found]


def coarse(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Make two of three batches of pictures [N, 1, H, W] coarse: few pixels, two to five grays."""
    if rng.random() < 1 / 3:
        return pixels
    size = [int(rng.integers(extent // 3, extent)) for extent in pixels.shape[2:]]
    steps = int(rng.integers(1, 5))
    few = nn.functional.interpolate(pixels, size, mode="area").mul(steps).round().div(steps)
    return nn.functional.interpolate(few, pixels.shape[2:], mode="bicubic").clamp(0, 1)


def frechet(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the Frechet distance of two sets of features, as of two normal distributions."""
    means = one.mean(axis=0) - other.mean(axis=0)
    first, second = np.cov(one.T), np.cov(other.T)
    roots = np.sqrt(np.linalg.eigvals(first @ second).real.clip(min=0))
    return float(means @ means + np.trace(first + second) - 2 * roots.sum())


def to_pixels(drawings: list[Drawing], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Turn texts into pictures uint8[N, H, W] of one size: a pixel a cell, then resized."""
    cells = np.stack([decode(one.ascii_image, one.profile, strict=True) for one in drawings])
    return resize(cells, *size, "bicubic")


def grids(drawings: list[Drawing]) -> NDArray[np.uint8]:
    """Return the level grids uint8[N, cells]."""
    read = [
        get_format(one.profile.format).read(one.ascii_image, one.profile.palette)
        for one in drawings
    ]
    return np.stack(read).reshape(len(read), -1)


def distances(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Count the cells that differ between each of N and each of M grids, float32[N, M]."""
    levels = range(int(max(one.max(), other.max())) + 1)
    first, second = (
        np.concatenate([own == level for level in levels], axis=1).astype(np.float32)
        for own in (one, other)
    )
    return one.shape[1] - first @ second.T


def drawn(
    model: Model, labels: list[str], how: DrawSettings, own: dict[str, float]
) -> list[Drawing]:
    """Draw each label n times, some at a temperature of their own."""
    each = {label: replace(how, temperature=own.get(label, how.temperature)) for label in labels}
    return [one for label in labels for one in model.draw(label, each[label])]


def from_records(records: list[Record], profile: Profile) -> list[Drawing]:
    """Take records for drawings."""
    size = len(layout_of(profile))
    return [Drawing(r.answer, r.picture, profile) for r in records if len(r.picture) == size]


def drawn_of(records: list[Drawing], model: Model) -> list[str]:
    """List the labels of records that the model draws, in its order."""
    here = {one.label for one in records}
    return [label for label in model.trained.draws if label in here]


def some(drawings: list[Drawing], labels: list[str], count: int, skip: int = 0) -> list[Drawing]:
    """Take as many of each label, in their order."""
    each = [[one for one in drawings if one.label == label] for label in labels]
    return [one for own in each for one in own[skip : skip + count]]


def written_back(levels: NDArray[np.uint8], labels: list[str], profile: Profile) -> list[Drawing]:
    """Write grids uint8[N, cells] as texts."""
    rows = profile.rows(1, 1) * get_format(profile.format).cell[0]
    shaped = levels.reshape(len(levels), rows, -1)
    texts = get_format(profile.format).render_batch(shaped, profile.palette)
    return [Drawing(label, text, profile) for label, text in zip(labels, texts, strict=True)]


def cell_by_cell(train: list[Drawing], wanted: list[str]) -> list[Drawing]:
    """Draw each cell with the label's shares of levels there: that of any picture of the label."""
    rng, known = np.random.default_rng(0), grids(train)
    of = {label: [i for i, one in enumerate(train) if one.label == label] for label in set(wanted)}
    cells = np.arange(known.shape[1])
    rows = [known[rng.choice(of[label], known.shape[1]), cells] for label in wanted]
    return written_back(np.stack(rows), wanted, train[0].profile)


def of_neighbours(train: list[Drawing], wanted: list[str]) -> list[Drawing]:
    """Mix a random training picture of each label with its nearest neighbours, cell by cell."""
    rng, known, found = np.random.default_rng(0), grids(train), []
    cells = np.arange(known.shape[1])
    for label in dict.fromkeys(wanted):
        own = known[[i for i, one in enumerate(train) if one.label == label]]
        chosen = rng.choice(len(own), wanted.count(label), replace=False)
        nearest = distances(own[chosen], own).argsort(axis=1)[:, : NEIGHBOURS + 1]
        for some_rows in nearest:
            found.append(own[rng.choice(some_rows, known.shape[1]), cells])
    return written_back(np.stack(found), wanted, train[0].profile)


def seen_right(drawings: list[Drawing]) -> Share:
    """Count what ``nano-digits`` sees as its label."""
    answers = Model("nano-digits").see([one.picture() for one in drawings])
    pairs = zip(answers, drawings, strict=True)
    return Share.of(sum(a.label == d.label for a, d in pairs), len(drawings))


def share(found: Share) -> str:
    """Write a share and its interval in percent."""
    low, high = found.interval
    return f"{100 * found.accuracy:.1f} % ({100 * low:.1f}-{100 * high:.1f})"


def narrowed(top_p: float, min_p: float) -> Any:
    """Draw tokens among the likeliest, before the temperature, for ``with``."""

    def own(logprobs: NDArray[np.float32], writing: Writing, draw: np.random.Generator) -> int:
        if min_p:
            least = logprobs.max() + np.log(min_p)
            logprobs = np.where(logprobs >= least, logprobs, np.float32(-np.inf))
        return choose_token(logprobs, replace(writing, top_p=top_p), draw)

    return mock.patch("glyphsight.inference.draw.choose", own)


def drawn_apart(
    model: Model, labels: list[str], how: DrawSettings, known: NDArray[np.uint8]
) -> list[Drawing]:
    """Draw each label until there are enough that lie apart from all known grids."""
    found: list[Drawing] = []
    for label in labels:
        own: list[Drawing] = []
        for turn in range(TURNS):
            made = model.draw(label, replace(how, seed=(how.seed or 0) + TURNS * turn))
            far = distances(grids(made), known).min(axis=1) > COPY
            own += [one for one, is_far in zip(made, far, strict=True) if is_far]
            if len(own) >= how.n:
                break
        found += own[: how.n]
    return found


def choose(given: argparse.Namespace, model: Model, judge: Judge, size: tuple[int, int]) -> None:
    """Print a line a way to draw, by the validation split and the CNN for choosing."""
    profile = model.trained.profile
    train = from_records(load_dataset(given.data), profile)
    labels, known = drawn_of(train, model), grids(train)
    real = from_records(load_dataset(given.data, "validation"), profile)
    wanted = judge.features(to_pixels(real, size))

    def judged(name: str, made: list[Drawing]) -> None:
        own = judge.features(to_pixels(made, size))
        right = sum(a == b.label for a, b in zip(judge.says(own), made, strict=True))
        near = int((distances(grids(made), known).min(axis=1) <= COPY).sum())
        print(
            f"{name}: {share(Share.of(right, len(made)))} of {len(made)} recognised, "
            f"{share(Share.of(near, len(made)))} within {COPY} cells of a training picture, "
            f"Frechet distance {frechet(own, wanted):.2f}",
            flush=True,
        )

    judged("real validation pictures", real)
    for temperature, top_p, min_p in product(given.temperature, given.top_p, given.min_p):
        with narrowed(top_p, min_p):
            how = DrawSettings(n=given.n, temperature=temperature, seed=1)
            made = (
                drawn_apart(model, labels, how, known)
                if given.apart
                else drawn(model, labels, how, given.hotter)
            )
        name = f"temperature {temperature}{given.hotter or ''}, top-p {top_p}, min-p {min_p}"
        judged(name + ", apart" * given.apart, made)


def table(given: argparse.Namespace, model: Model, judge: Judge, size: tuple[int, int]) -> None:
    """Print the table, with the temperature given."""
    profile = model.trained.profile
    [temperature] = given.temperature
    train = from_records(load_dataset(given.data), profile)
    labels = drawn_of(train, model)
    rng = np.random.default_rng(0)
    test = from_records(load_dataset(given.data, "test"), profile)
    test = [test[i] for i in rng.permutation(len(test))]  # MNIST's first ones are the neatest
    reference = judge.features(to_pixels(some(test, labels, REFERENCE, given.n), size))
    wanted = [label for label in labels for _ in range(given.n)]
    how = DrawSettings(n=given.n, temperature=temperature, seed=0)
    kinds = {
        "drawings": drawn(model, labels, how, given.hotter),
        "real test pictures": some(test, labels, given.n),
        "copies of training pictures": some(
            [train[i] for i in rng.permutation(len(train))], labels, given.n
        ),
        "training pictures mixed with neighbours": of_neighbours(train, wanted),
        "cell by cell": cell_by_cell(train, wanted),
    }
    known, near = grids(train), dict[str, Counter[str]]()
    digits = set(labels) <= set("0123456789")
    print(
        "| | N | recognised by the CNN | by nano-digits | within 3 cells of a training picture "
        "| cells to the nearest, median | cells between two of a label, mean | Frechet distance |"
    )
    print(f"|{'---|' * 8}")
    for name, made in kinds.items():
        features = judge.features(to_pixels(made, size))
        right = sum(a == b.label for a, b in zip(judge.says(features), made, strict=True))
        nearest = np.concatenate(
            [distances(part, known).min(axis=1) for part in np.array_split(grids(made), 8)]
        )
        near[name] = Counter(
            one.label for one, cells in zip(made, nearest, strict=True) if cells <= COPY
        )
        apart = [
            distances(own, own)[np.triu_indices(len(own), 1)].mean()
            for own in (grids([d for d in made if d.label == label]) for label in labels)
        ]
        print(
            f"| {name} | {len(made)} | {share(Share.of(right, len(made)))} "
            f"| {share(seen_right(made)) if digits else ''} "
            f"| {share(Share.of(int((nearest <= COPY).sum()), len(made)))} "
            f"| {np.median(nearest):.0f} | {np.mean(apart):.1f} "
            f"| {frechet(features, reference):.2f} |",
            flush=True,
        )
    for name, counts in near.items():
        print(f"{name}, within {COPY} cells, by label: {dict(counts.most_common())}")


def halves(given: argparse.Namespace, model: Model, judge: Judge, size: tuple[int, int]) -> None:
    """Print what becomes of the upper half of real test pictures, with and without their label."""
    profile, labels = model.trained.profile, list(model.trained.draws)
    [temperature] = given.temperature
    rng = np.random.default_rng(0)
    test = from_records(load_dataset(given.data, "test"), profile)
    real = some([test[i] for i in rng.permutation(len(test))], labels, given.n)
    rows = profile.rows(1, 1) // 2
    for told in (True, False):
        made, how = [], DrawSettings(temperature=temperature, seed=0)
        for one in real:
            upper = "".join(one.ascii_image.splitlines(keepends=True)[:rows])
            made += model.draw(one.label if told else None, how, upper)
        said = judge.says(judge.features(to_pixels(made, size)))
        right = sum(a == b.label for a, b in zip(said, real, strict=True))
        print(
            f"{rows} rows of {len(real)} real pictures, label {'told' if told else 'not told'}: "
            f"completed as their label {share(Share.of(right, len(real)))}",
            flush=True,
        )


def form(given: argparse.Namespace, model: Model) -> None:
    """Print how many drawings are well-formed with and without the grammar, and what it costs."""
    profile, labels = model.trained.profile, list(model.trained.draws)
    longest = len(layout_of(profile))

    def without(self: Grammar, state: Any) -> NDArray[np.intp]:
        return np.arange(self.size)

    class Free:
        """A state that any token fits; it ends with the end token, or where none would be left."""

        def __init__(self) -> None:
            self.ids: list[int] = []

        def consume_token(self, token: int) -> bool:
            self.ids.append(token)
            return True

        def is_accepting(self) -> bool:
            return bool(self.ids) and (self.ids[-1] == end or len(self.ids) > longest)

    end = model.tokenizer.eos_token_id
    model.draw(labels[0], DrawSettings(seed=0))  # loads
    loose = {"allowed": without, "start": lambda self: Free()}
    for temperature, name in product(given.temperature, ("with", "without")):
        own = loose if name == "without" else {"allowed": Grammar.allowed}
        with mock.patch.multiple(Grammar, **own):
            began = time.process_time()
            how = DrawSettings(n=given.n, temperature=temperature, seed=0)
            made = drawn(model, labels, how, {})
            seconds = time.process_time() - began
        well = sum(_is_well_formed(one) for one in made)
        print(
            f"temperature {temperature}, {name} the grammar: "
            f"{share(Share.of(well, len(made)))} of {len(made)} well-formed, "
            f"{1000 * seconds / len(made):.2f} ms of CPU a drawing"
        )


def _is_well_formed(one: Drawing) -> bool:
    try:
        grid = get_format(one.profile.format).read(one.ascii_image, one.profile.palette)
    except FormatError:
        return False
    tall, wide = get_format(one.profile.format).cell
    return grid.shape == (one.profile.rows(1, 1) * tall, one.profile.width * wide)


def _own_temperatures(text: str) -> dict[str, float]:
    pairs = (one.split("=") for one in text.split(","))
    return {label: float(temperature) for label, temperature in pairs}


def main() -> None:
    """Train the CNN and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("choose", "table", "halves", "form"))
    parser.add_argument("data", type=Path, help="dataset of the model's profile")
    parser.add_argument("--source", help="source of the pictures, for the CNN; else DATA's texts")
    parser.add_argument("--model", default="draw")
    parser.add_argument("--n", type=int, default=100, help="drawings a label")
    parser.add_argument("--temperature", type=float, nargs="+", default=[DrawSettings.temperature])
    parser.add_argument("--top-p", type=float, nargs="+", default=[1.0], help="of choose")
    parser.add_argument("--min-p", type=float, nargs="+", default=[0.0], help="of choose")
    parser.add_argument("--hotter", type=_own_temperatures, default={}, metavar="LABEL=T,...")
    parser.add_argument("--apart", action="store_true", help="of choose: draw copies again")
    given = parser.parse_args()
    model = Model(given.model)
    if given.kind == "form":
        form(given, model)
        return
    odd, size = int(given.kind == "choose"), COARSE_SIZE
    if given.source is None:
        own = from_records(load_dataset(given.data), model.trained.profile)
        own = [one for one in own if one.label in model.trained.draws]
        judge = Judge.train(to_pixels(own, size), [one.label for one in own], odd, fine=False)
    else:
        real = load_split(open_source(given.source), "train")
        judge = Judge.train(real.pixels[odd::2], list(real.labels[odd::2]), odd, fine=True)
        size = (int(real.pixels.shape[1]), int(real.pixels.shape[2]))
    {"choose": choose, "table": table, "halves": halves}[given.kind](given, model, judge, size)


if __name__ == "__main__":
    main()
