"""Sweeps: encodings compared, accuracy against the tokens that each way of writing costs.

A plan is a YAML file of encodings, sizes, amounts of data and seeds. Each run of it builds a
dataset, trains a model on it and measures it; the findings are a table and a plot.
"""

from __future__ import annotations

import itertools
import math
import shutil
import time
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
from glyphsight.console import progress_bar, say
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.errors import FormatError, GlyphsightError, ModelError
from glyphsight.evaluate.evaluation import evaluate
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.files import JsonLog, alone, cached, claim, write
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.models import nano, smollm2
from glyphsight.models.load import model_tokenizer
from glyphsight.models.tokens import count_tokens, largest_grid, load_tokenizer
from glyphsight.pages import INK, axes, svg
from glyphsight.sampling import stratified_sample, wilson_interval
from glyphsight.settings import check, setting, settings_of
from glyphsight.sources import load_split, open_source
from glyphsight.train.recipe import mapping, read_mapping, refuse_unknown
from glyphsight.train.settings import resolve_settings
from glyphsight.version import __version__

RESULTS = "results.jsonl"
TABLE = "table.md"
PLOT = "accuracy.svg"
_SETTINGS = EvaluateSettings(split="validation", generate=0, zero_shot=0)
_COUNTED = 512  # training pictures whose texts are counted to choose a grid


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: an encoding at a size, by tokens or by width; see :class:`SweepPlan`."""

    name: str
    profile: Profile
    tokens: int | None
    width: int | None
    records: int
    seed: int

    @property
    def key(self) -> str:
        """Name of the cell's directory; no other cell of the plan has it."""
        return f"{self.encoding}-{self.records}-seed{self.seed}"

    @property
    def encoding(self) -> str:
        """Encoding and size, as in file names."""
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in self.name)
        size = f"{self.tokens}tokens" if self.width is None else f"{self.width}columns"
        return f"{safe}-{size}"


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
        max_pixels: Largest number of pixels per picture file.
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
    max_pixels: int = setting(MAX_PIXELS, low=1)

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
    refuse_unknown(path, "a plan", value, {*settings_of(SweepPlan), "palettes"})
    tokens, widths = _numbers(path, value, "tokens"), _numbers(path, value, "widths")
    if bool(tokens) == bool(widths):
        raise ModelError(f"{path}: give tokens or widths, such as 'tokens: [32, 64, 128]'")
    train = mapping(path, "train", value.get("train"))
    if decided := {"seed", "max_steps", "epochs"} & set(train):
        raise ModelError(
            f"{path}: train: {min(decided)} is decided by records and seeds; remove it"
        )
    plain = ("model", "tokenizer", "validation", "max_pixels")
    settings = {key: value[key] for key in plain if key in value}
    records = _numbers(path, value, "records") or [8192]
    seeds = _numbers(path, value, "seeds", least=0) or [0]
    made = _encodings(path, value)
    try:
        plan = SweepPlan(made, tokens, widths, records, seeds, train=train, **settings)
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
        raise ModelError(f"{path}: {key} holds {wrong[0]!r}; give whole numbers from {least}")
    return list(found)


def _encodings(path: Path, value: dict[str, Any]) -> list[tuple[str, Profile]]:
    palettes = value.get("palettes") or [None]
    wanted = value.get("encodings")
    if not isinstance(wanted, list) or not wanted or not isinstance(palettes, list):
        raise ModelError(f"{path}: give encodings (and palettes) as lists, such as [seed, plain]")
    found = []
    for entry in wanted:
        settings = {"format": entry} if isinstance(entry, str) else entry
        if not isinstance(settings, dict) or not isinstance(settings.get("format"), str):
            raise ModelError(
                f"{path}: encoding {entry!r} names no format; give one, such as 'plain'"
            )
        settings = dict(settings)
        name = str(settings.pop("name", settings["format"]))
        if size := {"width", "height"} & set(settings):
            raise ModelError(
                f"{path}: {name}: {min(size)} is chosen by tokens or widths; remove it"
            )
        own = [settings["palette"]] if "palette" in settings else palettes
        for palette in own:
            label = name if palette is None or len(own) == 1 else f"{name} {palette}"
            if palette is not None:
                settings["palette"] = palette
            found.append((label, _profile(f"{path}: {label}", settings)))
    return found


def _profile(where: str, settings: dict[str, Any]) -> Profile:
    try:
        profile = Profile(**settings)
        most = get_format(profile.format).max_levels
    except (TypeError, GlyphsightError) as error:
        raise FormatError(f"{where}: {error}") from None
    if profile.levels <= most:
        return profile
    if "palette" not in settings:  # the published one has more levels than the format: its ends
        return replace(profile, palette=PUBLISHED.palette[0] + PUBLISHED.palette[-1])
    raise FormatError(
        f"{where}: carries {most} levels, palette {settings['palette']!r} has {profile.levels}; "
        "give this encoding a palette of its own"
    )


