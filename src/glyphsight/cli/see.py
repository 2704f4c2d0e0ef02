"""``glyphsight see``: the model's answers to pictures."""

from __future__ import annotations

import os
import sys
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from glyphsight.cli.answers import Printer, hint_of
from glyphsight.cli.help import explains
from glyphsight.cli.options import FROM_FILE, Json, Processes, with_settings
from glyphsight.cli.output import say, will_resume
from glyphsight.console import progress_bar
from glyphsight.errors import GlyphsightError
from glyphsight.files import JsonLog, hash64
from glyphsight.media import MEDIA
from glyphsight.media.bulk import EncodeSettings, PictureFile, plan, state_of
from glyphsight.models.runs import NANO_NAMES, RUN_FILE, Task, model_for, resolve

if TYPE_CHECKING:
    from glyphsight.inference import Model

_NAMED = 6  # questions that a message lists
_WATCHED = 8  # pictures answered together while a user reads along
_STDIN = "-"
_NO_PNG = (".jpg", ".jpeg", ".gif", ".webp", ".svg", ".pdf", ".html")


def _listed(file: str) -> Iterator[PictureFile]:
    """Yield the pictures that each line of a file of paths names, as the lines come."""
    with ExitStack() as stack:
        try:
            lines: IO[bytes] = (
                sys.stdin.buffer
                if file == _STDIN
                else stack.enter_context(Path(file).open("rb"))  # a path may be any bytes
            )
            for number, line in enumerate(lines):
                if not number and line.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                    raise GlyphsightError(f"{file}: is in UTF-16; save it in UTF-8")
                bare = line if number else line.removeprefix(BOM_UTF8)
                if path := os.fsdecode(bare.rstrip(b"\r\n")):
                    yield from plan([path], None)
        except OSError as error:
            raise GlyphsightError(f"{file}: cannot be read ({error}); give another file") from error


def explanation_files(out: Path | None, images: Sequence[str]) -> dict[str, Path]:
    """Name the PNG of each picture: ``out`` where it ends in .png, else a file in that directory.

    In a directory each drawing has the name of its picture; the second of one name is
    ``NAME-2.png``.

    Raises:
        typer.BadParameter: Several pictures for one .png, or a file of another kind.
    """
    if out is None:
        return {}
    different = list(dict.fromkeys(images))
    problem = ""
    if out.suffix.lower() == ".png" and not out.is_dir():
        if len(different) <= 1:
            return dict.fromkeys(different, out)
        problem = f"{out} is one file for {len(different)} drawings; give a directory"
    elif out.is_file() or out.suffix.lower() in _NO_PNG:
        problem = f"{out} is no PNG; give a name that ends in .png, or a directory"
    if problem:
        raise typer.BadParameter(problem, param_hint="--explain")
    files: dict[str, Path] = {}
    for image in different:
        stem = "stdin" if image == _STDIN else Path(image).stem
        name, number = f"{stem}.png", 2
        while out / name in files.values():
            name, number = f"{stem}-{number}.png", number + 1
        files[image] = out / name
    return files


