"""``glyphsight see``: the model's answers to pictures."""

from __future__ import annotations

import os
import sys
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from glyphsight.cli.help import explains
from glyphsight.cli.options import FROM_FILE, Json, Processes, with_settings
from glyphsight.cli.output import print_json, say, will_resume
from glyphsight.console import printable, progress_bar
from glyphsight.errors import GlyphsightError
from glyphsight.extras import MissingPackageError
from glyphsight.files import JsonLog, hash64, json_line, write
from glyphsight.media import MEDIA
from glyphsight.media.bulk import EncodeSettings, PictureFile, plan, state_of
from glyphsight.models.runs import DEFAULT_MODEL, RUN_FILE, UNKNOWN, Task, resolve

if TYPE_CHECKING:
    from glyphsight.inference import Answer, Model, Seen

_SHOWN = 4  # likeliest labels
_SURE = 0.8  # smallest probability of an answer that is not called unsure
_NAMED = 6  # questions that a message lists
_WATCHED = 8  # pictures answered together while a user reads along
_STDIN = "-"
_NOTES = {  # about how a picture was read, by field of its answer
    "inverted": "dark on light, inverted",
    "cropped": "cropped and centred",
    "empty": "nothing to see in it: every cell is alike",
}


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
        problem = f"{out} is one file for {len(different)} pictures; give a directory"
    elif out.is_file() or out.suffix.lower() in (".jpg", ".jpeg", ".svg", ".pdf", ".html"):
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


def _open_log(file: Path, model: Model, engine: str, question: str | None, show: bool) -> JsonLog:
    """Open a file of answers of one training of a model, one engine, one question and one form."""
    run = resolve(model.name).user_run
    trained = (run / RUN_FILE).stat().st_mtime_ns if run else None
    will_resume()
    settings = {"model": model.name, "trained": trained, "ask": question, "show": show}
    return JsonLog(file, settings | {"engine": engine})


@dataclass
class _Printer:
    """Prints each answer as it comes, draws what it rests on, and counts."""

    model: Model
    task: Task
    show: bool
    form: str  # text, json or jsonl
    log: JsonLog | None
    drawings: Mapping[str, Path]
    several: bool
    undrawn: MissingPackageError | None = None  # why nothing can be drawn here
    written: int = 0
    failed: int = 0
    _documents: list[dict[str, Any]] = field(default_factory=list)
    _noted: dict[str, tuple[str, int]] = field(default_factory=dict)  # first picture, and number

    def take(self, seen: Seen) -> None:
        """Print an answer and draw what it rests on, or say why there is none."""
        if seen.answer is None:
            say(f"glyphsight: {seen.error}")
            self.failed += 1
            return
        note, own = self._note(seen.answer) if self.form != "jsonl" else ("", True)
        if note and (own or not self.several):
            say(f"{seen.path}: {note}")
        elif note:  # once for all, at the end
            first, count = self._noted.get(note, (seen.path, 0))
            self._noted[note] = first, count + 1
        self._write(seen, seen.answer)
        self.written += 1
        file = self.drawings.get(seen.path)
        if file and self.undrawn is None and not seen.answer.empty:
            try:
                self._draw(file, seen)
            except MissingPackageError as error:
                self.undrawn = error

    def _note(self, answer: Answer) -> tuple[str, bool]:
        """Say how a picture was read, and between what its answer is unsure; "" for nothing.

        Returns:
            The words, and True where they are about this picture more than about its kind.
        """
        profile = self.model.trained.profile
        if not answer.found:
            if answer.empty and profile.ink:
                return "found nothing that stands out from its ground", True
            said = "; ".join(said for field, said in _NOTES.items() if getattr(answer, field))
            return said.replace("to see", "to hear") if profile.trim else said, answer.empty
        ranked = self._ranked(answer)
        if answer.known and not answer.parts and len(ranked) > 1 and ranked[0][1] < _SURE:
            return f"found {answer.found}; unsure between {ranked[0][0]} and {ranked[1][0]}", True
        return f"found {answer.found}", False

    def _ranked(self, answer: Answer) -> list[tuple[str, float]]:
        """Return the names of the labels and their probabilities, likeliest first.

        Where the model does not know the picture, "unknown" is left out: it is said already.
        """
        every = [one for one in answer.probabilities.items() if answer.known or one[0] != UNKNOWN]
        return [(self.task.name_of(label), chance) for label, chance in every]

    def _said(self, answer: Answer, shown: int = _SHOWN) -> str:
        """Say an answer in words: the likeliest labels, the first with its probability."""
        if answer.parts:
            digits = all(part.known and part.label in "0123456789" for part in answer.parts)
            digits = digits and not self.task.names
            each = [self._said(part, 1) for part in answer.parts]
            return f"{len(each)} {'digits' if digits else 'things'}: {', '.join(each)}"
        if answer.empty or not answer.probabilities:
            return answer.name
        ranked = [(name, f"{100 * chance:.1f} %") for name, chance in self._ranked(answer)]
        best = [f"{name} ({chance})" for name, chance in ranked[:1]]
        if not answer.known:
            return "; nearest: ".join([answer.name, *best])
        return ", ".join([*best, *map(" ".join, ranked[1:shown])])

    def _draw(self, file: Path, seen: Seen) -> None:
        """Draw one picture's explanation and say where it is."""
        loaded = self.model.get()
        from glyphsight.evaluate.explanation import draw_explanation

        assert seen.pixels is not None
        assert seen.answer is not None
        drawn = draw_explanation(
            Path(seen.path).name, seen.pixels, seen.answer, loaded, self.task.question
        )
        write(file, drawn)
        say(f"{seen.path}: what it looked at: {file}")

    def _write(self, seen: Seen, answer: Answer) -> None:
        path = seen.path
        value = {"path": path, "question": self.task.question} | asdict(answer)
        if self.form == "json":
            self._documents.append(value)
            return
        if self.form == "jsonl":
            value["model"] = self.model.name
            if not self.show:
                for one in (value, *value["parts"]):
                    del one["ascii_image"]
            if self.log is not None:
                self.log.append([value | {"state": seen.state}], sync=False)
            else:
                print(json_line(value), flush=True)
            return
        if self.show:
            sys.stdout.write("\n".join(one.ascii_image for one in answer.parts or (answer,)))
        print(printable(f"{path}: {self._said(answer)}"), flush=True)

    def close(self, known: int, stale: Set[int]) -> None:
        """Print what comes at the end; ``known`` answers were there before, ``stale`` lines go.

        Raises:
            GlyphsightError: Nothing could be drawn here.
            typer.Exit: A picture has no answer.
        """
        if self.form == "json":
            print_json(self._documents)
        for note, (first, count) in self._noted.items():
            say(f"{f'{count} pictures' if count > 1 else first}: {note}")
        if self.log is not None:
            self.log.drop(stale)
            before = f"; {known} were there already" if known else ""
            say(f"{self.log.path}: {self.written} answers written{before}")
        if self.undrawn is not None:
            raise GlyphsightError(f"--explain: {self.undrawn}")
        if self.failed:
            raise typer.Exit(1)