def run_sweep(
    plan: SweepPlan, spec: str, out: Path, *, quiet: bool = False
) -> list[dict[str, Any]]:
    """Run every cell that has no result in ``results.jsonl`` yet.

    Killed at any moment, the sweep resumes with the same call; an unfinished cell starts again.
    Several processes with the same arguments share the cells. Results of another plan's cells in
    the same directory stay. Of the source only the training split is read; a part of it is held
    out to judge by. Results come in the plan's order, fewer than cells while another process works
    on the rest.

    Raises:
        GlyphsightError: The directory holds another sweep, or a cell cannot be run.
    """
    cells = plan.cells()
    done = _results(plan, spec, out)  # fails early where the directory holds another sweep
    with progress_bar(len(cells), "run", "sweep", disable=quiet) as bar:
        for cell in cells:
            directory = out / "cells" / cell.key
            directory.mkdir(parents=True, exist_ok=True)
            with (directory / ".lock").open("w") as lock:
                if claim(lock) and cell.key not in _results(plan, spec, out):
                    bar.set_postfix_str(cell.key, refresh=False)
                    result = _measure(cell, plan, spec, out)
                    done = _results(plan, spec, out, result)
                    if not quiet:
                        share = 100 * result.get("accuracy", 0.0)
                        say(f"{cell.key}: {result.get('left_out') or f'{share:.2f} %'}")
            bar.update(1)
    return [done[cell.key] for cell in cells if cell.key in done]


