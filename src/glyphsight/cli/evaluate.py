"""``glyphsight evaluate``: how well a model sees, and what it forgot."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphsight.cli.help import explains
from glyphsight.cli.options import Group, Json, Processes, with_settings
from glyphsight.cli.output import difference, print_json, print_table, say, share_cells, will_resume
from glyphsight.console import printable
from glyphsight.evaluate.settings import EvaluateSettings, ForgettingSettings
from glyphsight.models.runs import NANO_DIGITS
from glyphsight.parallel import Workers
from glyphsight.settings import settings_of

if TYPE_CHECKING:
    from glyphsight.evaluate import Study
    from glyphsight.evaluate.forgetting import Forgetting
    from glyphsight.evaluate.result import Share

_SETTINGS = (
    "split", "limit", "seed", "batch_size", "generate", "zero_shot", "full", "train_data",
    "max_pixels",
)  # fmt: skip
_LISTED = 40  # questions, concepts or labels that are listed
_PLAIN = "Plain English (--forgetting)"
_ENGLISH = "needs --forgetting; give it too, without --data"


def _benchmarks() -> str:
    from glyphsight.evaluate.tasks import TASKS

    return TASKS.help()


@explains("Benchmarks for --data", _benchmarks)
@with_settings
def evaluate(
    settings: Annotated[EvaluateSettings, Group("What is measured", fields=_SETTINGS)],
    processes: Processes,
    english: Annotated[ForgettingSettings, Group(_PLAIN)],
    data: Annotated[
        str | None,
        typer.Option(
            help="Dataset directory or file, a source SPEC as dataset build takes it, or a "
            "benchmark."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Shipped model (sight and nano-digits read digits, nano-fashion clothes, "
            "nano-names many things), run directory, smollm2-135m, path or hub id."
        ),
    ] = NANO_DIGITS,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory of the report; default RUN/evaluation for a trained run, or "
            "RUN/evaluation-2 and so on where that tells of other data."
        ),
    ] = None,
    forgetting: Annotated[
        bool,
        typer.Option(
            "--forgetting",
            help="Measure plain English instead, beside the base: perplexity and easy questions.",
        ),
    ] = False,
    text: Annotated[
        list[Path] | None,
        typer.Option(
            help="UTF-8 text to measure on, repeatable.",
            show_default="58 KB of plain English that come with the package",
            rich_help_panel=_PLAIN,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Measure accuracy and calibration, beside chance, the commonest answer and the base model.

    Example:
        glyphsight evaluate --model runs/shapes --data data
    """
    if forgetting:
        if data is not None or out is not None:
            option = "--data" if data else "--out"
            raise typer.BadParameter("leave it out with --forgetting", param_hint=option)
        others = [name for name in _SETTINGS if name != "seed"]
        _refuse_given(settings, others, "does not work with --forgetting; leave it out")
        from glyphsight.evaluate.forgetting import measure_forgetting

        found = measure_forgetting(model, text or [], english, seed=settings.seed)
        print_json(found.as_json()) if json_ else _print_forgetting(found)
        return
    if data is None:
        raise typer.BadParameter("name the data to measure on", param_hint="--data")
    if text:
        raise typer.BadParameter(_ENGLISH, param_hint="--text")
    _refuse_given(english, settings_of(ForgettingSettings), _ENGLISH)
    if settings.train_data is not None and not settings.full:
        raise typer.BadParameter("needs --full; give it too", param_hint="--train-data")
    from glyphsight.evaluate.tasks import has_splits, is_task

    if is_task(data):
        names = ("full", "train_data", *(() if has_splits(data) else ("split",)))
        _refuse_given(settings, names, "does not work with a benchmark; leave it out")
    study = _measure(data, model, settings, processes, out)
    if json_:
        print_json(study.as_json())
    else:
        print_summary(study)


def _measure(
    data: str, model: str, settings: EvaluateSettings, processes: Workers, out: Path | None
) -> Study:
    """Measure a model on data and write the report, where it has a directory."""
    from glyphsight.evaluate import run_study
    from glyphsight.evaluate.report import record_study
    from glyphsight.extras import need
    from glyphsight.inference import Model
    from glyphsight.models.runs import resolve

    run = resolve(model).user_run
    target = out or (_place(run, data, settings.split) if run else None)
    if target is not None:
        need("page")
        will_resume()
    if processes.engine == "local" and processes.workers is None:
        processes = replace(processes, workers=1)  # each process holds the model
    asks = Model(model)
    study = run_study(asks, data, settings, directory=target, workers=processes)
    for warning in study.evaluation.warnings:
        say(f"glyphsight: warning: {warning}")
    if target is not None:
        record_study(study, target, run=run, record=asks.run)
        say(f"report: {target / 'report.html'}")
    else:
        say("no report and no samples are written; --out DIR writes them")
    return study


def _place(run: Path, data: str, split: str) -> Path:
    """Return the directory of an evaluation in its run; figures of other data keep theirs."""
    from glyphsight.evaluate.result import told_data

    numbered = (run / f"evaluation-{number}" for number in itertools.count(2))
    for place in itertools.chain([run / "evaluation"], numbered):
        if told_data(place) in (None, (data, split), (data, None)):
            break
    return place


