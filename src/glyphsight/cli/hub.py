"""``glyphsight model`` and ``dataset push|pull``: runs and datasets on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.help import Command, Commands
from glyphsight.cli.output import say, will_resume

Private = Annotated[
    bool, typer.Option("--private", help="Let only its owner see a new repository.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Put a new version into a repository that exists.")
]
To = Annotated[str, typer.Option("--to", metavar="NAME", help="Name on the hub: me/shapes.")]
Name = Annotated[str, typer.Argument(help="Name on the hub: me/shapes.")]
Out = Annotated[
    Path | None, typer.Option(help="Directory to make.", show_default="the last part of the name")
]

model = typer.Typer(
    cls=Commands,
    help="Put trained runs on the hub, and get them from it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@model.command("push", cls=Command)
def push_model(
    run: Annotated[Path, typer.Argument(help="A run that train wrote.")],
    to: To,
    private: Private = False,
    force: Force = False,
) -> None:
    """Put a run on the hub: weights, tokenizer, card, settings and history.

    Example:
        glyphsight model push runs/shapes --to me/shapes
    """
    _push(run, to, "model", private, force)


@model.command("pull", cls=Command)
def pull_model(name: Name, out: Out = None) -> None:
    """Get a run of glyphsight from the hub; --model takes its directory.

    Example:
        glyphsight model pull me/shapes --out runs/shapes
    """
    _pull(name, out, "model")


def push_dataset(
    path: Annotated[Path, typer.Argument(help="A dataset that build wrote, --output hub.")],
    to: To,
    private: Private = False,
    force: Force = False,
) -> None:
    """Put a dataset with its card on the hub.

    Example:
        glyphsight dataset push data --to me/shapes
    """
    _push(path, to, "dataset", private, force)


def pull_dataset(name: Name, out: Out = None) -> None:
    """Get a dataset of glyphsight from the hub; --data takes its directory.

    Example:
        glyphsight dataset pull me/shapes --out data
    """
    _pull(name, out, "dataset")


def _push(directory: Path, name: str, kind: str, private: bool, force: bool) -> None:
    from glyphsight.integrations.hub import push

    print(push(directory, name, kind, private=private, force=force))


def _pull(name: str, out: Path | None, kind: str) -> None:
    from glyphsight.integrations.hub import pull

    will_resume()
    found = pull(name, out or Path(Path(name).name), kind)
    option = "--model" if kind == "model" else "--data"
    say(f"{option} {found} takes it")
    print(found)
