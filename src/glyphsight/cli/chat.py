"""``glyphsight chat``: a conversation about pictures, in the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from glyphsight.cli.answers import hint_of
from glyphsight.cli.output import say
from glyphsight.console import printable
from glyphsight.errors import GlyphsightError
from glyphsight.media import medium_of
from glyphsight.models.runs import model_for

_COMMANDS = "/image FILE adds a picture to what you say next; /quit ends"


def _lines(shown: bool) -> Iterator[str]:
    """Yield what the user says, a line each; ``shown`` in a terminal, with a prompt."""
    if not shown:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace")
        yield from sys.stdin
        return
    with suppress(ImportError):
        import readline  # noqa: F401 - input() has keys for editing and what was said before
    with suppress(EOFError):
        while True:
            yield input("> ")


def chat(
    images: Annotated[
        list[str] | None, typer.Argument(help="Pictures that the first words are about.")
    ] = None,
    *,
    model: Annotated[
        str | None,
        typer.Option(
            help="sight-vqa, or a run directory of a language model, from glyphsight train.",
            show_default="sight-vqa, sight with --talker",
        ),
    ] = None,
    talker: Annotated[
        str | None,
        typer.Option(
            help="Language model that writes about what --model names: a directory or hub id of "
            "one that chats. Left out, the base of the run.",
            show_default=False,
        ),
    ] = None,
    most: Annotated[int, typer.Option(help="Tokens of a reply at most.", min=1)] = 256,
) -> None:
    """Talk about pictures: each line of standard input is answered as it is written.

    /image FILE adds a picture to what is said next, /quit ends. A run that names pictures names
    them first, then its base, or the language model of --talker, writes about the names. From a
    pipe the first line that fails ends it, with exit status 1.

    Example:
        glyphsight chat five.png
    """
    from glyphsight.inference import Model
    from glyphsight.inference.talk import Conversation

    model = model_for("", talker) if model is None else model
    fix = "add a picture with /image FILE, or give --talker MODEL, or take --model sight-vqa"
    talk = Conversation(Model(model, talker=talker), most, fix)
    talk.model.trained  # noqa: B018 - a model that was never trained is told before the first words
    if talker is not None:
        talk.model.talker  # noqa: B018 - so is a talker that is none
    for file in images or []:
        talk.add(file)
    terminal, told, hint = sys.stdin.isatty(), False, hint_of(model)
    if terminal:
        say(f"{model} answers; {_COMMANDS}")
    for line in _lines(terminal):
        words = line.strip()
        command, _, given = words.partition(" ")
        if command == "/quit":
            break
        try:
            if command == "/image":
                talk.add(given.strip().strip("'\""))
            elif command.startswith("/"):
                raise GlyphsightError(f"{command}: no such command; {_COMMANDS}")
            elif terminal and _is_picture(words):
                raise GlyphsightError(f"/image {words} adds this picture to what you say next")
            elif words or talk.waiting:
                if talk.waiting and not told and talk.model.ignores(words):
                    told = True
                    say(f"{model} was trained on one question; it answers that, not {words!r}")
                _print(talk.reply(words), terminal)
                if talk.puzzled and hint:
                    say(hint)
                    hint = ""  # once is enough
        except GlyphsightError as error:
            if not terminal:
                raise
            say(f"glyphsight: {error}")


def _is_picture(words: str) -> bool:
    """Say whether a line is the path of a picture or a sound."""
    with suppress(OSError, ValueError):  # a long line is no path
        return Path(words).is_file() and medium_of(words) is not None
    return False


def _print(reply: Iterator[str], terminal: bool) -> None:
    """Print a reply as it comes; in a terminal Ctrl-C ends it alone."""
    try:
        for text in reply:
            print("\n".join(map(printable, text.split("\n"))), end="", flush=True)
    except KeyboardInterrupt:
        if not terminal:
            raise
    print(flush=True)
