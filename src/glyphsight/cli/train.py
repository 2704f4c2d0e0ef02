"""``glyphsight train``: fine-tune a language model on a dataset."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyphsight.cli.dataset import measuring_command, say_what_was_left_out
from glyphsight.cli.options import Group, Json, with_settings
from glyphsight.cli.output import print_json, will_resume
from glyphsight.console import printable
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.dataset.drawing import PREFIX, drawn_dataset
from glyphsight.dataset.storage import split_files
from glyphsight.errors import DatasetError, ModelError
from glyphsight.extras import need
from glyphsight.models import smollm2
from glyphsight.models.runs import resolve, start_from
from glyphsight.parallel import Workers
from glyphsight.settings import read_assignments
from glyphsight.train.recipe import ONLY, Recipe, read_recipe
from glyphsight.train.settings import (
    ResolvedSettings,
    TrainSettings,
    model_defaults,
    resolve_settings,
)
from glyphsight.train.state import is_first_process, refuse_existing, settings_to_resume, world_size

if TYPE_CHECKING:
    from glyphsight.train.run import TrainReport


@with_settings
def train(
    out: Annotated[Path, typer.Option(help="Directory of the trained model.")],
    *,
    chosen: Annotated[
        dict[str, Any], Group("Settings", of=TrainSettings, make=dict, notes=model_defaults)
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Dataset directory, repeatable: those of one profile and wording are "
            "learned together; of draw:PATH the pictures, drawn after their labels.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="smollm2-135m, nano (made fresh), any path or hub id; a trained run is taken as "
            "by --from.",
            show_default=smollm2.NAME,
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Trained run to start from, in place of a base --model: its directory, "
            "nano-digits, nano-names or sight. An adapter stays an adapter. Answers are those of "
            "--data, words those of the run.",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="YAML file with model, dataset and settings; needs --source."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="With --recipe: source of the pictures, as dataset build takes it; NAME=SPEC of "
            "each dataset where the recipe names several.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Any of the settings by name, as a recipe has it."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume from the newest checkpoint in --out.")
    ] = False,
    json_: Json = False,
) -> None:
    """Fine-tune a language model to answer pictures written as text.

    From datasets (--data), or by a recipe (--recipe, --source) that builds its own in OUT/data
    first. Options override the recipe.

    Example:
        glyphsight train --data data --model nano --out runs/shapes --epochs 15
    """
    for wrong, fix in (
        ((not data) == (recipe is None), "give --data, or --recipe with --source"),
        ((recipe is None) != (not source), "give --recipe and --source together"),
        (model is not None and from_ is not None, "give --model or --from, not both"),
    ):
        if wrong:
            raise typer.BadParameter(fix)
    said = None if recipe is None else read_recipe(recipe)
    sources = said.sources(source or []) if said else {}
    given = dict(said.train) if said else {}
    given |= read_assignments(TrainSettings, setting or [], ModelError) | chosen
    base = from_ or model or (said.model if said else smollm2.NAME)
    own = tuple(said.datasets.values()) if said else ()
    draws = any(one.draw for one in own) or any(
        drawn for _, drawn in map(drawn_dataset, data or [])
    )
    start, resolved = _start(base, given, is_run=from_ is not None, draws=draws)
    _check_before(data or [], start, out, resolved, resume=resume)
    need("train")
    data, failed = _built(said, sources, out) if said else (data or [], 0)
    names = [one.names or None for one in own for _ in range(1 + one.draw)] if said else None
    from glyphsight.train.run import train as run_training

    will_resume("the same command with --resume resumes from here")
    report = run_training(data, start, out, resolved, names=names, resume=resume)
    if is_first_process():
        _print_report(report, data, json_=json_)
    if failed:
        raise typer.Exit(1)


def _check_before(
    data: list[Path], start: str, out: Path, resolved: ResolvedSettings, *, resume: bool
) -> None:
    """Raise the errors that a user would otherwise wait for torch to hear."""
    for path, _ in map(drawn_dataset, data):
        if not path.exists():
            raise DatasetError(f"{path}: no such dataset; glyphsight dataset build makes one")
        split_files(path, "train")
    if fault := resolve(start).fault:
        raise ModelError(f"{start}: {fault}")
    if resume:
        settings_to_resume(out, resolved)
    elif is_first_process():
        refuse_existing(out)


def _start(
    name: str, given: dict[str, Any], *, is_run: bool, draws: bool
) -> tuple[str, ResolvedSettings]:
    """Return a lasting name of the model to start from, and the settings of the training.

    The output layer of a nano is its embeddings: where it learns to draw, they learn too.
    """
    if not is_run and resolve(name).run is None:
        return name, resolve_settings(name, given)
    run = start_from(name)
    stays = {"method": "lora"} if run.adapter else {}
    return run.lasting_name, resolve_settings(run.origin, stays | given, trained=not draws)


def _print_report(report: TrainReport, data: list[Path], *, json_: bool = False) -> None:
    """Print the figures of a run and the command that measures it."""
    if json_:
        print_json(asdict(report))
        return
    mixed = f" and {report.text_pieces} pieces of text" if report.text_pieces else ""
    done = f"{report.steps} steps on {report.records} records{mixed}"
    print(f"{report.run}: {done}, {report.seconds:.0f} s")
    if report.validation_accuracy is not None:
        count, written = report.validation_records, report.validation_written
        ways = (count - written, "by likelihood of the answer"), (written, "as the model writes")
        how = " and ".join(f"{n} {way}" for n, way in ways if n)
        print(f"validation accuracy {100 * report.validation_accuracy:.2f} % ({how})")
    for question, share in report.accuracies.items():
        print(f"  {100 * share:.2f} % {printable(question) or '(no question of its own)'}")
    measured = report.run if os.sep in report.run else f"./{report.run}"
    seen = [path for path, drawn in map(drawn_dataset, data) if not drawn]
    for number, each in enumerate(seen):
        print(f"{' ' * 11 if number else 'measure it:'} {measuring_command(measured, each)}")
    if len(seen) < len(data):
        print(f"look at it: glyphsight draw LABEL --model {measured}")


def _built(recipe: Recipe, sources: dict[str, str], out: Path) -> tuple[list[Path], int]:
    """Build the missing datasets of a recipe; return those to learn, and the number of failures.

    One that is learned backwards too comes twice.
    """
    if world_size() > 1:
        raise ModelError(
            "--source: several processes cannot build one dataset; run glyphsight dataset build "
            "first and give --data"
        )
    paths = {name: out / ONLY / name if recipe.named else out / ONLY for name in recipe.datasets}
    failed, learned = 0, list[Path]()
    for name, one in recipe.datasets.items():
        how = dict(one.build)
        if "hold_out" in how:
            how["hold_out"] = str(paths[how["hold_out"]])
        settings = BuildSettings(profile=recipe.profile, **how)
        built = build_dataset(sources[name], paths[name], settings, workers=Workers())
        say_what_was_left_out(built)
        failed += built.failed
        learned += [paths[name], *[Path(f"{PREFIX}{paths[name]}")] * one.draw]
    return learned, failed
