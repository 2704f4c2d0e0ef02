"""The program: its verbs, and what an error looks like."""

from __future__ import annotations

import io
import os
import sys

import typer

from glyphsight.cli import (
    compare,
    dataset,
    decode,
    demo,
    encode,
    evaluate,
    see,
    sweep,
    talk,
    tokens,
    train,
)
from glyphsight.cli.output import say, stopped
from glyphsight.errors import GlyphsightError

app = typer.Typer(
    help="Eyes for text-only language models: pictures as text, datasets, training, measuring.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("encode")(encode.encode)
app.command("decode")(decode.decode)
app.command("tokens")(tokens.tokens)
app.add_typer(dataset.app, name="dataset")
app.command("train", epilog=train.EPILOG)(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("see")(see.see)
app.command("sweep")(sweep.sweep)
app.command("talk")(talk.talk)
app.command("demo")(demo.demo)

_INTERRUPTED = 130  # what Typer makes of Ctrl-C


def main() -> None:
    """Run the command line; bad input ends in one line on standard error and exit status 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # the format is UTF-8 whatever the locale
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    try:
        app()
    except GlyphsightError as error:
        sys.exit(f"glyphsight: {error}")
    except MemoryError as error:
        sys.exit(f"glyphsight: not enough memory ({error})")
    except BrokenPipeError:  # the reader, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"glyphsight: {error.filename or 'output'}: {error.strerror or error}")
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            say(f"glyphsight: {stopped()}")
        raise
