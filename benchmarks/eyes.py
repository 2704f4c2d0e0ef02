"""Accuracy of checkpoints on each kind of picture, nobody naming the kind: the curve of a run.

    python benchmarks/eyes.py EYES --checkpoint eyes/checkpoints/checkpoint-90 ... --records 100

EYES is what `scripts/open_eyes.py` makes. A checkpoint of a run that is not finished becomes a run
of the package: it gets the record of one. Each kind's first records of ``--split``, in an order of
their own, are asked without a question; what the model writes must be the answer. ``sight`` itself
is a checkpoint of that name. A line of JSON for each checkpoint and kind is written to ``--out``
and printed as a table; lines that are there already stay.

``--told`` adds how many signs are right where it is told whether a digit or a letter is shown, as
ViTC's own question tells.

``--picture FILE`` draws what the first checkpoint reads and writes: the cells of the first six
records of each kind, the answer below, in red where it is wrong.

``--perceptron`` prints besides what a network with one hidden layer of 256 learns from the cells of
the same training records, top 1 and top 5 of 2,000 test records: a mark to compare with. ``--cnn``
prints the same of a small CNN: what the text holds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from glyphsight.codec import Profile
from glyphsight.codec.formats import get_format
from glyphsight.dataset import Record, load_dataset
from glyphsight.dataset.questions import CHAT, PLAIN
from glyphsight.dataset.storage import profile_of
from glyphsight.files import normal
from glyphsight.inference import Model, Request
from glyphsight.models import RunRecord
from glyphsight.models.runs import RUN_FILE, Task
from glyphsight.sampling import wilson_interval

_KINDS = (
    "digits letters words art art-picture icons sketches clothes scenes vitc-s-picture "
    "vitc-l-picture strange"
)
KINDS = _KINDS.split()
CLOSED = ("digits", "letters", "icons", "sketches", "clothes")
"""Kinds whose answers are few."""
OF_SIGNS = ("letters", "vitc-s-picture")
"""Kinds of one letter or digit each."""


def chosen(data: Path, split: str, count: int) -> list[Record]:
    """Choose records of a split, the same each time."""
    records = load_dataset(data, split)
    return [records[row] for row in np.random.default_rng(7).permutation(len(records))[:count]]


def as_run(checkpoint: str, data: Path) -> str:
    """Give a checkpoint the record of a run; return its name."""
    directory = Path(checkpoint)
    if directory.is_dir() and not (directory / RUN_FILE).exists():
        profile = profile_of(data / "data")
        assert profile is not None
        speaks = (directory / "adapter_config.json").exists()
        base, wordings = ("smollm2-135m", (PLAIN, CHAT)) if speaks else ("nano", (PLAIN,))
        record = RunRecord(base, 1, wordings, profile, (Task(),), base_profile=profile, free=speaks)
        record.save(directory)
    return checkpoint


def written(model: Model, records: list[Record]) -> list[str]:
    """Return what the model writes of each record."""
    longest = max((record.answer for record in records), key=len)
    asked = [Request.about(PLAIN, one.picture, [longest], one.question) for one in records]
    return [PLAIN.read_reply(reply) for reply in model.generate(asked)]


def judged(model: Model, records: list[Record]) -> list[bool]:
    """Say of each record whether the model writes its answer."""
    replies = written(model, records)
    return [reply == normal(one.answer) for one, reply in zip(records, replies, strict=True)]


def draw(model: Model, shown: list[Record], profile: Profile, across: int, file: Path) -> None:
    """Draw the cells of records, what the model writes below them, wrong answers in red."""
    width, height = 200, 9 * (profile.height or 11) + 25
    size = (across * width, -(-len(shown) // across) * height)
    page = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(page)
    for number, (one, reply) in enumerate(zip(shown, written(model, shown), strict=True)):
        levels = 255 - grid(one, profile) * (255 // (profile.levels - 1))
        across_cells = min(5, (width - 10) // levels.shape[1])
        cells = np.repeat(np.repeat(levels, across_cells * 9 // 5, 0), across_cells, 1)
        left, top = number % across * width, number // across * height
        page.paste(Image.fromarray(cells).convert("RGB"), (left + 5, top + 3))
        right = reply == normal(one.answer)
        said = reply if right else f"{reply} ({one.answer})"
        pen.text((left + 5, top + height - 18), said, "black" if right else "#c00")
    page.quantize(64).save(file, optimize=True)


def first_five(model: Model, records: list[Record], names: list[str]) -> list[bool]:
    """Say of each record whether its answer is among the five likeliest of the names."""
    scores = model.score([Request.about(PLAIN, one.picture, names) for one in records])
    best = [{names[row] for row in np.argsort(-own)[:5]} for own in scores]
    return [one.answer in own for one, own in zip(records, best, strict=True)]


def told(model: Model, records: list[Record]) -> list[bool]:
    """Say of each record of a sign whether its answer is the likeliest of its sort.

    ViTC's own question says whether a digit or a letter is shown.
    """
    sorts = ["0123456789" if one.answer.isdigit() else ascii_uppercase for one in records]
    asked = [
        Request.about(PLAIN, one.picture, sort) for one, sort in zip(records, sorts, strict=True)
    ]
    best = [sort[int(own.argmax())] for sort, own in zip(sorts, model.score(asked), strict=True)]
    return [name == one.answer for name, one in zip(best, records, strict=True)]


def grid(record: Record, profile: Profile) -> NDArray[np.uint8]:
    """Return the cells of a text as levels, uint8[rows, columns]."""
    return get_format(profile.format).read(record.picture, profile.palette)


def grids(records: list[Record], profile: Profile) -> NDArray[np.uint8]:
    """Return the cells of texts as levels, uint8[N, rows, columns], all alike wide."""
    found = []
    for one in records:
        levels = grid(one, profile)
        found.append(levels[:, np.arange(profile.width) * levels.shape[1] // profile.width])
    return np.stack(found)


def compare(data: Path, kind: str, way: str) -> None:
    """Train a small network on a kind's cells and print how much of 2,000 tests it gets right."""
    profile = profile_of(data / kind)
    assert profile is not None
    train, test = load_dataset(data / kind, "train"), load_dataset(data / kind, "test")[:2000]
    names, right = np.unique([one.answer for one in train], return_inverse=True)
    learn = perceptron if way == "perceptron" else convolutions
    best = learn(grids(train, profile), right, grids(test, profile), profile.levels)[:, :5]
    hits = names[best] == np.array([one.answer for one in test])[:, None]
    top1, top5 = 100 * hits[:, 0].mean(), 100 * hits.any(axis=1).mean()
    print(f"| {way} | {kind} | {len(train):,} | {top1:.1f} % | {top5:.1f} % |", flush=True)


