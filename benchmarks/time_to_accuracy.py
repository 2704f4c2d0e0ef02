"""Minutes until a language model reads digits, by `glyphsight train` and by TRL's SFTTrainer.

    pip install -e '.[train,dev]'
    python benchmarks/time_to_accuracy.py --mnist DIR --out runs/time-to-accuracy

Same base, same digits of MNIST's training file, same 500 of them held out; MNIST's test file is not
read. Each way in a process of its own with all cores, one after the other:

- small: `glyphsight train` with its own settings and `--set minutes=10`, on 12x7 cells without row
  tags, each digit cropped to its ink, the middle level a glyph of one token;
- plain: the same on 20x11 cells of the whole picture, the format's own glyphs;
- published: the same in the published format, 20x11 cells with row tags;
- trl: `trl.SFTTrainer` with the defaults of `SFTConfig`, the published format as prompts and
  completions; stopped after `--trl-minutes`.

One instrument for all: the same callback takes the accuracy after every N steps of 8 records
and keeps the clock, in which its own time is counted. Finished ways lie in ``--out`` and are not
run again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from glyphsight.codec import Profile
from glyphsight.dataset import BuildSettings, Prompt, build_dataset, load_dataset
from glyphsight.errors import GlyphsightError
from glyphsight.files import write_json
from glyphsight.models.runs import HISTORY_FILE, read_history

WAYS = {
    "small": Profile(width=12, height=7, palette=" ·█", format="plain", crop=0.0),
    "plain": Profile(format="plain"),
    "published": Profile(),
    "trl": Profile(),
}
"""Way to text."""
BATCH = 8
_DONE = "done.json"


def ours(data: Path, out: Path, given: argparse.Namespace) -> None:
    """Train as a user would."""
    from glyphsight.train.run import train
    from glyphsight.train.settings import resolve_settings

    records = len(load_dataset(data, "train"))
    settings = {
        "minutes": given.minutes,
        "batch_size": BATCH,
        "evaluations": max(1, records // BATCH // given.every),
        "validation_records": given.validation,
    }
    train(data, given.model, out, resolve_settings(given.model, settings))


def trl(data: Path, out: Path, given: argparse.Namespace) -> None:
    """Train with SFTTrainer as its documentation shows it."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from glyphsight.inference import Model, Request
    from glyphsight.models import load_model
    from glyphsight.train.progress import Progress
    from glyphsight.train.settings import TrainSettings

    loaded, prompt = load_model(given.model, training=True), Prompt()
    pairs = [prompt.pair(record) for record in load_dataset(data, "train")]
    held = load_dataset(data, "validation")[: given.validation]
    labels = sorted({record.answer for record in held})
    asked = [Request.about(prompt, record.picture, labels) for record in held]

    def judge(_: float) -> dict[str, float]:
        loaded.model.eval()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            said = Model(loaded).best(asked)
        loaded.model.train()
        right = sum(labels[a] == r.answer for a, r in zip(said, held, strict=True))
        return {"validation_accuracy": right / len(held), "validation_records": len(held)}

    out.mkdir(parents=True)
    progress = Progress(
        out / HISTORY_FILE,
        TrainSettings(minutes=given.trl_minutes),
        records_seen=lambda step: step * BATCH,
        validate=judge,
    )
    config = SFTConfig(
        output_dir=str(out / "trl"),
        per_device_train_batch_size=BATCH,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    rows = [{"prompt": asked, "completion": said} for asked, said in pairs]
    SFTTrainer(
        model=loaded.model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=loaded.tokenizer,
        callbacks=[progress],
    ).train()


def run(way: str, given: argparse.Namespace) -> None:
    """One way, start to end; to be called in a process of its own."""
    profile = WAYS[way]
    data = given.out / f"data-{profile.format}-{profile.width}"
    build_dataset(
        f"idx:{given.mnist}",
        data,
        BuildSettings(
            profile=profile,
            validation=2000,
            limit=given.limit,
            keep_duplicates=True,  # many are alike on few cells: all ways read the same
        ),
    )
    (trl if way == "trl" else ours)(data, given.out / way, given)
    write_json(given.out / way / _DONE, measured_with(way, given))


def measured_with(way: str, given: argparse.Namespace) -> dict[str, Any]:
    """What a way's figures depend on."""
    names = ("model", "limit", "every", "validation", "trl_minutes" if way == "trl" else "minutes")
    values = {name: getattr(given, name) for name in names}
    return values | {"mnist": str(given.mnist.resolve()), "profile": asdict(WAYS[way])}


def is_measured(way: str, given: argparse.Namespace) -> bool:
    """Whether a way has been run.

    Raises:
        GlyphsightError: It has, with other settings.
    """
    try:
        kept = json.loads((given.out / way / _DONE).read_text("utf-8"))
    except FileNotFoundError:
        return False
    if kept != measured_with(way, given):
        raise GlyphsightError(
            f"{given.out / way}: was measured with other settings ({json.dumps(kept)}); give "
            "those, remove it, or give another --out"
        )
    return True


def row(way: str, history: list[dict[str, Any]], goal: float, reference: float | None) -> str:
    """A line of the table.

    Args:
        way: Its name.
        history: Its lines.
        goal: Accuracy to reach, 0-1.
        reference: Seconds that TRL took or was given; None where it has not been run.
    """
    points = [line for line in history if "validation_accuracy" in line]
    reached = seconds_to(points, goal)
    last = points[-1]
    minutes = f"{reached / 60:.1f}" if reached else f"not in {last['seconds'] / 60:.1f}"
    ratio = f"{reference / reached:.1f}" if reference and reached else "-"
    share = f"{100 * last['validation_accuracy']:.1f} %"
    rate = f"{last['records'] / last['seconds']:.1f}"
    return f"| {way} | {minutes} | {ratio} | {share} | {last['records']:,} | {rate} |"


def seconds_to(points: list[dict[str, Any]], goal: float) -> float | None:
    """Seconds until an accuracy of ``goal`` was first measured, None where it never was."""
    times = [line["seconds"] for line in points if line["validation_accuracy"] >= goal]
    return float(min(times)) if times else None


def main() -> None:
    """Run what has not been run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mnist", type=Path, required=True, help="directory of MNIST's files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--goal", type=float, default=0.9)
    parser.add_argument("--minutes", type=float, default=10, help="of each of ours")
    parser.add_argument("--trl-minutes", type=float, default=50)
    parser.add_argument("--every", type=int, default=200, help="steps between two measurements")
    parser.add_argument("--validation", type=int, default=500)
    parser.add_argument("--limit", type=int, help="digits of each split, for a quick look")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    try:
        missing = [way for way in given.ways if not is_measured(way, given)]
    except GlyphsightError as error:
        parser.exit(1, f"{error}\n")
    for way in missing:
        process = spawn.Process(target=partial(run, way, given))
        process.start()
        process.join()
        if process.exitcode:
            parser.exit(1, f"{way}: failed; remove {given.out / way} and run the same again\n")
    histories = {way: read_history(given.out / way / HISTORY_FILE) for way in given.ways}
    reference = None
    if "trl" in histories:
        points = [line for line in histories["trl"] if "validation_accuracy" in line]
        reference = seconds_to(points, given.goal) or points[-1]["seconds"]
    reached = f"minutes to {100 * given.goal:.0f} %"
    print(f"| way | {reached} | TRL's time over this | at the end | digits seen | digits/s |")
    print("|---|---|---|---|---|---|")
    for way, history in histories.items():
        print(row(way, history, given.goal, reference))


if __name__ == "__main__":
    main()
