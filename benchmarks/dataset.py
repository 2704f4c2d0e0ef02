# ruff: noqa: E402 - numpy reads how many threads to take when it is first imported
"""Pictures a second and peak memory of ``dataset build``, against ``datasets.map``; many pictures.

    pip install -e '.[data]'
    python benchmarks/dataset.py --mnist DIR                    # 60,000 pictures, 1 and 2 workers
    python benchmarks/dataset.py --mnist DIR --many 1000000     # memory over time

DIR holds MNIST's IDX files. ``datasets.map`` runs the plain Pillow loop of ``benchmarks/codec.py``
over the same pictures, as PNG in Parquet; the texts are compared byte by byte. Seconds are those of
a whole process, its start included; memory is the sum of the proportional set sizes of all its
processes.
"""

from __future__ import annotations

import os

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from codec import by_loop
from glyphsight.codec import Profile
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.parallel import Workers
from glyphsight.sources import load_split, open_source

MNIST = 60_000  # training pictures
ROW_GROUP = 4096
FILE = 50_000  # pictures a Parquet file
PROMPT = "Response:"  # behind the picture


def convert(row: dict[str, Any]) -> dict[str, str]:
    """What one would write by hand."""
    [text] = by_loop([row["image"]], Profile())
    return {"prompt": text + PROMPT, "completion": f" {row['label']}"}


def by_datasets_map(pictures: str, out: Path, layout: str, workers: int) -> None:
    """Load, map and save with the library that people use."""
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset(
            "parquet", data_files=f"{pictures}/train-*.parquet", split="train", cache_dir=cache
        ).cast_column("image", datasets.Image())
        processes = None if workers == 1 else workers
        done = loaded.map(convert, remove_columns=["image", "label"], num_proc=processes)
        if layout == "parquet":
            done.to_parquet(out / "train.parquet")
        else:
            done.to_json(out / "train.jsonl", force_ascii=False, num_proc=processes)


def by_glyphsight(spec: str, out: Path, layout: str, workers: int, likeness: bool) -> None:
    """The same with the builder."""
    build_dataset(
        spec,
        out,
        BuildSettings(output=layout, validation=0, split="train", keep_duplicates=not likeness),
        workers=Workers(workers=workers),
        quiet=True,
    )


def write_pictures(mnist: str, folder: Path, count: int) -> None:
    """MNIST's training pictures, over and over, as PNG in Parquet files, as the hub has them."""
    import pyarrow
    import pyarrow.parquet

    found = load_split(open_source(f"idx:{mnist}"), "train")
    coded = []
    for pixels in found.pixels[:count]:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        coded.append({"bytes": stream.getvalue(), "path": None})
    labels = [int(label) for label in found.labels]
    files = -(-count // FILE)
    for number in range(files):
        rows = [row % len(coded) for row in range(number * FILE, min(count, (number + 1) * FILE))]
        table = pyarrow.table(
            {"image": [coded[row] for row in rows], "label": [labels[row] for row in rows]}
        )
        name = f"train-{number:05d}-of-{files:05d}.parquet"
        pyarrow.parquet.write_table(table, folder / name, row_group_size=ROW_GROUP)


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from tree(int(child))


def memory(pid: int) -> float:
    """MiB that a process and all below it hold, shared pages divided among their users."""
    total = 0
    try:
        for each in tree(pid):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, ValueError):  # one has just ended
        pass
    return total / 1024


def watch(arguments: list[str], every: float, report: float = 0.0) -> tuple[float, float]:
    """Run this file with ``arguments``; seconds and peak MiB. Prints the memory as it goes."""
    start = time.perf_counter()
    run = subprocess.Popen([sys.executable, __file__, *arguments])
    peak, said = 0.0, 0.0
    while run.poll() is None:
        now, held = time.perf_counter() - start, memory(run.pid)
        peak = max(peak, held)
        if report and now - said >= report:
            print(f"| {now:6.0f} s | {held:6.0f} MiB |", flush=True)
            said = now
        time.sleep(every)
    if run.returncode:
        sys.exit(f"{' '.join(arguments)}: exit status {run.returncode}")
    return time.perf_counter() - start, peak


def texts(out: Path, layout: str) -> list[tuple[str, str]]:
    """Prompt and completion of every record that was written."""
    if layout == "jsonl":
        lines = (out / "train.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    else:
        import pyarrow.parquet

        files = sorted(out.rglob("*.parquet"))
        columns = ["prompt", "completion"]
        tables = [pyarrow.parquet.read_table(file, columns=columns) for file in files]
        rows = [row for table in tables for row in table.to_pylist()]
    return [(row["prompt"], row["completion"]) for row in rows]


def compare(mnist: str, count: int, workers: list[int], repeats: int, folder: Path) -> None:
    """The table of rates."""
    pictures = folder / "pictures"
    pictures.mkdir()
    write_pictures(mnist, pictures, count)
    ways = {
        "glyphsight, Parquet of PNG": ("glyphsight", f"parquet:{pictures}/*.parquet"),
        "the same, look-alikes looked for": ("likeness", f"parquet:{pictures}/*.parquet"),
        **({"glyphsight, IDX": ("glyphsight", f"idx:{mnist}")} if count == MNIST else {}),
        "datasets.map, Parquet of PNG": ("map", str(pictures)),
    }
    print("| way | layout | workers | pictures/s | peak MiB |\n|---|---|---|---|---|")
    for layout in ("jsonl", "parquet"):
        for number in workers:
            seen = []
            for name, (way, place) in ways.items():
                measured = []
                for _ in range(repeats):
                    out = Path(tempfile.mkdtemp(dir=folder))
                    words = ["--one", way, place, str(out), layout, str(number)]
                    measured.append(watch(words, 0.25))
                seconds = statistics.median(took for took, _ in measured)
                peak = max(held for _, held in measured)
                rate = count / seconds
                print(f"| {name} | {layout} | {number} | {rate:,.0f} | {peak:,.0f} |", flush=True)
                seen.append(texts(out, layout))
            assert all(one == seen[0] for one in seen), "the texts differ"
    print(f"All {count:,} texts are the same in every way of a layout.")


def many(mnist: str, count: int, workers: int, folder: Path) -> None:
    """Memory over time while many pictures are built."""
    pictures = folder / "pictures"
    pictures.mkdir()
    write_pictures(mnist, pictures, count)
    print(f"{count:,} pictures, {workers} workers\n\n| after | memory |\n|---|---|")
    words = ["--one", "likeness", f"parquet:{pictures}/*.parquet", str(folder / "out"), "parquet"]
    seconds, peak = watch([*words, str(workers)], 0.5, report=10.0)
    print(f"\n{count / seconds:,.0f} pictures/s, {peak:,.0f} MiB at most")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", help="directory with MNIST's IDX files")
    parser.add_argument("--pictures", type=int, default=MNIST)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--many", type=int, help="instead: memory over N pictures")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        way, place, out, layout, number = given.one
        if way == "map":
            by_datasets_map(place, Path(out), layout, int(number))
        else:
            by_glyphsight(place, Path(out), layout, int(number), way == "likeness")
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.many:
            many(given.mnist, given.many, max(given.workers), Path(folder))
        else:
            compare(given.mnist, given.pictures, given.workers, given.repeats, Path(folder))


if __name__ == "__main__":
    main()