def perceptron(
    train: NDArray[np.uint8], right: NDArray[Any], test: NDArray[np.uint8], levels: int
) -> NDArray[Any]:
    """Train one hidden layer of 256 and return the classes of each test, the likeliest first."""
    from sklearn.neural_network import MLPClassifier

    def features(own: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = [(own == level).reshape(len(own), -1) for level in range(1, levels)]
        return np.concatenate(parts, axis=1).astype(np.float32)

    network = MLPClassifier((256,), alpha=0.01, max_iter=12, random_state=0, batch_size=64)
    network.fit(features(train), right)
    return np.argsort(-network.predict_proba(features(test)), axis=1)


def convolutions(
    train: NDArray[np.uint8], right: NDArray[Any], test: NDArray[np.uint8], levels: int
) -> NDArray[Any]:
    """Train the CNN of ``ceilings.py`` on 100,000 cells and return classes as the perceptron."""
    import torch
    from ceilings import BATCH, RATE, channels, network, shifted

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    model = network(train.shape[1:], levels, int(right.max()) + 1)
    steps = 100_000 // BATCH
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        rows = random.integers(len(train), size=BATCH)
        read = model(channels(shifted(train[rows], random), levels, "cpu"))
        loss = torch.nn.functional.cross_entropy(read, torch.from_numpy(right[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    model.eval()
    with torch.inference_mode():
        parts = [model(channels(part, levels, "cpu")) for part in np.array_split(test, 8)]
    order: NDArray[Any] = torch.cat(parts).argsort(dim=1, descending=True).numpy()
    return order


def main() -> None:
    """Judge the checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="what scripts/open_eyes.py made")
    parser.add_argument("--checkpoint", action="append", default=[], help="repeat for several")
    parser.add_argument("--perceptron", action="store_true", help="judge a small network too")
    parser.add_argument("--cnn", action="store_true", help="judge a small CNN too")
    parser.add_argument("--kind", action="append", choices=KINDS, help="all unless given")
    parser.add_argument("--split", default="validation", help="of vitc it is always test")
    parser.add_argument("--records", type=int, default=100, help="records of each kind")
    parser.add_argument("--picture", type=Path, help="file of a picture of the answers")
    parser.add_argument("--five", action="store_true", help="also top 5 among all kinds' names")
    parser.add_argument("--told", action="store_true", help="also where the sort of sign is told")
    parser.add_argument("--out", type=Path, default=Path("eyes.jsonl"), help="file of the figures")
    given = parser.parse_args()
    lines = given.out.read_text("utf-8").splitlines() if given.out.exists() else []
    known = [json.loads(line) for line in lines]
    done = {(one["checkpoint"], one["kind"], one["split"], one["of"]) for one in known}
    ways = [way for way in ("perceptron", "cnn") if getattr(given, way)]
    for way in ways:
        for kind in given.kind or CLOSED:
            compare(given.data, kind, way)
    closed = [load_dataset(given.data / kind, "test") for kind in CLOSED if given.five]
    names = sorted({one.answer for own in closed for one in own})
    if given.picture:
        drawn = Model.load(as_run(given.checkpoint[0], given.data))
        shown = [chosen(given.data / kind, "test", 6) for kind in given.kind or KINDS]
        profile = drawn.trained.profile
        draw(drawn, [one for own in shown for one in own], profile, 6, given.picture)
        return
    for checkpoint in given.checkpoint:
        model: Model | None = None
        for kind in given.kind or KINDS:
            split = "test" if kind.startswith("vitc") else given.split
            records = chosen(given.data / kind, split, given.records)
            if (checkpoint, kind, split, len(records)) in done:
                continue
            model = model or Model.load(as_run(checkpoint, given.data))
            right = sum(judged(model, records))
            line = {"checkpoint": checkpoint, "kind": kind, "split": split, "right": right}
            line |= {"of": len(records)}
            if given.five and kind in CLOSED:
                line["first_five"] = sum(first_five(model, records, names))
            if given.told and kind in OF_SIGNS:
                line["told"] = sum(told(model, records))
            with given.out.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
            low, high = wilson_interval(right, len(records))
            share = f"{100 * right / len(records):.1f} % ({100 * low:.1f}-{100 * high:.1f})"
            more = [
                f", {title} {100 * line[key] / len(records):.1f} %"
                for title, key in (("top 5", "first_five"), ("digit or letter told", "told"))
                if key in line
            ]
            print(
                f"| {checkpoint} | {kind} | {share} of {len(records)}{''.join(more)} |", flush=True
            )


if __name__ == "__main__":
    main()
