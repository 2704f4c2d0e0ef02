"""Accuracy after minutes on a CPU with a hundred and with a thousand labelled pictures.

    pip install -e '.[train]'
    python benchmarks/few_shot.py --source fashion=idx:DIR --source icons=folder:DIR --out runs/few

`scripts/icons.py` makes the folder of icons. Training pictures are drawn, stratified, from a
source's training split, judged ones from its test split; there are no validation pictures. Six
ways to learn, each in a process of its own, one after the other:

- answers: as `glyphsight train --method answers`: the output rows of a nano, `--start`;
- sight: as `glyphsight train --from sight`: an adapter that knows handwritten digits learns more;
- base: a new adapter of the same rank on the plain base model, with the same settings;
- base-full: the plain base model, all its weights, with the settings that suit these;
- pixels: logistic regression on the gray pixels, 28x28, its C chosen by cross-validation on the
  training pictures;
- text-logreg: the project's baseline, logistic regression on the cells of the same texts.

All text is in the profile of the run of ``--start``. sight, base and base-full learn until
``--minutes`` are over, loading not counted in. Runs stay in ``--out`` without checkpoints. Finished
ways lie there too and are not run again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import os
import shutil
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import resize
from glyphsight.dataset import BuildSettings, Record, build_dataset, load_dataset
from glyphsight.evaluate.baselines import Grids, baselines
from glyphsight.evaluate.result import Share
from glyphsight.files import write_json
from glyphsight.models import RunRecord, smollm2
from glyphsight.models.runs import ModelSource, start_from
from glyphsight.settings import read_assignments
from glyphsight.sources import open_source, read_split
from glyphsight.train.settings import ResolvedSettings, TrainSettings, resolve_settings

WAYS = ("answers", "sight", "base", "base-full", "pixels", "text-logreg")
SIDE = 28
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
EPOCHS = 10_000.0
"""More than any time allowed is enough for, so that the clock ends the run."""


@dataclass(frozen=True)
class Case:
    """One line of the table, and all that decides it."""

    source: str
    spec: str
    pictures: int
    way: str
    seed: int
    judged: int
    minutes: float
    threads: int
    model: str
    start: str
    copies: int
    settings: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.source}-{self.pictures}-{self.seed}-{self.way}"


def trained_with(start: ModelSource) -> RunRecord:
    """The profile and the prompt of the run to start from, which all text ways take over."""
    assert start.run is not None  # start_from has seen it
    return start.run


def draw(case: Case, split: str, count: int, out: Path) -> Path:
    """A dataset of N pictures of a split, stratified."""
    data = out / "data" / f"{case.source}-{split}-{count}-{case.seed}"
    trained = trained_with(start_from(case.start))
    profile = trained.profile
    how: dict[str, Any] = {"split": split, "limit": count, "seed": case.seed, "validation": 0}
    how["wordings"] = trained.prompts
    how["copies"] = case.copies if split == "train" else 0
    settings = BuildSettings(profile=profile, keep_duplicates=True, **how)
    built = build_dataset(case.spec, data, settings, quiet=True)
    if split == "train" and (found := built.records[split] // (1 + case.copies)) < count:
        raise SystemExit(f"{case.spec}: has {found} training pictures; give smaller --sizes")
    return data


def settings_of(case: Case, origin: str, own: dict[str, Any]) -> ResolvedSettings:
    """Settings of a run that the clock ends."""
    if case.way == "answers":
        return resolve_settings(origin, own | {"seed": case.seed})
    given = own | {"minutes": case.minutes, "epochs": EPOCHS, "seed": case.seed}
    given |= {"evaluations": 1, "checkpoints": 1, "embedding_rate": 0.0} | read_assignments(
        TrainSettings, case.settings
    )
    return resolve_settings(origin, given)


def new_adapter(start: ModelSource) -> dict[str, Any]:
    """Settings of an adapter of the size of the run's; of the usual size where it has none."""
    if start.adapter is None:
        return {"method": "lora"}
    config = json.loads(start.adapter.read_text(encoding="utf-8"))
    return {"method": "lora", "lora_rank": config["r"], "lora_alpha": config["lora_alpha"]}


def by_teaching(case: Case, train_on: Path, judge_on: Path, out: Path) -> dict[str, Any]:
    """Teach a language model and judge it."""
    from glyphsight.evaluate import EvaluateSettings, evaluate
    from glyphsight.train.run import train

    start = start_from(case.start)
    model, origin, own = {
        "answers": (start.lasting_name, start.origin, {"method": "answers"}),
        "sight": (start.lasting_name, start.origin, {"method": "lora"} if start.adapter else {}),
        "base": (case.model, case.model, new_adapter(start)),
        "base-full": (case.model, case.model, {"method": "full"}),
    }[case.way]
    resolved = settings_of(case, origin, own)
    run = out / "runs" / case.name
    shutil.rmtree(run, ignore_errors=True)  # of a call that was stopped
    report = train(train_on, model, run, resolved)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    judged = evaluate(run, str(judge_on), EvaluateSettings(seed=case.seed, generate=0, zero_shot=0))
    texts = case.pictures * (1 + case.copies)
    passes = report.steps / math.ceil(texts / resolved.values.batch_size)
    return asdict(judged.score) | {"seconds": report.seconds, "passes": passes}