def _open_log(
    file: Path,
    model: Model,
    engine: str,
    question: str | None,
    show: bool,
    top: int | None,
    *,
    signs: bool,
) -> JsonLog:
    """Open a file of answers of one training of a model, one engine, one question and one form."""
    run = resolve(model.name).user_run
    trained = (run / RUN_FILE).stat().st_mtime_ns if run else None
    will_resume()
    talker = model.talker_for(question)
    given = {"top": top, "signs": signs or None, "talker": talker.name if talker else None}
    settings = {"model": model.name, "trained": trained, "ask": question, "show": show}
    settings |= {name: value for name, value in given.items() if value is not None}
    return JsonLog(file, settings | {"engine": engine})


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
        str | None,
        typer.Option(
            help="sight: an adapter of SmolLM2, trained on digits; sight-vqa: the same, which "
            "answers questions about digits; nano-digits, nano-fashion, "
            "nano-names: small models, trained on digits, on clothes, on signs, icons and "
            "sketches, in milliseconds; or a run directory, from glyphsight train or demo.",
            show_default="sight, sight-vqa with --ask, nano-names with --signs",
        ),
    ] = None,
    ask: Annotated[
        str | None,
        typer.Option(
            help="Question in words; one that the model was not trained on is answered in writing.",
            show_default=False,
        ),
    ] = None,
    talker: Annotated[
        str | None,
        typer.Option(
            help="With --ask: language model that answers other questions about what --model "
            "names; left out, the base of the run.",
            show_default=False,
        ),
    ] = None,
    signs: Annotated[
        bool,
        typer.Option(
            "--signs",
            help="Read a line of letters and digits sign by sign; --model is nano-names, or a run "
            "that names letters.",
        ),
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the text the model read.")] = False,
    explain: Annotated[
        Path | None,
        typer.Option(
            help="Draw what the model looked at: a .png of one picture, or a directory.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, help="Likeliest labels to print.", show_default="4 in words, all in JSON"
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
        typer.Option(
            help="With --jsonl: file to write; the same command resumes it, and answers "
            "pictures that changed again."
        ),
    ] = None,
) -> None:
    """Print what a trained model sees in each picture, with probabilities.

    Example:
        glyphsight see five.png --model nano-digits
    """
    for wrong, problem, at in (
        (not images and files_from is None, "name a file, or a folder of them", None),
        (json_ and jsonl, "give one of --json and --jsonl", "--json"),
        (out is not None and not jsonl, "is of use with --jsonl; give it too", "--out"),
        (
            explain is not None and (jsonl or files_from is not None),
            "draws what is named on the command line; leave --jsonl and --files-from out",
            "--explain",
        ),
        (talker is not None and ask is None, "is of use with --ask; give it too", "--talker"),
        (
            signs and (ask is not None or explain is not None),
            "reads signs alone; leave --ask and --explain out",
            "--signs",
        ),
    ):
        if wrong:
            raise typer.BadParameter(problem, param_hint=at)
    if model is None:
        model = NANO_NAMES if signs else model_for(ask, talker)
    if processes.engine == "local" and processes.workers is None:
        processes = replace(processes, workers=1)
    if not processes.here and _STDIN in (images or []):
        raise GlyphsightError("-: one process reads it; leave --engine and --workers out")
    from glyphsight.inference import Model
    from glyphsight.inference.see import TOGETHER, Asking, see_many
    from glyphsight.inference.signs import require_signs

    tasks = plan(images or [], None)
    drawings = explanation_files(explain, [task.path for task in tasks])
    noted = (out and JsonLog.noted(out)) or {}
    same = noted.get("model") == model  # a log is of one engine, however many pictures are left
    engine = noted.get("engine", "auto") if same else "auto"
    asked = Model(model, engine=engine, talker=talker)
    task = asked.trained.tasks[0] if signs else _task(asked, ask)
    if signs:
        require_signs(asked)
    form, hidden = "jsonl" if jsonl else "json" if json_ else "text", not sys.stderr.isatty()
    total = None if files_from else len(tasks)
    with ExitStack() as stack:
        engine = asked.settle(total, rounded=True)
        log = (
            stack.enter_context(_open_log(out, asked, engine, ask, show, top, signs=signs))
            if out
            else None
        )
        bar = stack.enter_context(progress_bar(total=total, unit="pic", delay=2, disable=hidden))
        known, stale = _known(log or ())
        every = chain(tasks, () if files_from is None else _listed(files_from))
        left = _left(every, known, stale, bar)
        several = len(tasks) > 1 or files_from is not None
        hint = "" if signs else hint_of(asked.name)
        printer = Printer(asked, task, show, form, log, drawings, several, top, hint)
        asking = Asking(ask, signs, settings.max_pixels, bool(drawings))
        together = _WATCHED if form == "text" else TOGETHER
        for seen in see_many(left, asked, processes, asking=asking, together=together):
            bar.clear()
            printer.take(seen)
            bar.update()
        printer.close(len(known), stale)


def _task(model: Model, ask: str | None) -> Task:
    """Return the task of a question; say where it is one of several, or none it was trained on."""
    run, task = model.trained, model.task(ask)
    others = [repr(one.question) for one in run.tasks[1:]]
    if ask is None and others and not run.free:
        asked = task.question or "as its dataset asks"
        more = ", ..." if len(others) > _NAMED else ""
        say(f"asked {asked!r}; --ask takes {', '.join(others[:_NAMED])}{more} too")
    elif (talker := model.talker_for(ask)) is not None:
        say(f"{model.name} names what it sees, and {talker.name} answers about the name")
    elif task not in run.tasks and not run.free:
        say(f"{model.name} was not trained to answer {ask!r}; what it writes may be wrong")
    elif task not in run.tasks:
        say(
            f"{model.name} writes the answer from the picture; to a kind of question that it did "
            "not learn it may write anything (--talker smollm2-135m answers from the name)"
        )
    return task


def _known(lines: Iterable[Any]) -> tuple[dict[int, tuple[int, str]], set[int]]:
    """Return the line and state of each picture that has an answer, by the hash of its path.

    Lines that a later one replaces come too: a program that was killed left them.
    """
    known: dict[int, tuple[int, str]] = {}
    stale = set()
    for number, line in enumerate(lines):
        key, state = hash64(line["path"]), line.get("state", "")
        if known.get(key, (0, state))[1] != state:
            stale.add(known[key][0])
        known[key] = number, state
    return known, stale


def _left(
    tasks: Iterable[PictureFile], known: dict[int, tuple[int, str]], stale: set[int], bar: Any
) -> Iterator[PictureFile]:
    """Yield the pictures that have no answer yet, or changed: the line of that one is stale."""
    for task in tasks:
        now, key = state_of(task.path), hash64(task.path)
        if task.error is None and key in known:
            number, before = known[key]
            if not before or now in ("", before):
                bar.update()
                continue
            del known[key]
            stale.add(number)
        yield replace(task, state=now)
