"""Sweeps: encodings compared, accuracy against the tokens that each way of writing costs.

A plan is a YAML file of encodings, sizes, amounts of data and seeds. Each run of it builds a
dataset, trains a model on it and measures it; the findings are a table and a plot.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.codec.formats import get_format
from glyphsight.console import progress_bar
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.errors import FormatError, GlyphsightError, ModelError
from glyphsight.evaluate.evaluation import evaluate
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.files import alone, cached, claim, replacing, write_json
from glyphsight.models import nano, smollm2
from glyphsight.models.load import model_tokenizer
from glyphsight.models.tokens import count_tokens, largest_grid, load_tokenizer
from glyphsight.pages import INK, axes, svg
from glyphsight.sampling import stratified_sample
from glyphsight.settings import check, setting, settings_of
from glyphsight.sources import load_split, open_source
from glyphsight.train.recipe import read_mapping, refuse_unknown
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings
from glyphsight.version import __version__

RESULTS = "results.jsonl"
TABLE = "table.md"
PLOT = "pareto.svg"
_SETTINGS = EvaluateSettings(split="validation", generate=0, zero_shot=0)
_COUNTED = 512  # training pictures whose texts are counted to choose a grid
_MARKS = "osD^v<>PXph*"


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: Name of the encoding, in tables and plots.
        profile: Settings of the encoding; the width is chosen later.
        tokens: Largest mean number of tokens per text; None where the width is given.
        width: Columns of glyphs; None where tokens decide.
        records: Number of training records, each seen once.
        seed: Random seed for initial weights and record order.
    """

    name: str
    profile: Profile
    tokens: int | None
    width: int | None
    records: int
    seed: int

    @property
    def size(self) -> str:
        """Budget or width, as in file names."""
        return f"{self.tokens}tokens" if self.width is None else f"{self.width}columns"

    @property
    def key(self) -> str:
        """Name of the cell's directory; no other cell of the plan has it."""
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in self.name)
        return f"{safe}-{self.size}-{self.records}-seed{self.seed}"


@dataclass(frozen=True)
class SweepPlan:
    """A sweep: every encoding at every size, with every amount of data and every seed.

    Attributes:
        encodings: Name and profile of each way to write pictures; the width is chosen later.
        tokens: Budgets: the widest grid is taken whose texts cost at most this many tokens on
            average, never finer than the picture's own pixels.
        widths: Columns of glyphs, in place of budgets.
        records: Numbers of training records, each seen once. The largest number is the same records
            for every seed; smaller ones are drawn from it with each seed.
        seeds: Random seeds for initial weights and record order.
        model: ``nano``, made again for each seed, or any model that ``train`` takes.
        tokenizer: Name of the model whose tokens are counted. A ``nano`` reads them too, so that
            formats are compared as a language model of the field gets them.
        validation: Number of records held out of the training split, the same for every run.
        train: Training settings by name.
    """

    encodings: Sequence[tuple[str, Profile]]
    tokens: Sequence[int]
    widths: Sequence[int]
    records: Sequence[int]
    seeds: Sequence[int]
    model: str = nano.NAME
    tokenizer: str = smollm2.NAME
    validation: int = setting(2000, low=1)
    train: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self, ModelError)

    def cells(self) -> list[Cell]:
        """List every run, seeds last, so that an unfinished sweep has each encoding once."""
        sizes: list[tuple[int | None, int | None]] = [(t, None) for t in self.tokens]
        sizes += [(None, w) for w in self.widths]
        return [
            Cell(name, profile, tokens, width, records, seed)
            for seed, records, (tokens, width), (name, profile) in itertools.product(
                self.seeds, self.records, sizes, self.encodings
            )
        ]


