"""Accuracy of checkpoints on each kind of picture, nobody naming the kind: the curve of a run.

    python benchmarks/eyes.py EYES --checkpoint eyes/checkpoints/checkpoint-90 ... --records 100

EYES is what `scripts/open_eyes.py` makes. A checkpoint of a run that is not finished becomes a run
of the package: it gets the record of one. Each kind's first records of ``--split``, in an order of
their own, are asked without a question, scenes with theirs; what the model writes must be the
answer. ``sight`` itself is a checkpoint of that name. A line of JSON for each checkpoint and kind
is written to ``--out`` and printed as a table; lines that are there already stay.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

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
    "vitc-l-picture"
)
KINDS = _KINDS.split()


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
        record = RunRecord("smollm2-135m", 1, (PLAIN, CHAT), profile, (Task(),), free=True)
        record.save(directory)
    return checkpoint


def judged(model: Model, records: list[Record]) -> list[bool]:
    """Say of each record whether the model writes its answer."""
    longest = max((record.answer for record in records), key=len)
    asked = [Request.about(PLAIN, one.picture, [longest], one.question) for one in records]
    replies = model.generate(asked)
    return [
        PLAIN.read_reply(reply) == normal(one.answer)
        for one, reply in zip(records, replies, strict=True)
    ]


def main() -> None:
    """Judge the checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="what scripts/open_eyes.py made")
    parser.add_argument("--checkpoint", action="append", required=True, help="repeat for several")
    parser.add_argument("--kind", action="append", choices=KINDS, help="all unless given")
    parser.add_argument("--split", default="validation", help="of vitc it is always test")
    parser.add_argument("--records", type=int, default=100, help="records of each kind")
    parser.add_argument("--out", type=Path, default=Path("eyes.jsonl"), help="file of the figures")
    given = parser.parse_args()
    known = [json.loads(line) for line in given.out.open()] if given.out.exists() else []
    done = {(one["checkpoint"], one["kind"], one["split"], one["of"]) for one in known}
    for checkpoint in given.checkpoint:
        model: Model | None = None
        for kind in given.kind or KINDS:
            split = "test" if kind.startswith("vitc") else given.split
            records = chosen(given.data / kind, split, given.records)
            if (checkpoint, kind, split, len(records)) in done:
                continue
            model = model or Model.load(as_run(checkpoint, given.data))
            right = sum(judged(model, records))
            low, high = wilson_interval(right, len(records))
            line = {"checkpoint": checkpoint, "kind": kind, "split": split, "right": right}
            line |= {"of": len(records)}
            with given.out.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
            share = f"{100 * right / len(records):.1f} % ({100 * low:.1f}-{100 * high:.1f})"
            print(f"| {checkpoint} | {kind} | {share} of {len(records)} |", flush=True)


if __name__ == "__main__":
    main()
