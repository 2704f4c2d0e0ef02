"""``glyphsight train``: fine-tune a language model on a dataset."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.output import print_json
from glyphsight.models.load import require_train_extra, spelled
from glyphsight.train.settings import parse_assignments, resolve_settings, settings_help

EPILOG = "\b\nSettings for --set NAME=VALUE:\n" + settings_help()


def train(
    data: Annotated[Path, typer.Option(help="Dataset directory, from glyphsight dataset build.")],
    out: Annotated[Path, typer.Option(help="Directory of the trained model.")],
    model: Annotated[
        str, typer.Option(help="smollm2-135m, nano, a run directory, any path or hub id.")
    ] = "smollm2-135m",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of any setting, as listed below."),
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the records.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Records a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    method: Annotated[str | None, typer.Option(help="full or lora.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights and order.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint in --out.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Teach a language model to answer pictures written as text."""
    given = parse_assignments(setting or [])
    options = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "method": method,
        "seed": seed,
    }
    given |= {name: value for name, value in options.items() if value is not None}
    resolved = resolve_settings(model, given)

    require_train_extra()
    from glyphsight.train.run import train as run_training

    report = run_training(data, model, out, resolved, resume=resume)
    if json_:
        print_json(asdict(report))
        return
    accuracy = report.validation_accuracy
    print(f"{report.run}: {report.steps} steps on {report.records} records, {report.seconds:.0f} s")
    if accuracy is not None:
        print(f"validation accuracy {100 * accuracy:.2f} %")
    print(f"measure it: glyphsight evaluate --model {spelled(Path(report.run))} --data {data}")