def read_plan(path: Path) -> SweepPlan:
    """Read a plan.

    ``encodings`` holds names of formats, or mappings of a ``format``, a ``name`` for the tables and
    any setting of :class:`glyphsight.codec.Profile` except the size. With ``palettes``, an encoding
    without its own palette is run in each of them.

    Raises:
        ModelError: The file cannot be read, or a key or a value is not a plan's.
        FormatError: A format is unknown, or cannot carry a palette.
    """
    value = read_mapping(path)
    refuse_unknown(path, "a plan", set(value), {*settings_of(SweepPlan), "palettes"})
    tokens, widths = _numbers(path, value, "tokens"), _numbers(path, value, "widths")
    if bool(tokens) == bool(widths):
        raise ModelError(f"{path}: give tokens or widths, such as 'tokens: [32, 64, 128]'")
    train = value.get("train") or {}
    if not isinstance(train, dict):
        raise ModelError(f"{path}: train holds settings by name, not {train!r}")
    if decided := {"seed", "max_steps", "epochs"} & set(train):
        raise ModelError(f"{path}: train: {min(decided)} is decided by records and seeds")
    plain = {key: value[key] for key in ("model", "tokenizer", "validation") if key in value}
    encodings = _encodings(path, value)
    records = _numbers(path, value, "records") or [8192]
    seeds = _numbers(path, value, "seeds", least=0) or [0]
    try:
        plan = SweepPlan(encodings, tokens, widths, records, seeds, train=train, **plain)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    keys = [cell.key for cell in plan.cells()]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ModelError(f"{path}: {twice[0]} comes twice; give each encoding a name of its own")
    return plan


def _numbers(path: Path, value: dict[str, Any], key: str, least: int = 1) -> list[int]:
    found = value.get(key) or []
    found = found if isinstance(found, list) else [found]
    if wrong := [n for n in found if type(n) is not int or n < least]:
        raise ModelError(f"{path}: {key} holds whole numbers from {least}, not {wrong[0]!r}")
    return list(found)


def _encodings(path: Path, value: dict[str, Any]) -> list[tuple[str, Profile]]:
    palettes = value.get("palettes") or [None]
    wanted = value.get("encodings")
    if not isinstance(wanted, list) or not wanted or not isinstance(palettes, list):
        raise ModelError(f"{path}: encodings (and palettes) are lists, such as [seed, plain]")
    found = []
    for entry in wanted:
        settings = {"format": entry} if isinstance(entry, str) else entry
        if not isinstance(settings, dict) or not isinstance(settings.get("format"), str):
            raise ModelError(
                f"{path}: an encoding names its format, such as 'plain', not {entry!r}"
            )
        settings = dict(settings)
        name = str(settings.pop("name", settings["format"]))
        if size := {"width", "height"} & set(settings):
            raise ModelError(f"{path}: {name}: {min(size)} is chosen by tokens or widths")
        own = [settings.pop("palette")] if "palette" in settings else palettes
        for palette in own:
            label = name if palette is None or len(own) == 1 else f"{name} {palette}"
            found.append((label, _profile(path, label, settings, palette)))
    return found


def _profile(path: Path, name: str, settings: dict[str, Any], palette: str | None) -> Profile:
    try:
        profile = Profile(**settings)
        if palette is not None:
            profile = replace(profile, palette=palette)
        form = get_format(profile.format)
    except (TypeError, GlyphsightError) as error:
        raise FormatError(f"{path}: {name}: {error}") from None
    if profile.levels <= form.max_levels:
        return profile
    if palette is None:  # the published palette has more levels than the format: keep its ends
        return replace(profile, palette=PUBLISHED.palette[0] + PUBLISHED.palette[-1])
    raise FormatError(
        f"{path}: {name}: carries {form.max_levels} levels, palette {palette!r} has "
        f"{profile.levels}; give this encoding a palette of its own"
    )


def run_sweep(
    plan: SweepPlan, spec: str, out: Path, *, quiet: bool = False
) -> list[dict[str, Any]]:
    """Run every cell that has no result yet, and write ``results.jsonl``.

    Killed at any moment, the sweep resumes with the same call; an unfinished cell starts again.
    Several processes with the same arguments share the cells.

    Args:
        plan: Encodings, sizes, amounts of data and seeds.
        spec: Source of labelled pictures. Only its training split is read; a part of it is held
            out to judge by.
        out: Directory of the sweep.
        quiet: Show no progress bar.

    Returns:
        Results in the plan's order; fewer than cells while another process works on the rest.

    Raises:
        ModelError: The directory holds another sweep, or a cell cannot be run.
    """
    cells = plan.cells()
    _write_results(plan, spec, out)  # fails early where the directory holds another sweep
    with progress_bar(total=len(cells), desc="sweep", unit="run", disable=quiet) as bar:
        for cell in cells:
            directory = out / "cells" / cell.key
            directory.mkdir(parents=True, exist_ok=True)
            with (directory / ".lock").open("w") as lock:
                if claim(lock) and read_result(out, cell, plan, spec) is None:
                    bar.set_postfix_str(cell.key, refresh=False)
                    result = _settings(cell, plan, spec) | _measure(cell, plan, spec, out)
                    write_json(directory / "result.json", result)
                    said = result.get("left_out") or f"{100 * result['accuracy']:.2f} %"
                    if not quiet:
                        bar.write(f"{cell.key}: {said}", file=sys.stderr)
                    _write_results(plan, spec, out)
            bar.update(1)
    return _write_results(plan, spec, out)


