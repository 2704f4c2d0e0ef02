"""``glyphsight dataset check``, ``show`` and ``stats``: look at datasets."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.output import print_json, say
from glyphsight.codec.profile import setting_help
from glyphsight.dataset import CheckReport, check_dataset
from glyphsight.dataset.check import Window
from glyphsight.dataset.grids import read_profile
from glyphsight.dataset.show import choose_items, show_lines
from glyphsight.errors import DatasetError

_HELP = setting_help()
_AS_BUILT = "as the dataset's manifest says, else the published one"

DatasetPath = Annotated[Path, typer.Argument(help="A dataset file or directory, in any layout.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Format of the pictures.", show_default=_AS_BUILT),
]
Palette = Annotated[str | None, typer.Option(help=_HELP.get("palette"), show_default=_AS_BUILT)]


def _labels(given: str) -> list[str]:
    """``a,b,c``, or the lines of a file."""
    file = Path(given)
    if not file.is_file():
        return [label.strip() for label in given.split(",")]
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file}: cannot be read as UTF-8 text ({error})") from error


def _window(model: str) -> Window:
    from glyphsight.models.tokens import count_pairs, load_tokenizer, model_window

    tokens, tokenizer = model_window(model), load_tokenizer(model)
    return Window(model, tokens, lambda pairs: count_pairs(pairs, tokenizer))


def check(
    path: DatasetPath,
    format_: Format = None,
    palette: Palette = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="All answers that may occur, such as a,b,c, or a file with one a line.",
            show_default="those of the training split",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Also find records that do not fit the window of this model: smollm2-135m, nano, "
            "a run or a transformers directory."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take notes as problems.")] = False,
    show: Annotated[
        int | None,
        typer.Option(
            min=1, help="Print at most so many problems.", show_default="20, with --json all"
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say what is wrong where; exit status 1 when anything is.

    Problems: files that cannot be read or are empty; records of the wrong form; pictures with rows
    misnumbered, of unequal width or with foreign glyphs; a size that is not the pictures' width;
    answers that are empty, outside --labels or never given in the training split (free text aside);
    one picture with two answers; a picture and answer that an earlier split has too; records longer
    than the model's window.

    Notes, problems with --strict alone: a picture and answer repeated within a split; different
    pictures that look alike across splits; grids of several sizes.
    """
    if show is None and not json_:
        show = 20
    report = check_dataset(
        path,
        read_profile(path, format_, palette),
        labels=None if labels is None else _labels(labels),
        window=None if model is None else _window(model),
        strict=strict,
        keep=show,
    )
    if json_:
        print_json({**asdict(report), "ok": not report.found})
    else:
        _print_check(report)
    if report.found:
        raise typer.Exit(1)


def _print_check(report: CheckReport) -> None:
    for problem in report.problems:
        say(str(problem))
    total = sum(report.found.values())
    if total > len(report.problems):
        kinds = ", ".join(f"{kind} {count}" for kind, count in report.found.items())
        say(f"... {total} problems in all ({kinds}); --show N shows more")
    for note in report.notes:
        say(f"note: {note}")
    for file, count in report.records.items():
        bad = report.spoilt.get(file, 0)
        print(f"{file}: {count} records, {bad} with problems" if bad else f"{file}: {count} ok")


def show(
    path: DatasetPath,
    split: Annotated[
        str | None, typer.Option(help="Which split.", show_default="the first there is")
    ] = None,
    number: Annotated[int, typer.Option(min=1, help="At most so many, drawn at random.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    label: Annotated[
        str | None, typer.Option(help="Only records whose answer is this.")
    ] = None,
    index: Annotated[
        int | None, typer.Option(min=1, help="The record of this number in the split alone.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the text itself in place of the cells' glyphs.")
    ] = False,
    format_: Format = None,
    palette: Palette = None,
) -> None:
    """Print records side by side, below each its answer, its file and number, and its source."""
    profile = read_profile(path, format_, palette)
    items = choose_items(path, split=split, number=number, seed=seed, label=label, index=index)
    for line in show_lines(items, profile, shutil.get_terminal_size().columns, raw=raw):
        print(line)