def _refuse_given(settings: object, names: Iterable[str], why: str) -> None:
    """Refuse options that are not as in the settings that nobody gave."""
    usual = type(settings)()
    for name in names:
        if getattr(settings, name) != getattr(usual, name):
            raise typer.BadParameter(why, param_hint=f"--{name.replace('_', '-')}")


_NAME = 38  # columns


def _line(name: str, share: Share) -> None:
    right, interval = share_cells(share)
    print(f"  {printable(name):<{_NAME}} {right:>8}   95 % interval {interval}   n = {share.n}")


def print_summary(study: Study) -> None:
    """Print the figures as a table for a terminal."""
    result = study.evaluation
    by = {"log-likelihood": "by label likelihood", "writing": "by writing", "both": "by both"}
    rows: list[tuple[str, Share | None]] = [(by[result.by], result.score)]
    rows += [("writing freely", result.generation)] if result.by != "writing" else []
    rows += [(f"{result.base} before training", result.zero_shot)]
    rows += [(f"always {result.majority_label!r}, commonest here", result.majority)]
    rows += [(f"baseline {one.name}", one.share) for one in study.baselines]
    print(f"{result.model} on {result.data}{f', split {result.split}' if result.split else ''}")
    for name, share in rows:
        if share is not None:
            _line(name, share)
    for name, value in (
        ("chance", result.chance),
        (f"mean over {len(result.groups)} groups", result.macro),
        ("characters found in writing", result.character_match),
    ):
        if value is not None:
            print(f"  {name:<{_NAME}} {100 * value:6.2f} %")
    if (ceiling := study.ceiling) and (part := study.of_ceiling(ceiling)) is not None:
        learnt = f"which learnt from {ceiling.trained_on:,} records"
        print(f"  {100 * part:.2f} % of the best baseline, {ceiling.name}, {learnt}")
        if (found := study.against.get(ceiling.name)) is not None:
            print(f"  against it {difference(found)}")
    if study.calibration.bins:
        print(f"  calibration error {100 * study.calibration.error:.2f} points")
    if (said := study.replies) is not None and said.refused + said.malformed:
        print(f"  of the freely written answers {said.refused} refused, {said.malformed} malformed")
    _print_robustness(study)
    for name, share in result.further.items():
        _line(name, share)
    for name, share in list(result.groups.items())[:_LISTED]:
        _line(name or "(the dataset's question)", share)
    if result.classes:
        _print_classes(study)
    print(f"  {result.scoring_seconds:.1f} s, {result.pictures_per_second:.0f} records/s")


def _print_classes(study: Study) -> None:
    print(f"  {'label':<12}{'n':>7}{'precision':>12}{'recall':>12}")
    classes = study.evaluation.classes
    for score in classes[:_LISTED]:
        precision = "never said" if score.precision is None else f"{100 * score.precision:.2f} %"
        recall = "none there" if score.recall is None else f"{100 * score.recall:.2f} %"
        print(f"  {printable(score.label):<12}{score.n:>7}{precision:>12}{recall:>12}")
    if (more := len(classes) - _LISTED) > 0:
        print(f"  and {more} more labels; --json and the report of --out have them")


def _print_robustness(study: Study) -> None:
    """Print a line for each kind of damage: strengths and accuracies."""
    kinds: dict[str, list[str]] = {}
    for one in study.robustness:
        strength = "" if one.strength is None else f"{one.strength:g}: "
        left = "left out" if one.share is None else f"{100 * one.share.accuracy:.2f} %"
        kinds.setdefault(one.name, []).append(strength + left)
    for name, parts in kinds.items():
        print(f"  {name:<{_NAME}} {', '.join(parts)}")


def _print_forgetting(found: Forgetting) -> None:
    """Print the figures as a table for a terminal."""
    columns = [found.run] if found.base is None else [found.base, found.run]
    figures = [one.as_json() for one in columns]
    heads = [found.run.model]
    if found.base is not None:
        heads = [f"base {found.base.model}", f"run {found.run.model}"]
    lines = [
        ["", *heads],
        ["perplexity per token", *(f"{one['perplexity'] or math.inf:.2f}" for one in figures)],
        ["bits per byte", *(f"{one['bits_per_byte']:.4f}" for one in figures)],
    ]
    for kind in found.run.answers.groups:
        shares = [one.answers.groups[kind] for one in columns]
        lines += [[f"{kind} right", *(f"{s.accuracy * s.n:.0f} of {s.n}" for s in shares)]]
    results = [one.answers for one in columns]
    totals = [one.score for one in results]
    lines += [
        ["questions right", *(share_cells(share)[0] for share in totals)],
        ["  95 % interval", *(share_cells(share)[1] for share in totals)],
        ["  chance", *(f"{100 * (one.chance or 0):.2f} %" for one in results)],
        [
            f"  always {results[0].majority_label!r}",
            *(share_cells(one.majority)[0] for one in results),
        ],
    ]
    print_table(lines)
    if found.relative_loss is None:
        return
    said = f"{100 * found.relative_loss:+.2f} % bits per byte"
    if found.relative_loss_interval is not None:
        low, high = found.relative_loss_interval
        said += f", 95 % interval {100 * low:+.2f} to {100 * high:+.2f}"
    else:
        said += "; no interval (the text is too short, or its tokens differ)"
    print(f"relative loss  {said}")
    if (pair := found.questions) is not None:
        print(f"questions      {difference(pair)}")
