"""``glyphsight evaluate``: how well a model sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphsight.cli.evaluate_set import evaluate_set
from glyphsight.cli.options import Json
from glyphsight.cli.output import print_json, say, will_resume
from glyphsight.models.runs import NANO_DIGITS

if TYPE_CHECKING:
    from glyphsight.evaluate import Study


_NOT_OF_SETS = ("split", "full", "train_data", "zero_shot", "engine", "workers", "ray_address")


def evaluate(
    ctx: typer.Context,
    data: Annotated[
        str,
        typer.Option(
            help="Dataset directory or file, a source SPEC, or a set of others: vitc:FILE, "
            "asciieval:FILE, bigbench:FILE."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="nano-digits, sight: trained on digits, in the package; nano-fashion: on clothes; "
            "a run directory, smollm2-135m, any path or hub id."
        ),
    ] = NANO_DIGITS,
    split: Annotated[
        str, typer.Option(help="Split of a directory or source; a file has none.")
    ] = "test",
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many records, stratified.")
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Also baselines on the same text, robustness and attributions: minutes."
        ),
    ] = False,
    train_data: Annotated[
        str | None,
        typer.Option(
            help="What the baselines of --full learn from.",
            show_default="the split train of --data",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Of the choice under a limit, and of all that --full draws."),
    ] = 0,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Pictures a forward pass; changes speed alone.")
    ] = 64,
    generate: Annotated[
        int, typer.Option(min=0, help="Also let it write freely on so many records.")
    ] = 200,
    zero_shot: Annotated[
        int, typer.Option(min=0, help="Also ask the base model, untaught, so many records.")
    ] = 100,
    engine: Annotated[str, typer.Option(help="local, or ray for a Ray cluster.")] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that score, each with the model; left out, one, with Ray one a core.",
        ),
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster; left out, one is started here.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Directory of the report; default RUN/evaluation for a trained run."),
    ] = None,
    json_: Json = False,
) -> None:
    """Accuracy, calibration, confusion, label by label, beside floors; --full: beside ceilings."""
    from glyphsight.evaluate import run_study
    from glyphsight.evaluate.report.record import record_study
    from glyphsight.evaluate.tasks.spec import is_set
    from glyphsight.extras import need
    from glyphsight.inference.model import Model
    from glyphsight.models.runs import resolve
    from glyphsight.parallel import Workers

    if is_set(data):
        for name in _NOT_OF_SETS:
            source = ctx.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                option = f"--{name.replace('_', '-')}"
                raise typer.BadParameter("is of no use with a set; leave it out", param_hint=option)
        evaluate_set(
            model,
            data,
            limit=limit,
            seed=seed,
            batch_size=batch_size,
            generate=generate,
            out=out,
            json_=json_,
        )
        return
    if train_data is not None and not full:
        raise typer.BadParameter("is of use with --full", param_hint="--train-data")
    workers = 1 if engine == "local" and workers is None else workers
    where = Workers(engine, workers, ray_address)
    run = resolve(model).user_run
    target = out or (run / "evaluation" if run else None)
    if target is not None:
        need("page")
        will_resume()
    asks = Model(model)
    measured = run_study(
        asks,
        data,
        split=split,
        limit=limit,
        seed=seed,
        batch_size=batch_size,
        generate=generate,
        zero_shot=zero_shot,
        full=full,
        train_data=train_data,
        directory=target,
        where=where,
    )
    for warning in measured.evaluation.warnings:
        say(f"glyphsight: warning: {warning}")
    if target is not None:
        record_study(measured, target, run=run, taught=asks.get().run)
        say(f"report: {target / 'report.html'}")
    else:
        say("no report and no samples are written; --out DIR writes them")
    if json_:
        print_json(measured.as_json())
    else:
        print_summary(measured)


def print_summary(measured: Study) -> None:
    """The figures as a table for a terminal."""
    result = measured.evaluation
    rows = [("by label likelihood", result.score), ("writing freely", result.generation)]
    rows += [(f"{result.base} before training", result.zero_shot)]
    rows += [(f"always {result.majority_label!r}, commonest here", result.majority)]
    rows += [(f"baseline {one.name}", one.share) for one in measured.baselines]
    print(f"{result.model} on {result.data}{f', split {result.split}' if result.split else ''}")
    for name, share in rows:
        if share is not None:
            low, high = share.interval
            print(
                f"  {name:<30} {100 * share.accuracy:6.2f} %   "
                f"95 % interval {100 * low:.2f}-{100 * high:.2f}   n = {share.n}"
            )
    if (ceiling := measured.ceiling) and (part := measured.of_ceiling(ceiling)) is not None:
        learnt = f"which learnt from {ceiling.trained_on:,} records"
        print(f"  {100 * part:.1f} % of the best baseline, {ceiling.name}, {learnt}")
        if (found := measured.against.get(ceiling.name)) is not None:
            low, high = found.interval
            print(
                f"  {100 * found.difference:+.2f} points against it, "
                f"95 % interval {100 * low:+.2f} to {100 * high:+.2f}, p = {found.p_value:.2g}"
            )
    print(f"  calibration error {100 * measured.calibration.error:.2f} points")
    if (replies := measured.replies) is not None and replies.refused + replies.malformed:
        print(
            f"  of the freely written answers {replies.refused} refused, "
            f"{replies.malformed} malformed"
        )
    _print_robustness(measured)
    print(f"  {'label':<12}{'n':>7}{'precision':>12}{'recall':>10}")
    for score in result.classes:
        precision = "never said" if score.precision is None else f"{100 * score.precision:.2f} %"
        recall = "none there" if score.recall is None else f"{100 * score.recall:.2f} %"
        print(f"  {score.label:<12}{score.n:>7}{precision:>12}{recall:>10}")
    print(f"  {result.scoring_seconds:.1f} s, {result.pictures_per_second:.0f} pictures/s")


def _print_robustness(measured: Study) -> None:
    """A line for each kind of damage: its strengths and what is left."""
    kinds: dict[str, list[str]] = {}
    for one in measured.robustness:
        strength = "" if one.strength is None else f"{one.strength:g}: "
        left = "left out" if one.share is None else f"{100 * one.share.accuracy:.2f} %"
        kinds.setdefault(one.name, []).append(strength + left)
    for name, parts in kinds.items():
        print(f"  {name:<30} {', '.join(parts)}")
