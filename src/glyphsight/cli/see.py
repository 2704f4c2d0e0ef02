"""``glyphsight see``: the model's answers to pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from glyphsight.cli.explain import explanation_files, write_explanation
from glyphsight.cli.help import explains
from glyphsight.cli.options import FROM_FILE, Json, Processes, with_settings
from glyphsight.cli.output import print_json, say, will_resume
from glyphsight.console import progress_bar
from glyphsight.errors import GlyphsightError
from glyphsight.files import JsonLog, hash64, json_line
from glyphsight.media import MEDIA
from glyphsight.media.bulk import EncodeSettings, PictureFile, plan
from glyphsight.models.runs import DEFAULT_MODEL, RUN_FILE, resolve

if TYPE_CHECKING:
    from glyphsight.inference import Answer, Model, Seen


_SHOWN = 4  # likeliest labels
_STDIN = "-"


def _what_was_done(answer: Answer) -> list[str]:
    """Say what the user should know about how the picture was read."""
    said = ["dark on light, inverted"] if answer.inverted else []
    said += ["cropped and centred"] if answer.cropped else []
    said += ["nothing to see in it, every cell is alike: a guess"] if answer.empty else []
    return said


def _listed(file: str) -> Iterator[PictureFile]:
    """Yield the pictures that each line of a file of paths names."""
    with ExitStack() as stack:
        try:
            lines: IO[str] = (
                sys.stdin
                if file == _STDIN
                else stack.enter_context(Path(file).open(encoding="utf-8"))
            )
            for line in lines:
                if path := line.rstrip("\r\n"):
                    yield from plan([path], None)
        except (OSError, UnicodeDecodeError) as error:
            raise GlyphsightError(f"{file}: cannot be read ({error}); give another file") from error


def _open_log(file: Path, model: str, question: str | None, show: bool) -> JsonLog:
    """Open a file of answers of one model, to resume where it is there.

    Raises:
        GlyphsightError: The file holds something else, answers of another model, of an earlier
            training of the model or with other keys, or another process writes it.
    """
    run = resolve(model).user_run
    trained = (run / RUN_FILE).stat().st_mtime_ns if run else None
    return JsonLog(file, {"model": model, "trained": trained, "ask": question, "show": show})


class _Printer:
    """Prints each answer as it comes, and counts.

    Args:
        model: The model.
        question: Question that it is asked, None for its first one.
        show: Print the text that the model read.
        form: ``text``, ``json`` or ``jsonl``.
        log: File of the answers in place of standard output, None for none.
        drawings: File of the drawing of each picture to explain.
    """

    def __init__(
        self,
        model: Model,
        question: str | None,
        show: bool,
        form: str,
        log: JsonLog | None,
        drawings: Mapping[str, Path],
    ) -> None:
        self._model, self._names = model, model.trained.task(question).names
        self._show, self._form, self._log, self._drawings = show, form, log, drawings
        self._documents: list[dict[str, Any]] = []
        self.written = self.failed = 0

    def take(self, seen: Seen) -> None:
        """Print an answer and draw what it rests on, or say why there is none."""
        if seen.answer is None:
            say(f"glyphsight: {seen.error}")
            self.failed += 1
            return
        if self._form != "jsonl" and (done := _what_was_done(seen.answer)):
            say(f"{seen.path}: {'; '.join(done)}")
        if drawing := self._drawings.get(seen.path):
            write_explanation(drawing, seen, self._model.get())
        self._write(seen.path, seen.answer)
        self.written += 1

    def _write(self, path: str, answer: Answer) -> None:
        if self._form == "json":
            self._documents.append({"path": path} | asdict(answer))
            return
        if self._form == "jsonl":
            value = {"path": path} | asdict(answer) | {"model": self._model.name}
            if not self._show:
                del value["ascii_image"]
            if self._log is not None:
                self._log.append([value], sync=False)
            else:
                print(json_line(value), flush=True)
            return
        if self._show:
            sys.stdout.write(answer.ascii_image)
        if not answer.probabilities:
            print(f"{path}: {answer.label}")
            return
        best, *others = [
            (self._names.get(label, label), f"{100 * chance:.1f} %")
            for label, chance in list(answer.probabilities.items())[:_SHOWN]
        ]
        print(f"{path}: {', '.join([f'{best[0]} ({best[1]})', *map(' '.join, others)])}")

    def close(self) -> None:
        """Print what comes at the end."""
        if self._form == "json":
            print_json(self._documents)


@explains("Kinds of files", MEDIA.help)
@with_settings
def see(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Pictures, folders (with all below), globs; - is standard input."),
    ] = None,
    *,
    settings: Annotated[EncodeSettings, FROM_FILE],
    processes: Processes,
    model: Annotated[
        str,
        typer.Option(
            help="sight: an adapter of SmolLM2, trained on digits; nano-digits, nano-fashion: "
            "small models, trained on digits and clothes, in milliseconds; or a run directory, "
            "from glyphsight train or demo."
        ),
    ] = DEFAULT_MODEL,
    ask: Annotated[
        str | None,
        typer.Option(help="Question that the model was trained to answer.", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the text the model read.")] = False,
    explain: Annotated[
        Path | None,
        typer.Option(
            help="Draw what the model looked at: a .png of one picture, or a directory.",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object per picture.")
    ] = False,
    files_from: Annotated[
        str | None, typer.Option(help="File of paths, one per line; - is standard input.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="With --jsonl: file to write; the same command resumes it."),
    ] = None,
) -> None:
    """Print what a trained model sees in each picture, with probabilities.

    Example:
        glyphsight see five.png --model nano-digits
    """
    _require_fit(images or [], files_from, out, explain, json_, jsonl)
    if processes.engine == "local" and processes.workers is None:
        processes = replace(processes, workers=1)
    if not processes.here and _STDIN in (images or []):
        raise GlyphsightError(
            "-: a picture on standard input is read by one process; leave --engine and --workers "
            "out"
        )
    from glyphsight.inference import Model, see_many

    tasks = plan(images or [], None)
    drawings = explanation_files(explain, [task.path for task in tasks])
    asked = Model(model)
    asked.trained.task(ask)  # refuses a question that the model does not know
    if out is not None:
        will_resume()
    form = "jsonl" if jsonl else "json" if json_ else "text"
    hidden = not sys.stderr.isatty() or (out is None and sys.stdout.isatty())
    total = None if files_from else len(tasks)
    with ExitStack() as stack:
        log = None if out is None else stack.enter_context(_open_log(out, asked.name, ask, show))
        bar = stack.enter_context(progress_bar(total=total, unit="pic", delay=2, disable=hidden))
        known = {hash64(line["path"]) for line in log or ()}
        left = _left(chain(tasks, () if files_from is None else _listed(files_from)), known, bar)
        printer = _Printer(asked, ask, show, form, log, drawings)
        answers = see_many(
            *(left, asked, processes),
            question=ask,
            max_pixels=settings.max_pixels,
            pixels=bool(drawings),
        )
        for seen in answers:
            if seen.answer is None:
                bar.clear()
            printer.take(seen)
            bar.update()
        printer.close()
        if out is not None:
            before = f"; {len(known)} were there already" if known else ""
            say(f"{out}: {printer.written} answers written{before}")
    if printer.failed:
        raise typer.Exit(1)


def _left(tasks: Iterable[PictureFile], known: set[int], bar: Any) -> Iterator[PictureFile]:
    """Yield the pictures that have no answer yet."""
    for task in tasks:
        if known and task.error is None and hash64(task.path) in known:
            bar.update()
        else:
            yield task


def _require_fit(
    images: list[str],
    files_from: str | None,
    out: Path | None,
    explain: Path | None,
    json_: bool,
    jsonl: bool,
) -> None:
    """Refuse options that do not go together.

    Raises:
        typer.BadParameter: Names the option and the fix.
    """
    if not images and files_from is None:
        raise typer.BadParameter("name a picture")
    if jsonl and json_:
        raise typer.BadParameter("give one of --json and --jsonl", param_hint="--json")
    if out is not None and not jsonl:
        raise typer.BadParameter("is of use with --jsonl; give it too", param_hint="--out")
    if explain is not None and (jsonl or files_from is not None):
        raise typer.BadParameter(
            "draws pictures named on the command line; leave --jsonl and --files-from out",
            param_hint="--explain",
        )
