"""Picture files to texts: folders and globs, in parallel, in order, resumable."""

from __future__ import annotations

import glob
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight import parallel
from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.console import say
from glyphsight.errors import GlyphsightError, PictureError
from glyphsight.files import JsonLog, hash64, matching, walk, write
from glyphsight.media import load_gray, medium_of
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.parallel import Workers
from glyphsight.settings import check, setting

_LOG = ".glyphsight-encode.jsonl"  # in --out: its texts and the pictures they were made from
_CHUNK = 4  # pictures
_FAST_JPEG = 4  # pixels per cell that fast_jpeg leaves at least


@dataclass(frozen=True)
class EncodeSettings:
    """Settings that, with a picture, decide its text.

    Attributes:
        profile: Settings of the conversion from picture to text.
        frame: Number of the image frame of an animation, from 0.
        background: Gray value under transparency; auto takes the one that stands out.
        max_pixels: Largest number of pixels per file.
        fast_jpeg: Decoding of large JPEGs at a reduced scale: faster, and the text may differ.
        fit: Function from gray pixels and ``profile`` to the profile of that picture: a frozen
            dataclass, so that it reaches other processes and is noted with the settings.

    Raises:
        GlyphsightError: A value cannot be.
    """

    profile: Profile = PUBLISHED
    frame: int = setting(0, low=0)
    background: str = setting("auto", choices=("auto", "black", "white"))
    max_pixels: int = setting(MAX_PIXELS, low=1)
    fast_jpeg: bool = False
    fit: Callable[[NDArray[np.uint8], Profile], Profile] | None = None

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class PictureFile:
    """A picture file, the file that its text goes to, and what came of it."""

    path: str  # path of the picture; ``-`` is standard input
    target: Path | None = None  # path of its text; None where it is only printed
    found: bool = False  # True where the target holds the text already
    strange: bool = False  # True where something else is there that this command did not write
    error: str | None = None  # reason why there is no text
    text: str = ""  # the text; "" until there is one
    state: str = ""  # size and time of the picture that was read

    def read(self, **how: Any) -> NDArray[np.uint8]:
        """Read the picture as :func:`~glyphsight.media.load_gray` does, gray uint8[H, W]."""
        return load_gray(sys.stdin.buffer if self.path == "-" else self.path, **how)


def _expand(path: str) -> list[tuple[str, Path]]:
    """Return the pictures that an argument names, each with its text's path under ``--out``."""
    if path == "-":
        return [("-", Path("stdin.txt"))]
    given = Path(path)
    if path and given.is_dir():
        every = sorted(map(Path, walk(given)))
        inside = [name for name in every if medium_of(name)]
        if not inside:
            raise PictureError(
                f"{path}: a folder without pictures or sounds; name one that holds some"
            )
        if others := [name for name in every if not medium_of(name)]:
            say(
                f"{path}: left out what is neither picture nor sound by its name: {others[0]}"
                + (f" and {len(others) - 1} more" if len(others) > 1 else "")
            )
        return [(str(given / name), name.with_suffix(".txt")) for name in inside]
    if glob.has_magic(path) and not given.exists():
        folder, names = matching(path)
        if not names:
            raise PictureError(f"{path}: matches no file; fix the pattern")
        shared = os.path.commonpath([os.path.dirname(name) for name in names])  # noqa: PTH120
        texts = (Path(name).relative_to(shared).with_suffix(".txt") for name in names)
        return [(f"{folder}{name}", text) for name, text in zip(names, texts, strict=True)]
    return [(path, Path(given.stem + ".txt"))]


def open_log(out: Path, settings: EncodeSettings) -> JsonLog:
    """Open the list of the texts in ``out`` that these settings made, each with its picture.

    Raises:
        GlyphsightError: Nothing can be written there, or another process writes there.
    """
    before: list[Any] = []
    with suppress(OSError, ValueError):
        before = [json.loads(line) for line in (out / _LOG).read_bytes().splitlines()]
    log = JsonLog(out / _LOG, asdict(settings), restart=True)
    if before and not log.count:  # texts of other settings are to be made again, and are ours
        log.append([{**line, "state": "other settings"} for line in before])
    return log