def _results(
    plan: SweepPlan, spec: str, out: Path, *new: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Add results to the log; return all by the keys of their cells, refuse another profile's."""
    found, wanted = {}, {cell.key: cell for cell in plan.cells()}
    with alone(out / RESULTS), JsonLog(out / RESULTS, _common(plan, spec)) as log:
        log.append(new)
        for number, result in enumerate(log, start=1):
            try:
                numbers = (result[name] for name in ("budget", "width", "records", "seed"))
                made = Cell(result["encoding"], Profile(**result["encoding_profile"]), *numbers)
            except (KeyError, TypeError, GlyphsightError) as error:
                raise ModelError(
                    f"{log.path}: line {number}: damaged ({error!r}); choose another --out"
                ) from error
            if wanted.get(made.key, made) != made:
                raise ModelError(
                    f"{log.path}: {made.key} was made with another profile of {made.name}; give "
                    "the encoding another name, or the sweep another --out"
                )
            found[made.key] = result
    return found


def _common(plan: SweepPlan, spec: str) -> dict[str, Any]:
    """Return the settings that all results of a sweep have in common."""
    names = ("validation", "model", "tokenizer", "train")
    return {"source": spec} | {name: getattr(plan, name) for name in names}


def _measure(cell: Cell, plan: SweepPlan, spec: str, out: Path) -> dict[str, Any]:
    """Train and measure one cell; return all that the result depends on, then its figures."""
    from glyphsight.train.run import train  # with torch: a wrong plan does not wait

    started = time.monotonic()
    tokenizer = load_tokenizer(plan.tokenizer)
    profile, form = cell.profile, get_format(cell.profile.format)
    found = {
        "encoding": cell.name,
        "budget": cell.tokens,
        "width": cell.width,
        "records": cell.records,
        "seed": cell.seed,
        **_common(plan, spec),
        "encoding_profile": asdict(profile),
        "glyphsight": __version__,
    }
    pictures = _pictures(spec, plan.max_pixels)
    try:
        if cell.width is not None:
            profile = replace(profile, width=cell.width)
        elif cell.tokens is not None:  # a grid finer than their pixels would say nothing more
            finest = max(1, pictures.shape[2] // form.cell[1])
            profile = largest_grid(pictures, profile, cell.tokens, [tokenizer], finest)
    except ModelError as error:  # a budget that does not pay for one column
        return found | {"left_out": str(error)}
    data = _dataset(cell, plan, profile, spec, out)
    run = out / "cells" / cell.key / "run"
    shutil.rmtree(run, ignore_errors=True)  # of a cell that was killed
    steps = math.ceil(cell.records / resolve_settings(plan.model, plan.train).values.batch_size)
    once = {"evaluations": 1, "validation_records": 1, "checkpoints": 1, "max_steps": steps}
    settings = resolve_settings(plan.model, plan.train | once | {"seed": cell.seed})
    report = train(data, _base(cell, plan, out), run, settings, quiet=True)
    judged = evaluate(run, str(data), _SETTINGS, quiet=True)
    samples = list(judged.samples)
    tokens = count_tokens([sample.ascii_image for sample in samples], tokenizer)
    likelihood = [sample.probabilities[sample.truth] for sample in samples]
    text = encode_batch(pictures[:1], profile)[0]
    rows, columns = form.read(text, profile.palette).shape
    shutil.rmtree(run)
    return found | {
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
        "nats": round(-fmean(math.log(max(p, 1e-12)) for p in likelihood), 4),
        "training_seconds": report.seconds,
        "seconds": round(time.monotonic() - started, 1),
    }


@lru_cache(maxsize=1)
def _pictures(spec: str, max_pixels: int) -> NDArray[np.uint8]:
    """Load training pictures of a source, some of each label, uint8[N, H, W]."""
    pictures = load_split(open_source(spec, max_pixels), "train")
    return pictures.take(stratified_sample(pictures.labels, _COUNTED, seed=0)).pixels


def _dataset(cell: Cell, plan: SweepPlan, profile: Profile, spec: str, out: Path) -> Path:
    """Build the cell's dataset, which cells of other seeds share."""
    limit = max(cell.records, plan.validation)
    data = out / "data" / f"{cell.encoding}-{limit}"
    # Pictures that look alike stay: on a grid of 5x2 cells nearly all do, and every cell is to
    # learn from the same pictures and be judged by the same.
    settings = BuildSettings(
        profile=profile,
        limit=limit,
        validation=plan.validation,
        keep_duplicates=True,
        max_pixels=plan.max_pixels,
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


def _groups(results: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Group results that differ in their seed alone, in the order of records, then tokens."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for result in results:
        if "left_out" not in result:
            own = result["encoding"], _size(result), result["records"]
            groups.setdefault(own, []).append(result)
    order = ("records", "tokens", "encoding")
    return sorted(groups.values(), key=lambda own: [own[0][name] for name in order])


def _size(result: dict[str, Any]) -> str:
    return str(result["budget"] or f"{result['profile']['width']} columns")


def _share(group: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """Return the mean accuracy over the seeds with its interval, in %."""
    mean, n = fmean(result["accuracy"] for result in group), group[0]["n"]
    low, high = wilson_interval(round(mean * n), n)
    return 100 * mean, 100 * low, 100 * high


def table(results: Sequence[dict[str, Any]]) -> str:
    """Write a Markdown table, cheapest first, of means over the seeds.

    The interval is Wilson's for the mean on the records of one seed, which all seeds share.
    """
    lines = [
        "| encoding | budget | grid | tokens | records | accuracy | 95 % interval | over the seeds "
        "| nats |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for own in _groups(results):
        (mean, low, high), one = _share(own), own[0]
        shares = sorted(100 * result["accuracy"] for result in own)
        spread = f"{shares[0]:.2f}-{shares[-1]:.2f} (n = {len(own)})" if own[1:] else "one seed"
        lines.append(
            f"| {one['encoding']} | {_size(one)} | {one['columns']}x{one['rows']} "
            f"| {one['tokens']:.1f} | {one['records']:,} | {mean:.2f} % | {low:.2f}-{high:.2f} "
            f"| {spread} | {fmean(result['nats'] for result in own):.3f} |"
        )
    return "\n".join(lines) + "\n"


def plot(results: Sequence[dict[str, Any]]) -> str:
    """Plot accuracy with its interval against tokens: a line per encoding and amount of data."""
    figure, drawn = axes(8.6, 5.2)
    lines: dict[str, list[tuple[float, ...]]] = {}
    for own in _groups(results):
        name = f"{own[0]['encoding']}, {own[0]['records']:,} records"
        name = name.replace("$", r"\$")  # no mathematics
        lines.setdefault(name, []).append((own[0]["tokens"], *_share(own)))
    for name, points in sorted(lines.items()):
        tokens, mean, low, high = np.array(points).T
        around = [mean - low, high - mean]
        drawn.errorbar(tokens, mean, yerr=around, marker="o", linewidth=1, label=name)
    drawn.set_xscale("log", base=2)
    drawn.xaxis.set_major_formatter("{x:.0f}")
    drawn.set(xlabel="tokens per picture", ylabel="accuracy on held-out pictures, %")
    drawn.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, labelcolor=INK)
    return svg(figure, "accuracy against tokens")


def write_findings(results: Sequence[dict[str, Any]], out: Path) -> str:
    """Write ``table.md`` and ``accuracy.svg`` into ``out`` and return the table.

    Cells that were left out stand below the table. Without a result nothing is drawn.
    """
    gaps = [result for result in results if "left_out" in result]
    some = len(gaps) < len(results)
    text = table(results) if some else ""
    said = dict.fromkeys(f"{r['encoding']}, {r['budget']} tokens: {r['left_out']}" for r in gaps)
    text += "".join(f"\nLeft out: {gap}.\n" for gap in said)
    write(out / TABLE, text)
    if some:
        write(out / PLOT, plot(results))
    return text