Explain = Annotated[
    Path | None,
    typer.Option(
        help="Draw what the model looked at: a .png of one picture, or a directory.",
        show_default=False,
    ),
]


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
            help="sight: an adapter of SmolLM2, trained on digits; nano-digits, nano-fashion, "
            "nano-names: small models, trained on digits, on clothes, on signs, icons and "
            "sketches, in milliseconds; or a run directory, from glyphsight train or demo."
        ),
    ] = DEFAULT_MODEL,
    ask: Annotated[
        str | None,
        typer.Option(
            help="Question in words; one that the model was not trained on is answered in writing.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the text the model read.")] = False,
    explain: Explain = None,
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
    _require_fit(images, files_from, out, explain, json_, jsonl)
    if processes.engine == "local" and processes.workers is None:
        processes = replace(processes, workers=1)
    if not processes.here and _STDIN in (images or []):
        raise GlyphsightError("-: one process reads it; leave --engine and --workers out")
    from glyphsight.inference import Model
    from glyphsight.inference.see import TOGETHER, see_many

    tasks = plan(images or [], None)
    drawings = explanation_files(explain, [task.path for task in tasks])
    noted = (out and JsonLog.noted(out)) or {}
    same = noted.get("model") == model  # a log is of one engine, however many pictures are left
    asked = Model(model, engine=noted.get("engine", "auto") if same else "auto")
    task = _task(asked, ask)
    form, hidden = "jsonl" if jsonl else "json" if json_ else "text", not sys.stderr.isatty()
    total = None if files_from else len(tasks)
    with ExitStack() as stack:
        engine = asked.settle(total, rounded=True)
        log = stack.enter_context(_open_log(out, asked, engine, ask, show)) if out else None
        bar = stack.enter_context(progress_bar(total=total, unit="pic", delay=2, disable=hidden))
        known, stale = _known(log or ())
        asking = chain(tasks, () if files_from is None else _listed(files_from))
        left = _left(asking, known, stale, bar)
        several = len(tasks) > 1 or files_from is not None
        printer = _Printer(asked, task, show, form, log, drawings, several)
        how: dict[str, Any] = {
            "question": ask,
            "max_pixels": settings.max_pixels,
            "pixels": bool(drawings),
        }
        together = _WATCHED if form == "text" else TOGETHER
        for seen in see_many(left, asked, processes, together=together, **how):
            bar.clear()
            printer.take(seen)
            bar.update()
        printer.close(len(known), stale)


def _task(model: Model, ask: str | None) -> Task:
    """Return the task of a question; say where it is one of several, or none it was trained on.

    Raises:
        ModelError: The model cannot answer the question.
    """
    run, task = model.trained, model.task(ask)
    others = [repr(one.question) for one in run.tasks[1:]]
    if ask is None and others:
        asked = task.question or "as its dataset asks"
        more = ", ..." if len(others) > _NAMED else ""
        say(f"asked {asked!r}; --ask takes {', '.join(others[:_NAMED])}{more} too")
    elif task not in run.tasks and not run.free:
        say(f"{model.name} was not trained to answer {ask!r}; what it writes may be wrong")
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


def _require_fit(
    images: list[str] | None,
    files_from: str | None,
    out: Path | None,
    explain: Path | None,
    *forms: bool,
) -> None:
    """Refuse options that do not go together; ``forms`` are those of ``--json`` and ``--jsonl``."""
    _, jsonl = forms
    for wrong, problem, option in (
        (not images and files_from is None, "name a picture", None),
        (all(forms), "give one of --json and --jsonl", "--json"),
        (out is not None and not jsonl, "is of use with --jsonl; give it too", "--out"),
        (
            explain is not None and (jsonl or files_from is not None),
            "draws pictures named on the command line; leave --jsonl and --files-from out",
            "--explain",
        ),
    ):
        if wrong:
            raise typer.BadParameter(problem, param_hint=option)
