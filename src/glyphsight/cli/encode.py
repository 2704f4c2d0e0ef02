"""``glyphsight encode``: pictures, folders and globs to text."""

from __future__ import annotations

import glob
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from glyphsight.cli.output import say
from glyphsight.codec import PUBLISHED, Profile, encode_batch, resize
from glyphsight.codec.formats import get_format
from glyphsight.codec.profile import palette_of_levels, parse_thresholds, setting_help
from glyphsight.errors import GlyphsightError, PictureError
from glyphsight.files import replacing
from glyphsight.sources import load_picture
from glyphsight.sources.picture import MAX_PIXELS, PICTURE_SUFFIXES

_HELP = setting_help()
_SETTINGS = ".glyphsight-encode.json"  # in --out: what its texts were made with
_ALONE = 1.0  # seconds of work before other processes are started: they take half a second
_AHEAD = 4  # chunks a worker may have waiting: bounds what is held when the first ones are slow
_CHUNK = 4  # pictures
_FAST_JPEG = 4  # pixels a cell that --fast-jpeg leaves at least


@dataclass(frozen=True)
class _Reading:
    """How every picture of a call is read and written."""

    profile: Profile
    frame: int
    background: str
    max_pixels: int
    fast_jpeg: bool


@dataclass(frozen=True)
class _Task:
    """A picture and where its text goes; ``found`` holds a text of an earlier call there."""

    path: str
    target: Path | None = None
    found: bool = False
    error: str | None = None


@dataclass(frozen=True)
class _Done:
    task: _Task
    text: str = ""
    error: str | None = None


def _pictures_in(folder: Path) -> list[Path]:
    """Files under the folder whose suffix is a picture's, sorted; hidden ones left out."""

    def refuse(error: OSError) -> None:
        raise PictureError(f"{error.filename}: cannot be read ({error.strerror})")

    found = []
    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(root) / name
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES
        ]
    return sorted(found)


def _expand(path: str) -> list[tuple[str, Path]]:
    """The pictures that an argument names, each with its place under ``--out``."""
    if path == "-":
        return [("-", Path("stdin.txt"))]
    given = Path(path)
    if path and given.is_dir():
        inside = _pictures_in(given)
        if not inside:
            raise PictureError(f"{path}: a folder without pictures; name one that holds some")
        return [(str(each), each.relative_to(given).with_suffix(".txt")) for each in inside]
    if glob.has_magic(path) and not given.exists():
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - any root, absolute or not
        if not matches:
            raise PictureError(f"{path}: matches no file")
        root = Path(os.path.commonpath([os.path.dirname(match) for match in matches]))  # noqa: PTH120
        return [
            (match, Path(match).relative_to(root).with_suffix(".txt"))
            for match in matches
            if Path(match).is_file()
        ]
    return [(path, Path(given.stem + ".txt"))]


def _mark_settings(out: Path, reading: _Reading) -> int:
    """Note in ``out`` how its texts are made; when that changed: texts older than that are stale.

    Returns:
        The time of the note, in nanoseconds.
    """
    note = out / _SETTINGS
    said = json.dumps(asdict(reading), ensure_ascii=False)
    try:
        same = note.read_text(encoding="utf-8") == said
    except (OSError, ValueError):
        same = False
    if not same:
        with replacing(note) as stream:
            stream.write(said)
    return note.stat().st_mtime_ns


def _is_done(path: str, target: Path, since: int) -> bool:
    """Whether a text is there, made with these settings and after the picture was last changed."""
    try:
        text = target.stat()
        return text.st_size > 0 and text.st_mtime_ns >= max(since, Path(path).stat().st_mtime_ns)
    except OSError:
        return False


def _plan(paths: list[str], out: Path | None, since: int | None) -> list[_Task]:
    """One task a picture, in order. Two that would write one file: the later one is refused."""
    tasks: list[_Task] = []
    owner: dict[Path, str] = {}
    for path in paths:
        try:
            expanded = _expand(path)
        except PictureError as error:
            tasks.append(_Task(path, error=str(error)))
            continue
        for name, place in expanded:
            target = out / place if out is not None else None
            if target is not None and target in owner:
                problem = f"{name}: would overwrite {target}, written from {owner[target]}"
                tasks.append(_Task(name, error=f"{problem}; rename one of the two"))
                continue
            if target is not None:
                owner[target] = name
            found = target is not None and since is not None and _is_done(name, target, since)
            tasks.append(_Task(name, target, found))
    return tasks


def _encode_one(task: _Task, reading: _Reading) -> _Done:
    """Read, encode and write one picture; what is wrong with it comes back as a line."""
    if task.error is not None:
        return _Done(task, error=task.error)
    try:
        if task.found and task.target is not None:
            return _Done(task, task.target.read_text(encoding="utf-8"))
        profile = reading.profile
        rows_or_columns = max(profile.width, profile.height or 0)
        pixels = load_picture(
            sys.stdin.buffer if task.path == "-" else task.path,
            frame=reading.frame,
            background=reading.background,
            max_pixels=reading.max_pixels,
            jpeg_at_least=_FAST_JPEG * rows_or_columns if reading.fast_jpeg else None,
        )
        try:
            text = encode_batch(pixels[None], profile)[0]
        except PictureError as error:
            raise PictureError(f"{task.path}: {error}") from None
        if task.target is not None:
            with replacing(task.target) as stream:
                stream.write(text)
    except GlyphsightError as error:
        return _Done(task, error=str(error))
    except (OSError, UnicodeDecodeError) as error:
        return _Done(task, error=f"{task.target}: cannot be read ({error}); remove it")
    except MemoryError:
        return _Done(task, error=f"{task.path}: not enough memory; shrink it or lower --workers")
    return _Done(task, text)