def _write_results(plan: SweepPlan, spec: str, out: Path) -> list[dict[str, Any]]:
    read = (read_result(out, cell, plan, spec) for cell in plan.cells())
    found = [result for result in read if result is not None]
    with replacing(out / RESULTS) as stream:
        stream.writelines(json.dumps(result, ensure_ascii=False) + "\n" for result in found)
    return found


def read_result(out: Path, cell: Cell, plan: SweepPlan, spec: str) -> dict[str, Any] | None:
    """Read the result of a cell; None where there is none yet.

    Raises:
        ModelError: The file is damaged, or was made with other settings.
    """
    path = out / "cells" / cell.key / "result.json"
    settings: dict[str, Any] = json.loads(json.dumps(_settings(cell, plan, spec)))
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before = {name: result[name] for name in settings}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: damaged ({error!r}); remove it and run the sweep again"
        ) from error
    for name, value in settings.items():
        if name != "glyphsight" and before[name] != value:
            raise ModelError(
                f"{path}: was made with {name} {before[name]!r}, not {value!r}; give the encoding "
                "another name, or the sweep another --out"
            )
    return result


def _settings(cell: Cell, plan: SweepPlan, spec: str) -> dict[str, Any]:
    """Gather all that a result depends on."""
    return {
        "encoding": cell.name,
        "budget": cell.tokens,
        "width": cell.width,
        "records": cell.records,
        "seed": cell.seed,
        "source": spec,
        "validation": plan.validation,
        "model": plan.model,
        "tokenizer": plan.tokenizer,
        "train": dict(sorted(plan.train.items())),
        "encoding_profile": asdict(cell.profile),
        "glyphsight": __version__,
    }


