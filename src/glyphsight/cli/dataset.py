"""``glyphsight dataset``: build datasets and look at them."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.help import Command, Commands, explains
from glyphsight.cli.hub import pull_dataset, push_dataset
from glyphsight.cli.options import (
    TOKENIZERS,
    Group,
    Json,
    PictureToText,
    Processes,
    option,
    with_settings,
)
from glyphsight.cli.output import print_json, print_table, say, will_resume
from glyphsight.codec import Profile
from glyphsight.console import printable
from glyphsight.dataset import BuildReport, BuildSettings, CheckReport, build_dataset, check_dataset
from glyphsight.dataset.build.card import TokenCounter
from glyphsight.dataset.inspect.check import Window
from glyphsight.dataset.inspect.items import read_profile
from glyphsight.dataset.inspect.show import choose_items, columns_of, show_lines
from glyphsight.dataset.inspect.statistics import (
    SplitStatistics,
    Statistics,
    collect_statistics,
    natural,
    spread_text,
)
from glyphsight.dataset.inspect.statistics_page import write_page
from glyphsight.dataset.layouts import LAYOUTS, get_output
from glyphsight.dataset.prompt import read_wordings
from glyphsight.dataset.record import read_text
from glyphsight.dataset.storage import split_files
from glyphsight.extras import need
from glyphsight.files import normal
from glyphsight.media.change import Augmentation
from glyphsight.models.tokens import (
    EMBEDDED,
    count_pairs,
    count_tokens,
    load_tokenizer,
    model_window,
)
from glyphsight.settings import settings_of
from glyphsight.sources import SOURCES

_TABLE_ANSWERS = 30
_FIELDS = {  # of the profile, which a dataset's manifest holds
    name: option(replace(one, default="as the dataset's manifest says, else the published one"))
    for name, one in settings_of(Profile).items()
}

DatasetPath = Annotated[Path, typer.Argument(help="A dataset file or directory, in any layout.")]
Format = Annotated[str | None, _FIELDS["format"]]
Palette = Annotated[str | None, _FIELDS["palette"]]


dataset = typer.Typer(
    cls=Commands,
    help="Build datasets and look at them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def say_what_was_left_out(report: BuildReport) -> None:
    """Name what could not be read, and count what looks like held-out pictures."""
    for failure in report.failures:
        say(f"glyphsight: {failure.reason}")
    if report.failed > len(report.failures):
        say(f"glyphsight: {report.failed} pictures could not be read in all")
    for name, removed in report.likeness.get("removed", {}).items():
        if count := sum(removed.values()):
            say(
                f"glyphsight: {name}: {count} pictures of the source are not taken, "
                f"{removed['same']} the same and {removed['alike']} nearly the same as held-out "
                "ones (--keep-duplicates keeps them)"
            )


def measuring_command(model: str, data: Path) -> str:
    """Return the command that measures a trained model on what was held out of its dataset."""
    words = ["glyphsight", "evaluate", "--model", model, "--data", str(data)]
    splits = split_files(data)
    if data.is_dir() and "test" not in splits:
        words += ["--split", "validation" if "validation" in splits else next(iter(splits))]
    return shlex.join(words)


@dataset.command(cls=Command)
@explains("Layouts for --output", LAYOUTS.help)
@explains("Sources for --source", SOURCES.help)
@with_settings
def build(
    source: Annotated[str, typer.Option(metavar="SPEC", help="Source of labelled pictures.")],
    out: Annotated[
        str, typer.Option(help="Directory to write, or a URL such as s3://bucket/digits.")
    ],
    *,
    profile: PictureToText,
    settings: Annotated[BuildSettings, Group("Dataset")],
    augmentation: Annotated[Augmentation, Group("Changed copies of training pictures")],
    wordings: Annotated[
        Path | None,
        typer.Option(help="JSON file with the prompts around the picture; several are mixed."),
    ] = None,
    processes: Processes,
    force: Annotated[
        bool,
        typer.Option("--force", help="Build again, and replace another dataset that is there."),
    ] = False,
    json_: Json = False,
) -> None:
    """Write the splits of a source as a dataset; after a kill the same command resumes.

    Exit status 1 when pictures could not be read: each is named, the rest is done.

    Example:
        glyphsight dataset build --source folder:shapes --out data --centre
    """
    will_resume()
    prompts = () if wordings is None else tuple(read_wordings(wordings))
    settings = replace(settings, profile=profile, augmentation=augmentation, wordings=prompts)
    counter = None
    if get_output(settings.output).card:
        tokenizer = load_tokenizer(EMBEDDED)
        counter = TokenCounter(EMBEDDED, lambda texts: count_tokens(texts, tokenizer))
    existing = "rebuild" if force else "refuse"
    report = build_dataset(
        source, out, settings, workers=processes, existing=existing, counter=counter
    )
    say_what_was_left_out(report)
    if report.found:
        say(f"glyphsight: {out} was built already, with these settings; --force builds it again")
    if json_:
        print_json(asdict(report))
    else:
        for name, count in report.records.items():
            print(f"{report.files[name]}: {count} records, {len(report.labels[name])} labels")
    if report.failed:
        raise typer.Exit(1)


def _labels(given: str) -> list[str]:
    """Read ``a,b,c``, or the lines of a file."""
    if not os.path.isfile(given):  # noqa: PTH113 - False where a list is too long for a name
        return [normal(label) for label in given.split(",")]
    return [normal(line) for line in read_text(Path(given)).splitlines()]


def _window(model: str) -> Window:
    tokens, tokenizer = model_window(model), load_tokenizer(model)
    return Window(model, tokens, lambda pairs: count_pairs(pairs, tokenizer))


@dataset.command(cls=Command)
def check(
    path: DatasetPath,
    format_: Format = None,
    palette: Palette = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="All answers that may occur, such as a,b,c, or a file with one per line.",
            show_default="those of the training split",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model whose window every record must fit: smollm2-135m, nano, a run or a "
            "transformers directory."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count notes as problems.")] = False,
    show: Annotated[
        int | None,
        typer.Option(
            min=1, help="Largest number of problems to print.", show_default="20, with --json all"
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Say what is wrong where; exit status 1 when anything is.

    Problems: files that cannot be read or are empty; records of the wrong form; pictures with rows
    misnumbered, of unequal width or with foreign glyphs; a size that is not the pictures' width;
    answers that are empty, outside --labels or never given in the training split (free text aside);
    one picture with two answers; a picture and answer that an earlier split has too; records longer
    than the model's window.

    Notes, problems with --strict alone: a picture and answer repeated within a split; different
    pictures that look alike across splits; grids of several sizes.

    Example:
        glyphsight dataset check data
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


@dataset.command(cls=Command)
def show(
    path: DatasetPath,
    split: Annotated[
        str | None, typer.Option(help="Name of the split.", show_default="the first there is")
    ] = None,
    number: Annotated[
        int, typer.Option(min=1, help="Largest number of records, drawn at random.")
    ] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the draw.")] = 0,
    label: Annotated[str | None, typer.Option(help="Answer that every record has.")] = None,
    index: Annotated[
        int | None, typer.Option(min=1, help="Number of the one record to show, from 1.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the text itself in place of the cells' glyphs.")
    ] = False,
    format_: Format = None,
    palette: Palette = None,
) -> None:
    """Print records side by side, each above its answer, file, number and source.

    Example:
        glyphsight dataset show data --label star
    """
    profile = read_profile(path, format_, palette)
    label = None if label is None else normal(label)
    items = choose_items(path, split=split, number=number, seed=seed, label=label, index=index)
    for line in show_lines(items, profile, shutil.get_terminal_size().columns, raw=raw):
        print(line)


@dataset.command(cls=Command)
def stats(
    path: DatasetPath,
    html: Annotated[
        Path | None, typer.Option(help="Page to write, with plots and samples.")
    ] = None,
    model: Annotated[str, typer.Option(help=f"Tokenizer to count with: {TOKENIZERS}.")] = EMBEDDED,
    format_: Format = None,
    palette: Palette = None,
    json_: Json = False,
) -> None:
    """Count records, answers, ink, sizes, characters, tokens and repeats.

    Tokens are those of prompt and answer together; in a large split they are counted of some
    records drawn at random. The output says how many.

    Example:
        glyphsight dataset stats data --html data.html
    """
    if html is not None:
        need("page")
    tokenizer = load_tokenizer(model)
    found = collect_statistics(
        path,
        read_profile(path, format_, palette),
        tokens=lambda pairs: count_pairs(pairs, tokenizer),
        tokenizer=model,
    )
    if html is not None:
        write_page(found, html)
        say(f"page: {html}")
    if json_:
        print_json(found.as_json())
    else:
        _print_statistics(found)


for _name, _moves in (("push", push_dataset), ("pull", pull_dataset)):
    dataset.command(_name, cls=Command)(_moves)


def _print_statistics(found: Statistics) -> None:
    splits = list(found.splits.values())
    table = [["", *(name or Path(found.path).name for name in found.splits)]]

    def add(name: str, cell: Callable[[SplitStatistics], str]) -> None:
        table.append([name, *map(cell, splits)])

    add("records", lambda split: f"{split.records:,}")
    add("cannot be read", lambda split: f"{split.unreadable:,}")
    if any(split.questions for split in splits):
        add("questions", lambda split: f"{split.questions:,}")
    add("answers", lambda split: f"{len(split.answers):,}")
    add("ink", lambda split: _percent(split.ink, 1))
    add("dark on light", lambda split: _percent(split.dark_on_light, 0))
    add("grids", lambda split: _sizes(split.sizes))
    add("characters", lambda split: spread_text(split.characters))
    add(f"tokens ({found.tokenizer})", lambda split: spread_text(split.tokens))
    add("repeats in the split", lambda split: f"{split.duplicates:,}")
    add("another answer before", lambda split: f"{split.contradictions:,}")
    add("in an earlier split too", lambda split: f"{split.leaks:,}")
    add("like one in an earlier split", lambda split: f"{split.lookalikes:,}")
    answers = sorted({answer for split in splits for answer in split.answers}, key=natural)
    if len(answers) <= _TABLE_ANSWERS:
        for answer in answers:
            counts = (f"{split.answers.get(answer, 0):,}" for split in splits)
            table.append([f"answer {printable(answer)}", *counts])
    print_table(table, columns_of)
    if len(answers) > _TABLE_ANSWERS:
        print(f"{len(answers):,} different answers; --json lists them")
    if any(split.token_records < split.records for split in splits):
        counted = ", ".join(
            f"{split.token_records:,}{f' of {name}' if name else ''}"
            for name, split in found.splits.items()
        )
        print(f"tokens counted of {counted} records, drawn at random")
    if found.doubt:
        print(found.doubt)


def _percent(share: float | None, digits: int) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _sizes(sizes: dict[str, int]) -> str:
    shown = " ".join(list(sizes)[:2]) or "–"
    return f"{shown} and {len(sizes) - 2} more" if len(sizes) > 2 else shown
