"""The program: its verbs, each imported when it is asked for, and what an error looks like."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import warnings
from importlib import import_module
from typing import Annotated, Any

import typer

from glyphsight.cli.help import Command, Commands
from glyphsight.cli.output import say, stopped
from glyphsight.errors import GlyphsightError, meant
from glyphsight.version import __version__

VERBS = {  # in the order of the pipeline, each with its module
    "encode": "codec",
    "decode": "codec",
    "tokens": "codec",
    "dataset": "dataset",
    "train": "train",
    "model": "hub",
    "evaluate": "evaluate",
    "compare": "runs",
    "see": "see",
    "hear": "hear",
    "draw": "draw",
    "chat": "chat",
    "serve": "serve",
    "export": "export",
    "sweep": "runs",
    "demo": "runs",
}
# Threads that wait leave a core to other processes. OMP_DYNAMIC would help more, but torch's
# products come out as NaN with it.
_THREADS = {"OMP_WAIT_POLICY": "passive"}
_INTERRUPTED = 130  # exit status after Ctrl-C
_UNREAD = 141  # exit status of a Unix tool whose reader, such as head, has enough: 128 + SIGPIPE


class Verbs(Commands):
    """Commands by name, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the verbs in the order of the pipeline."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a verb."""
        if cmd_name not in VERBS:
            return None
        module = import_module(f"glyphsight.cli.{VERBS[cmd_name]}")
        found = getattr(module, cmd_name)
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(cmd_name, cls=Command)(found)
        return typer.main.get_command(alone)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Name the nearest verb where there is none of the name."""
        name = args[0]
        if not (ctx.resilient_parsing or name.startswith("-") or name in VERBS):
            ctx.fail(
                f"No such command {name!r}; {meant(name, VERBS)}give one of {', '.join(VERBS)}."
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"glyphsight {__version__}")
        raise typer.Exit


@app.callback()
def glyphsight(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Eyes for text-only language models: pictures as text, datasets, training, measuring."""


def _run() -> None:
    """Run a command; where numpy swallows Ctrl-C, exit with its status all the same."""
    pressed = False

    def press(number: int, frame: Any) -> None:
        nonlocal pressed
        pressed = True
        signal.default_int_handler(number, frame)

    # A background job ignores it, and only the main thread may set what it does.
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    own &= threading.current_thread() is threading.main_thread()
    if own:
        signal.signal(signal.SIGINT, press)
    try:
        app(prog_name="glyphsight")  # by ``python -m`` too
    except TypeError:
        if pressed:  # numpy makes such an error of a KeyboardInterrupt
            sys.exit(_INTERRUPTED)
        raise
    finally:
        if own:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    """Run the command line; bad input ends in one line on standard error and exit status 1."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed: no file that is opened later may take its number
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - to the end
    output = sys.stdout
    if isinstance(output, io.TextIOWrapper):  # the format is UTF-8 whatever the locale
        output.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    for name, value in _THREADS.items():  # read when torch is imported
        os.environ.setdefault(name, value)
    if not sys.warnoptions:  # odd metadata of a picture is no news to a user, nor to workers
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"
    try:
        try:
            _run()
        finally:
            output.flush()
            if sys.stdout is not output:  # typer met a broken pipe
                raise BrokenPipeError
    except GlyphsightError as error:
        sys.exit(f"glyphsight: {error}")
    except MemoryError as error:
        sys.exit(f"glyphsight: not enough memory ({error})")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
        sys.exit(_UNREAD)
    except OSError as error:
        sys.exit(f"glyphsight: {error.filename or 'output'}: {error.strerror or error}")
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            say(f"glyphsight: {stopped()}")
        raise