def _measure(cell: Cell, plan: SweepPlan, spec: str, out: Path) -> dict[str, Any]:
    """Train and measure one cell.

    Returns:
        The grid, tokens per text (mean, least, most), accuracy with its interval, mean negative
        log-likelihood of the right label in nats, seconds; or the reason why it is ``left_out``.
    """
    started = time.monotonic()
    tokenizer = load_tokenizer(plan.tokenizer)
    profile = cell.profile
    try:
        if cell.width is not None:
            profile = replace(profile, width=cell.width)
        elif cell.tokens is not None:
            pictures = _pictures(spec)  # a grid finer than their pixels would say nothing more
            finest = max(1, pictures.shape[2] // get_format(profile.format).cell[1])
            profile = largest_grid(pictures, profile, cell.tokens, [tokenizer], finest)
    except ModelError as error:  # a budget that does not pay for one column
        return {"left_out": str(error)}
    data = _dataset(cell, plan, profile, spec, out)
    run = out / "cells" / cell.key / "run"
    shutil.rmtree(run, ignore_errors=True)  # of a cell that was killed
    steps = math.ceil(cell.records / resolve_settings(plan.model, plan.train).values.batch_size)
    once = {"evaluations": 1, "validation_records": 1, "checkpoints": 1}
    settings = resolve_settings(
        plan.model, plan.train | once | {"seed": cell.seed, "max_steps": steps}
    )
    report = train(data, _base(cell, plan, out), run, settings, quiet=True)
    judged = evaluate(run, str(data), _SETTINGS, quiet=True)
    samples = list(judged.samples)
    tokens = count_tokens([sample.ascii_image for sample in samples], tokenizer)
    likelihood = [sample.probabilities[sample.truth] for sample in samples]
    text = encode_batch(_pictures(spec)[:1], profile)[0]
    rows, columns = get_format(profile.format).read(text, profile.palette).shape
    shutil.rmtree(run)
    return {
        "profile": asdict(profile),
        "columns": columns,
        "rows": rows,
        "levels": profile.levels,
        "tokens": round(float(np.mean(tokens)), 2),
        "tokens_least": min(tokens),
        "tokens_most": max(tokens),
        "accuracy": judged.score.accuracy,
        "n": judged.score.n,
        "interval": list(judged.score.interval),
        "nats": round(-sum(math.log(max(p, 1e-12)) for p in likelihood) / len(likelihood), 4),
        "training_seconds": report.seconds,
        "seconds": round(time.monotonic() - started, 1),
    }


@lru_cache(maxsize=1)
def _pictures(spec: str) -> NDArray[np.uint8]:
    """Load training pictures of a source, some of each label, uint8[N, H, W]."""
    pictures = load_split(open_source(spec), "train")
    return pictures.take(stratified_sample(pictures.labels, _COUNTED, seed=0)).pixels


def _dataset(cell: Cell, plan: SweepPlan, profile: Profile, spec: str, out: Path) -> Path:
    """Build the cell's dataset, which cells of other seeds share.

    Raises:
        ModelError: The source holds fewer training pictures than the cell needs.
    """
    limit = max(cell.records, plan.validation)
    data = out / "data" / f"{cell.key.partition(cell.size)[0]}{cell.size}-{limit}"
    # Pictures that look alike stay: on a grid of 5x2 cells nearly all do, and every cell is to
    # learn from the same pictures and be judged by the same.
    settings = BuildSettings(
        profile=profile, limit=limit, validation=plan.validation, keep_duplicates=True
    )
    with alone(data):
        built = build_dataset(spec, data, settings, quiet=True)
    if (held := built.records["train"]) < cell.records:
        raise ModelError(
            f"{spec}: holds {held} training pictures, not {cell.records}; lower records"
        )
    return data


def _base(cell: Cell, plan: SweepPlan, out: Path) -> str:
    """Give the model to train: a fresh nano that reads the plan's tokens, or the plan's own."""
    if plan.model != nano.NAME or plan.tokenizer == nano.NAME:
        return plan.model

    def make(directory: Path) -> None:
        model, tokenizer = nano.make_nano(cell.seed, model_tokenizer(plan.tokenizer))
        tokenizer.save_pretrained(directory)
        model.save_pretrained(directory)

    return str(cached(out / "base" / f"nano-seed{cell.seed}", make))


@dataclass(frozen=True)
class Finding:
    """Result of one encoding at one size with one amount of data, over its seeds.

    Attributes:
        encoding: Name of the encoding.
        size: Budget in tokens, or columns.
        rows: Rows of the level grid.
        columns: Columns of the level grid.
        records: Number of training records.
        tokens: Mean tokens per text.
        accuracies: Accuracy of each seed, 0-1.
        nats: Mean negative log-likelihood of the right label, over the seeds.
        n: Number of records behind each accuracy.
        on_front: Whether nothing as cheap or cheaper is more accurate, at equal records.
    """

    encoding: str
    size: str
    rows: int
    columns: int
    records: int
    tokens: float
    accuracies: list[float]
    nats: float
    n: int
    on_front: bool = False

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the seeds, 0-1."""
        return fmean(self.accuracies)


def summarize(results: Sequence[dict[str, Any]]) -> list[Finding]:
    """Average results over their seeds, in the order of records, then tokens."""
    groups: defaultdict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        if "left_out" in result:
            continue
        size = result["budget"] or f"{result['profile']['width']} columns"
        groups[result["encoding"], str(size), result["records"]].append(result)
    findings = [
        Finding(
            encoding=encoding,
            size=size,
            rows=group[0]["rows"],
            columns=group[0]["columns"],
            records=records,
            tokens=group[0]["tokens"],
            accuracies=[result["accuracy"] for result in group],
            nats=fmean(result["nats"] for result in group),
            n=group[0]["n"],
        )
        for (encoding, size, records), group in groups.items()
    ]
    findings.sort(key=lambda f: (f.records, f.tokens, f.encoding))
    return [replace(f, on_front=not any(_better(other, f) for other in findings)) for f in findings]


def _better(one: Finding, other: Finding) -> bool:
    """Say whether ``one`` is at least as cheap and accurate, and better in one of the two."""
    if one.records != other.records:
        return False
    as_good = one.tokens <= other.tokens and one.accuracy >= other.accuracy
    return as_good and (one.tokens, one.accuracy) != (other.tokens, other.accuracy)


def table(findings: Sequence[Finding]) -> str:
    """Write a Markdown table, cheapest first; * marks what nothing as cheap or cheaper beats."""
    lines = [
        "| encoding | budget | grid | tokens | records | accuracy | over the seeds | nats |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for f in findings:
        low, high = 100 * min(f.accuracies), 100 * max(f.accuracies)
        seeds = len(f.accuracies)
        spread = f"{low:.2f}-{high:.2f} (n = {seeds})" if seeds > 1 else "one seed"
        lines.append(
            f"| {f.encoding}{' *' if f.on_front else ''} | {f.size} | {f.columns}x{f.rows} "
            f"| {f.tokens:.1f} | {f.records:,} | {100 * f.accuracy:.2f} % "
            f"| {spread} | {f.nats:.3f} |"
        )
    return "\n".join(lines) + "\n\n\\* nothing as cheap or cheaper is more accurate.\n"


def pareto_svg(findings: Sequence[Finding]) -> str:
    """Plot accuracy against tokens: a line per encoding and amount of data, and the front."""
    from matplotlib import colormaps

    figure, drawn = axes(8.6, 5.2)
    amounts = sorted({f.records for f in findings})
    names = sorted({f.encoding for f in findings})
    for index, name in enumerate(names):
        color = colormaps["tab20"](index % 20)
        for step, records in enumerate(amounts):
            own = [f for f in findings if (f.encoding, f.records) == (name, records)]
            if not own:
                continue
            label = name if len(amounts) == 1 else f"{name}, {records:,} records"
            means = [100 * f.accuracy for f in own]
            spread = [
                [100 * (f.accuracy - min(f.accuracies)) for f in own],
                [100 * (max(f.accuracies) - f.accuracy) for f in own],
            ]
            drawn.errorbar(
                [f.tokens for f in own],
                means,
                yerr=spread,
                color=color,
                marker=_MARKS[index % len(_MARKS)],
                markersize=5,
                linewidth=1,
                linestyle=("-", "--", ":", "-.")[step % 4],
                label=label.replace("$", r"\$"),  # no mathematics
            )
    for records in amounts:
        front = [f for f in findings if f.on_front and f.records == records]
        drawn.plot(
            [f.tokens for f in front],
            [100 * f.accuracy for f in front],
            color=INK,
            linewidth=5,
            alpha=0.25,
            zorder=0,
        )
    drawn.set_xscale("log", base=2)
    low, high = min(f.tokens for f in findings) / 1.1, max(f.tokens for f in findings) * 1.1
    ticks = [tick for tick in (2**k for k in range(3, 11)) if low <= tick <= high]
    drawn.set_xlim(low, high)
    drawn.set_xticks(ticks, list(map(str, ticks)))
    drawn.minorticks_off()
    drawn.set_xlabel("tokens per picture")
    drawn.set_ylabel("accuracy on held-out pictures, %")
    drawn.legend(
        loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, labelcolor=INK, fontsize=9
    )
    return svg(figure, "accuracy against tokens")


def write_findings(results: Sequence[dict[str, Any]], out: Path) -> str:
    """Write ``table.md`` and ``pareto.svg`` into ``out`` and return the table.

    Cells that were left out stand below the table. Without a result nothing is drawn.
    """
    findings = summarize(results)
    text = table(findings) if findings else ""
    gaps = [r for r in results if "left_out" in r]
    said = dict.fromkeys(f"{r['encoding']}, {r['budget']} tokens: {r['left_out']}" for r in gaps)
    text += "".join(f"\nLeft out: {gap}.\n" for gap in said)
    with replacing(out / TABLE) as stream:
        stream.write(text)
    if findings:
        with replacing(out / PLOT) as stream:
            stream.write(pareto_svg(findings))
    return text