def state_of(path: str) -> str:
    """Return the size and time of a picture file; "" where there is none, as of ``-``."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _key(picture: str, state: str) -> int:
    return hash64(f"{os.path.abspath(picture)}\0{state}")  # noqa: PTH100


def plan(paths: list[str], out: Path | None, log: JsonLog | None = None) -> list[PictureFile]:
    """Return one task per picture, in the order of ``paths``, folders and globs sorted.

    Args:
        paths: Pictures, folders, globs, or ``-``.
        out: Directory of the texts; None where they are only printed.
        log: List of the texts that need not be made again, unless their picture changed; None to
            make all again.

    Returns:
        The tasks. Of two that would write one file the later one carries an error.
    """
    made = {hash64(line["text"]): _key(line["picture"], line["state"]) for line in log or ()}
    owner: dict[Path, str] = {}

    def task(name: str, text: Path) -> PictureFile:
        if out is None:
            return PictureFile(name)
        target = out / text
        if target in owner:
            problem = f"{name}: would overwrite {target}, written from {owner[target]}"
            return PictureFile(name, error=f"{problem}; rename one of the two")
        owner[target] = name
        there, key = target.is_file(), made.get(hash64(str(text)))
        found = there and key == _key(name, state_of(name)) and target.stat().st_size > 0
        strange = there and log is not None and key is None and name != "-"
        return PictureFile(name, target, found, strange)

    tasks: list[PictureFile] = []
    for path in paths:
        try:
            tasks += [task(name, text) for name, text in _expand(path)]
        except GlyphsightError as error:
            tasks.append(PictureFile(path, error=str(error)))
    return tasks


def _encode_one(settings: EncodeSettings, task: PictureFile) -> PictureFile:
    """Read, encode and write one picture; a failure comes back as a line."""
    if task.error is not None:
        return task
    state = state_of(task.path)  # before it is read: a later change is seen next time
    try:
        if task.found and task.target is not None:
            return replace(task, text=task.target.read_text(encoding="utf-8"))
        profile = settings.profile
        rows_or_columns = max(profile.width, profile.height or 0)
        pixels = task.read(
            frame=settings.frame,
            background=settings.background,
            max_pixels=settings.max_pixels,
            jpeg_at_least=_FAST_JPEG * rows_or_columns if settings.fast_jpeg else None,
        )
        try:
            if settings.fit is not None:
                profile = settings.fit(pixels, profile)
            text = encode_batch(pixels[None], profile)[0]
        except GlyphsightError as error:
            raise PictureError(f"{task.path}: {error}") from None
        if task.target is not None:
            if task.strange and task.target.read_bytes() != text.encode():
                raise PictureError(
                    f"{task.path}: {task.target} is there and no text of this command; "
                    "move it, choose another --out, or add --force"
                )
            write(task.target, text)
        return replace(task, text=text, state=state)
    except GlyphsightError as error:
        problem = str(error)
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{task.target}: cannot be read ({error}); remove the file"
    except MemoryError:
        problem = f"{task.path}: not enough memory; shrink it or lower --workers"
    return replace(task, error=problem)


def _encode_some(settings: EncodeSettings, tasks: list[PictureFile]) -> list[PictureFile]:
    return [_encode_one(settings, task) for task in tasks]


def results(
    tasks: list[PictureFile],
    settings: EncodeSettings,
    workers: int | None,
    log: JsonLog | None = None,
) -> Iterator[PictureFile]:
    """Yield every task with its text or the reason why there is none, in order.

    Raises:
        GlyphsightError: A worker process ended.
    """
    if len(tasks) <= _CHUNK or any(task.path == "-" for task in tasks):
        workers = 1  # standard input is this process's own
    chunks = [tasks[start : start + _CHUNK] for start in range(0, len(tasks), _CHUNK)]
    for some in parallel.map(partial(_encode_some, settings), chunks, Workers(workers=workers)):
        if log is not None:
            out = log.path.parent
            lines = [
                (str(one.target.relative_to(out)), os.path.abspath(one.path), one.state)  # noqa: PTH100
                for one in some
                if one.target is not None and one.state
            ]
            names = ("text", "picture", "state")
            log.append([dict(zip(names, line, strict=True)) for line in lines], sync=False)
        yield from some
