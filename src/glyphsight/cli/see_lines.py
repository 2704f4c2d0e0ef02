"""``glyphsight see --jsonl``: any number of pictures, an answer a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import IO, Any

from glyphsight.cli.output import say, will_resume
from glyphsight.console import progress_bar
from glyphsight.errors import GlyphsightError
from glyphsight.files import claim
from glyphsight.inference import Model
from glyphsight.media.bulk import PictureFile, plan
from glyphsight.models.record import RUN_FILE
from glyphsight.models.runs import resolve
from glyphsight.sources.items import is_unicode

STDIN = "-"


def _listed(file: str) -> Iterator[PictureFile]:
    """What each line of a file of paths names."""
    with ExitStack() as stack:
        try:
            lines: IO[str] = (
                sys.stdin
                if file == STDIN
                else stack.enter_context(Path(file).open(encoding="utf-8"))
            )
            for line in lines:
                if path := line.rstrip("\r\n"):
                    yield from plan([path], None, None)
        except (OSError, UnicodeDecodeError) as error:
            raise GlyphsightError(f"{file}: cannot be read ({error}); give another file") from error


def _key(path: str) -> int:
    """A number for a path: a set of them is smaller than one of paths."""
    return int.from_bytes(blake2b(path.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _answered(file: Path, model: str, show: bool) -> tuple[set[int], int]:
    """Keys of the paths that a file answers, and bytes of its whole lines.

    Raises:
        GlyphsightError: It holds something else, or answers of another model or with other keys.
    """
    found: set[int] = set()
    whole = 0
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):  # torn when an earlier call was killed
                    break
                whole += len(line)
                row = json.loads(line)
                if row["model"] != model:
                    raise GlyphsightError(
                        f"{file}: line {number} is an answer of {row['model']}; give another --out"
                    )
                if ("ascii_image" in row) != show:
                    raise GlyphsightError(
                        f"{file}: line {number} was written with{'out' if show else ''} --show; "
                        f"{'leave it out' if show else 'give it again'}, or give another --out"
                    )
                found.add(_key(row["path"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise GlyphsightError(
            f"{file}: line {number} is no answer of glyphsight see --jsonl; give another --out"
        ) from None
    except OSError as error:
        raise GlyphsightError(
            f"{file}: cannot be read ({error.strerror}); give another --out"
        ) from error
    run = resolve(model).user_run
    if run and whole and (run / RUN_FILE).stat().st_mtime > file.stat().st_mtime:
        raise GlyphsightError(
            f"{file}: {model} was trained anew since it was written; give another --out"
        )
    return found, whole


class Lines:
    """A file of answers that is gone on with, by this process alone; or standard output.

    Attributes:
        answered: Keys of the paths the file answers already.

    Raises:
        GlyphsightError: The file holds something else, another model's answers or some with other
            keys, cannot be written, or another process is writing it.
    """

    def __init__(self, file: Path | None, model: str, *, show: bool = False) -> None:
        self.answered: set[int] = set()
        self._model = model
        self._stream: IO[bytes] | None = None
        if file is None:
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = file.open("ab")
        except OSError as error:
            raise GlyphsightError(
                f"{file}: cannot be written ({error.strerror}); give another --out"
            ) from error
        try:
            if not claim(self._stream):
                raise GlyphsightError(
                    f"{file}: another process is writing it; wait for it, or give another --out"
                )
            self.answered, whole = _answered(file, model, show)
            self._stream.truncate(whole)
        except GlyphsightError:
            self._stream.close()
            raise

    def write(self, document: dict[str, Any]) -> None:
        """Write one answer."""
        whole = document | {"model": self._model}
        line = json.dumps(whole, ensure_ascii=False)
        if not is_unicode(line):  # the name of a file may be any bytes
            line = json.dumps(whole)
        stream = sys.stdout.buffer if self._stream is None else self._stream
        stream.write(line.encode() + b"\n")
        stream.flush()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()


def answer_lines(
    images: list[str],
    files_from: str | None,
    model: str,
    *,
    out: Path | None,
    show: bool,
    engine: str,
    workers: int | None,
    ray_address: str | None,
) -> int:
    """Write a JSON object a picture, in their order.

    Args:
        images: Pictures, folders, globs, or ``-``.
        files_from: A file of more of them, one a line.
        model: Who is asked.
        out: Where to, gone on with where it is there; None for standard output.
        show: Write the text that the model read as well.
        engine: ``local`` or ``ray``.
        workers: Processes.
        ray_address: Of a running cluster.

    Returns:
        How many pictures failed; each is named on standard error.
    """
    from glyphsight.inference.see import see_many
    from glyphsight.parallel import Workers

    workers = 1 if engine == "local" and workers is None else workers
    where = Workers(engine, workers, ray_address)
    if not where.here and STDIN in images:
        raise GlyphsightError(
            "-: a picture on standard input is read by one process; leave --engine and --workers "
            "out"
        )
    tasks = plan(images, None, None)
    if out is not None:
        will_resume()
    loaded = Model.load(model)
    failed = written = 0
    hidden = not sys.stderr.isatty() or (out is None and sys.stdout.isatty())
    total = None if files_from else len(tasks)
    with (
        closing(Lines(out, loaded.name, show=show)) as lines,
        progress_bar(total=total, unit="pic", delay=2, disable=hidden) as bar,
    ):

        def left() -> Iterator[PictureFile]:
            for task in chain(tasks, () if files_from is None else _listed(files_from)):
                if task.error is None and _key(task.path) in lines.answered:
                    bar.update()
                else:
                    yield task

        for seen in see_many(left(), loaded, where):
            if seen.answer is None:
                bar.clear()
                say(f"glyphsight: {seen.error}")
                failed += 1
            else:
                answer = asdict(seen.answer)
                text = answer.pop("ascii_image")
                lines.write({"path": seen.path} | answer | ({"ascii_image": text} if show else {}))
                written += 1
            bar.update()
        if out is not None:
            before = f"; {len(lines.answered)} were there already" if lines.answered else ""
            say(f"{out}: {written} answers written{before}")
    return failed
