"""``glyphsight dataset build``: from a source of labelled pictures to a dataset."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.options import Group, PictureToText, with_settings
from glyphsight.cli.output import print_json, say, will_go_on
from glyphsight.dataset import BuildReport, build_dataset
from glyphsight.dataset.build.assign import BALANCES
from glyphsight.dataset.build.card import TokenCounter
from glyphsight.dataset.build.pipeline import SHARD_SIZE
from glyphsight.dataset.layouts import LAYOUTS, get_output
from glyphsight.dataset.prompt import read_wordings
from glyphsight.media.augment import Augmentation
from glyphsight.models.tokens import EMBEDDED, count_tokens, load_tokenizer
from glyphsight.parallel import ENGINES
from glyphsight.sources.spec import SOURCES


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


def _counter() -> TokenCounter:
    tokenizer = load_tokenizer(EMBEDDED)
    return TokenCounter(EMBEDDED, lambda texts: count_tokens(texts, tokenizer))


@with_settings
def build(
    source: Annotated[
        str, typer.Option(help="Where the pictures are. " + " ".join(SOURCES.help().splitlines()))
    ],
    out: Annotated[
        str, typer.Option(help="Directory to write, or a URL such as s3://bucket/digits.")
    ],
    *,
    profile: PictureToText,
    output: Annotated[
        str, typer.Option(help="Layout. " + " ".join(LAYOUTS.help().splitlines()))
    ] = "json",
    wordings: Annotated[
        Path | None,
        typer.Option(help="JSON file with the words around the picture; several are mixed."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Build this split alone.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many pictures a split, stratified.")
    ] = None,
    validation: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Training pictures held out when there is no such split. Default: a tenth, "
            "2000 at most.",
        ),
    ] = None,
    hold_out: Annotated[
        str | None,
        typer.Option(
            help="Directory of a dataset of the same source whose validation pictures are held "
            "out here too, in place of --validation: profiles are compared, and runs gone on "
            "with, on the same pictures.",
        ),
    ] = None,
    balance: Annotated[
        str,
        typer.Option(
            help=f"Training pictures of each answer: {', '.join(BALANCES)}. down leaves pictures "
            "out, up repeats some, until all answers are equally common."
        ),
    ] = "none",
    keep_duplicates: Annotated[
        bool,
        typer.Option(
            "--keep-duplicates",
            help="Leave pictures that look like held-out ones in their splits.",
        ),
    ] = False,
    copies: Annotated[
        int, typer.Option(min=0, help="Changed copies of each training picture.")
    ] = 0,
    augmentation: Annotated[Augmentation, Group("Changed copies of training pictures")],
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    shard_size: Annotated[
        int, typer.Option(min=1, help="Records that a process writes at a time: a shard.")
    ] = SHARD_SIZE,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; left out, one a core.")
    ] = None,
    engine: Annotated[str, typer.Option(help=f"What runs them: {', '.join(ENGINES)}.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; left out, one on this machine.")
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Build anew what is there already, and replace another dataset."
        ),
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write the splits of a source as a dataset; killed, the same command goes on.

    Exit status 1 when pictures could not be read: each is named, the rest is done.
    """
    will_go_on()
    report = build_dataset(
        source,
        out,
        profile=profile,
        split=split,
        limit=limit,
        validation=validation,
        hold_out=hold_out,
        copies=copies,
        augmentation=augmentation,
        balance=balance,
        keep_duplicates=keep_duplicates,
        seed=seed,
        output=output,
        wordings=() if wordings is None else read_wordings(wordings),
        shard_size=shard_size,
        workers=workers,
        engine=engine,
        ray_address=ray_address,
        force=force,
        replace=False,
        counter=_counter() if get_output(output).card else None,
    )
    say_what_was_left_out(report)
    if report.found:
        say(f"glyphsight: {out} was built already, with these settings; --force builds it anew")
    if json_:
        print_json(asdict(report))
    else:
        for name, count in report.records.items():
            print(f"{report.files[name]}: {count} records, {len(report.labels[name])} labels")
    if report.failed:
        raise typer.Exit(1)