def pixels(spec: str, split: str, records: list[Record]) -> NDArray[np.float32]:
    """The gray pixels behind records of a source, float32[N, SIDE * SIDE], 0-1."""
    places = {record.source: place for place, record in enumerate(records)}
    found = np.full((len(records), SIDE * SIDE), np.nan, dtype=np.float32)
    for batch in read_split(open_source(spec), split):
        for picture, name in zip(batch.pixels, batch.ids, strict=True):
            if (place := places.get(f"{spec} {name}")) is not None:
                small = resize(picture[None], SIDE, SIDE)
                found[place] = small.reshape(-1) / np.float32(255)
    return found


def by_pixels(case: Case, train_on: Path, judge_on: Path) -> dict[str, Any]:
    """Logistic regression on pixels, its penalty chosen on the training pictures."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    known, asked = load_dataset(train_on, "train"), load_dataset(judge_on, "test")
    inputs, questions = pixels(case.spec, "train", known), pixels(case.spec, "test", asked)
    labels = [record.answer for record in known]
    folds = max(2, min(5, *Counter(labels).values()))
    parts = StratifiedKFold(folds, shuffle=True, random_state=case.seed)
    search = GridSearchCV(LogisticRegression(max_iter=1000), {"C": STRENGTHS}, cv=parts)
    started = time.monotonic()
    with warnings.catch_warnings():  # of an answer with a single picture, of a fit nearly there
        warnings.simplefilter("ignore")
        search.fit(inputs, labels)
    seconds = time.monotonic() - started
    said = search.predict(questions)
    right = sum(a == record.answer for a, record in zip(said, asked, strict=True))
    what = f"C {search.best_params_['C']:g}"
    return asdict(Share.of(right, len(asked))) | {"seconds": seconds, "what": what}


def by_cells(case: Case, train_on: Path, judge_on: Path) -> dict[str, Any]:
    """The project's logistic regression on the cells of the texts."""
    profile = trained_with(start_from(case.start)).profile

    def grids(data: Path, split: str) -> Grids:
        records = load_dataset(data, split)
        texts, labels = [one.picture for one in records], [one.answer for one in records]
        return Grids.read(texts, labels, profile, str(data))

    known, asked = grids(train_on, "train"), grids(judge_on, "test")
    [found] = baselines(known, asked, seed=case.seed, names=["logistic"], quiet=True)
    return asdict(found.share) | {"seconds": found.seconds, "what": found.what}


def work(case: Case, out: Path, file: Path) -> None:
    """One case, start to end; to be called in a process of its own."""
    train_on = draw(case, "train", case.pictures, out)
    judge_on = draw(case, "test", case.judged, out)
    if case.way == "pixels":
        found = by_pixels(case, train_on, judge_on)
    elif case.way == "text-logreg":
        found = by_cells(case, train_on, judge_on)
    else:
        found = by_teaching(case, train_on, judge_on, out)
    write_json(file, {"case": asdict(case)} | found)


def measured(case: Case, out: Path) -> dict[str, Any]:
    """The outcome of a case, from before or from now."""
    file = out / "results" / f"{case.name}.json"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        process = multiprocessing.get_context("spawn").Process(target=work, args=(case, out, file))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{case.name}: failed; fix it and run the same again")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if found["case"] != json.loads(json.dumps(asdict(case))):
        raise SystemExit(f"{file}: is of other options; remove it, or give another --out")
    return found


def row(found: dict[str, Any]) -> str:
    """A line of the table."""
    case, (low, high) = found["case"], found["interval"]
    way = f"from {case['start']}" if case["way"] == "sight" else case["way"]
    way += f" of {case['start']}" if way == "answers" else ""
    passes = f"{found['passes']:.1f}" if "passes" in found else "-"
    return (
        f"| {case['source']} | {case['pictures']:,} | {way} | {case['seed']} "
        f"| {100 * found['accuracy']:.1f} % ({100 * low:.1f}-{100 * high:.1f}) "
        f"| {passes} | {found['seconds']:.0f} |"
    )


def main() -> None:
    """Run what has not been run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", action="append", required=True, metavar="NAME=SPEC")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--minutes", type=float, default=5, help="of each language model")
    parser.add_argument("--judged", type=int, default=1000, help="test pictures at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS[1:]))
    parser.add_argument("--model", default=smollm2.NAME, help="the plain base model")
    parser.add_argument("--start", default="sight", help="run that the way sight starts from")
    parser.add_argument("--copies", type=int, default=0, help="changed ones per training picture")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    given = parser.parse_args()
    if given.copies and "pixels" in given.ways:
        parser.error("--copies: the way pixels reads unchanged pictures; leave it out of --ways")
    os.environ["GLYPHSIGHT_DEVICE"] = "cpu"
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(given.threads)  # read when a process starts
    every = []
    asked = itertools.product(given.source, given.sizes, given.seeds, given.ways)
    for source, size, seed, way in asked:
        name, equals, spec = source.partition("=")
        if not (name and equals and spec):
            parser.error(f"--source {source}: give NAME=SPEC, such as fashion=idx:DIR")
        same = (given.judged, given.minutes, given.threads, given.model, given.start, given.copies)
        case = Case(name, spec, size, way, seed, *same, tuple(given.set))
        every.append(measured(case, given.out))
    if given.json:
        print(json.dumps(every, indent=2))
        return
    print("| source | pictures | way | seed | right (95 % interval) | passes | seconds |")
    print("|---|---|---|---|---|---|---|")
    for found in every:
        print(row(found))


if __name__ == "__main__":
    main()