def _encode_some(tasks: list[_Task], reading: _Reading) -> list[_Done]:
    return [_encode_one(task, reading) for task in tasks]


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _in_parallel(tasks: Iterator[_Task], reading: _Reading, workers: int) -> Iterator[_Done]:
    """Results in the order of the tasks, a bounded number of them under way."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _leave_interrupts_to_the_parent)
    waiting: deque[tuple[list[_Task], Future[list[_Done]]]] = deque()
    try:
        while True:
            while len(waiting) < workers * _AHEAD and (some := list(islice(tasks, _CHUNK))):
                waiting.append((some, pool.submit(_encode_some, some, reading)))
            if not waiting:
                return
            yield from waiting.popleft()[1].result()
    except BrokenProcessPool:
        raise GlyphsightError(
            "a worker process ended, most likely for want of memory; lower --workers, and go on "
            "with --out"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _results(tasks: list[_Task], reading: _Reading, workers: int | None) -> Iterator[_Done]:
    """Alone for the first second, then in parallel, unless the number of workers is given."""
    left = iter(tasks)
    if workers is None or workers == 1 or len(tasks) == 1:
        start = time.monotonic()
        for task in left:
            yield _encode_one(task, reading)
            if workers is None and time.monotonic() - start > _ALONE:
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rest = list(left)
    if any(task.path == "-" for task in rest):  # standard input is this process's own
        yield from _encode_some(rest, reading)
    elif rest:
        yield from _in_parallel(iter(rest), reading, min(workers or cores or 1, len(rest)))


def _check(profile: Profile) -> None:
    """Refuse what no picture could be encoded with, once and before the first."""
    get_format(profile.format)
    resize(np.zeros((1, 1, 1), dtype=np.uint8), 2, 2, profile.filter)


def encode(
    paths: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders (with all below), globs; - reads standard input."),
    ],
    width: Annotated[int, typer.Option(help=_HELP.get("width"))] = PUBLISHED.width,
    height: Annotated[int | None, typer.Option(help=_HELP.get("height"))] = PUBLISHED.height,
    aspect: Annotated[float, typer.Option(help=_HELP.get("aspect"))] = PUBLISHED.aspect,
    palette: Annotated[
        str | None, typer.Option(help=_HELP.get("palette"), show_default=repr(PUBLISHED.palette))
    ] = None,
    levels: Annotated[
        int | None, typer.Option(help="Pick so many glyphs, 2 to 16, from a named palette.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help=_HELP.get("format"))] = PUBLISHED.format,
    filter_: Annotated[str, typer.Option("--filter", help=_HELP.get("filter"))] = PUBLISHED.filter,
    invert: Annotated[str, typer.Option(help=_HELP.get("invert"))] = PUBLISHED.invert,
    crop: Annotated[float | None, typer.Option(help=_HELP.get("crop"))] = PUBLISHED.crop,
    contrast: Annotated[
        bool, typer.Option("--contrast", help=_HELP.get("contrast"))
    ] = PUBLISHED.contrast,
    threshold: Annotated[str, typer.Option(help=_HELP.get("threshold"))] = str(PUBLISHED.threshold),
    dither: Annotated[str, typer.Option(help=_HELP.get("dither"))] = PUBLISHED.dither,
    edges: Annotated[str, typer.Option(help=_HELP.get("edges"))] = PUBLISHED.edges,
    frame: Annotated[int, typer.Option(min=0, help="Which frame of an animation, from 0.")] = 0,
    background: Annotated[
        str, typer.Option(help="Under transparency: black, white, or auto for what stands out.")
    ] = "auto",
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse files that hold more pixels.")
    ] = MAX_PIXELS,
    fast_jpeg: Annotated[
        bool,
        typer.Option(
            "--fast-jpeg", help="Decode large JPEGs smaller: faster, and the text may differ."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write a .txt for each picture into this directory, folders in it kept; texts "
            "that are there already, newer than picture and settings, are left as they are."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write texts anew that are in --out already.")
    ] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object a picture: path, size, text.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; left out, one a core once there is work for them."),
    ] = None,
) -> None:
    """Print the ASCII_Image of each picture, in the order given; exit status 1 when any failed."""
    if levels is not None:
        palette = palette_of_levels(levels, palette)
    profile = Profile(
        width=width,
        palette=PUBLISHED.palette if palette is None else palette,
        format=format_,
        filter=filter_,
        height=height,
        aspect=aspect,
        invert=invert,
        crop=crop,
        contrast=contrast,
        threshold=parse_thresholds(threshold),
        dither=dither,
        edges=edges,
    )
    _check(profile)
    reading = _Reading(profile, frame, background, max_pixels, fast_jpeg)
    since = None if out is None else _mark_settings(out, reading)
    tasks = _plan(paths, out, None if force else since)
    failed = 0
    printing = jsonl or out is None
    hidden = not sys.stderr.isatty() or (printing and sys.stdout.isatty())
    with tqdm(total=len(tasks), unit="pic", delay=2, disable=hidden) as bar:
        for done in _results(tasks, reading, workers):
            if done.error is not None:
                bar.clear()
                say(f"glyphsight: {done.error}")
                failed += 1
            elif jsonl:
                line = {"path": done.task.path, "size": str(width), "ASCII_image": done.text}
                print(json.dumps(line, ensure_ascii=False))
            elif out is None:
                sys.stdout.write(done.text)
            bar.update()
    if found := sum(task.found for task in tasks):
        say(f"glyphsight: {found} of {len(tasks)} texts were there already; --force redoes them")
    if failed:
        raise typer.Exit(1)
