"""Floors and ceilings of labelled pictures as text, as Markdown tables.

    python benchmarks/ceilings.py idx:DIR idx:DIR ...
    python benchmarks/ceilings.py --judge validation DATASET ...

A source's pictures are read in the published format, a dataset's records as they are in it. Each
needs a split to learn from and one to be judged on. Settings are chosen on training pictures; the
judged split is named once. Everything is measured anew. Processor time, unlike time by the clock,
stays about the same on a shared machine; to compare it, give numpy's libraries one thread and one
core.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import load_dataset
from glyphsight.dataset.storage import read_manifest
from glyphsight.evaluate.baselines import ALL, Grids, baselines
from glyphsight.sources import load_split, open_source
from glyphsight.sources.spec import is_spec


def grids(data: str, split: str) -> Grids:
    """A split as text, read back: a source's in the published format, a dataset's in its own."""
    if is_spec(data):
        pictures = load_split(open_source(data), split)
        return Grids.read(encode_batch(pictures.pixels), pictures.labels, where=split)
    manifest = read_manifest(Path(data)) if Path(data).is_dir() else {}
    if "profile" not in manifest:
        raise SystemExit(f"{data}: no SPEC, and no directory that glyphsight dataset build wrote")
    profile = Profile(**manifest["profile"])
    return Grids.of(load_dataset(data, split), profile, f"{data} {split}")


def main() -> None:
    """Print one table a source, each line as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", metavar="SPEC_OR_DATASET")
    parser.add_argument("--judge", default="test", help="split to be judged on")
    parser.add_argument("--names", default=",".join(ALL), help="which baselines, by comma")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for data in given.sources:
        train, test = grids(data, "train"), grids(data, given.judge)
        print(f"\n{data}: {len(test.cells):,} {given.judge} pictures\n", flush=True)
        print("| baseline | right | 95 % interval | trained on | processor seconds |")
        print("|---|---|---|---|---|", flush=True)
        for name in given.names.split(","):
            started = time.process_time()
            with tempfile.TemporaryDirectory() as empty:
                os.environ["GLYPHSIGHT_CACHE"] = empty
                [one] = baselines(train, test, seed=given.seed, names=[name])
            seconds = time.process_time() - started
            low, high = one.share.interval
            print(
                f"| {one.what} | {100 * one.share.accuracy:.2f} % "
                f"| {100 * low:.2f} to {100 * high:.2f} % | {one.trained_on:,} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
