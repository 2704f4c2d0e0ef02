"""Files written whole, made once, appended to, listed and hashed; locks; the cache directory."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from glyphsight.errors import GlyphsightError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini")  # a file manager's own
_UMASK = os.umask(0)  # read once: meanwhile the files of other threads are open to all
os.umask(_UMASK)


def cache_dir() -> Path:
    """Return the directory of base models and baselines: ``$GLYPHSIGHT_CACHE``, else the user's."""
    if chosen := os.environ.get("GLYPHSIGHT_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "glyphsight"


def claim(stream: int | IO[Any], *, wait: bool = False) -> bool:
    """Lock an open file for this process until it is closed; return whether that succeeded.

    Without ``wait`` a file that another process holds is not waited for. A system without locks
    lets every process succeed.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    return True


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process makes ``path``, and keep the others waiting for the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as stream:
        claim(stream, wait=True)
        yield


def unwritable(path: Path, error: OSError) -> GlyphsightError:
    """Return the error for a path that cannot be written."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return GlyphsightError(f"{path}: {path.parent} is not a directory; choose another path")
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    fix = "free some space" if full else "choose another path"
    return GlyphsightError(f"{path}: cannot be written ({error.strerror or error}); {fix}")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into the one for a path that cannot be written."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def claimed(directory: Path, lock: str, what: str) -> Iterator[None]:
    """Keep other processes out of a directory for the block; the directory is made if missing.

    Args:
        directory: Directory that ``what``, such as a build, writes in.
        lock: Path of the locked file below it, such as ``.build/lock``; made if missing.
        what: Word for the work in the error.

    Raises:
        GlyphsightError: Nothing can be written there, or another process is writing.
    """
    path = directory / lock
    with _writing(directory / lock.partition("/")[0]):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    with stream:
        if not claim(stream):
            raise GlyphsightError(
                f"{directory}: another {what} is writing here; wait for it, or give another --out"
            )
        yield


def let_others_read(*paths: Path) -> None:
    """Give files the permissions of the umask, where a library made them its owner's alone."""
    for path in paths:
        path.chmod(0o666 & ~_UMASK)


@contextmanager
def replacing_path(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield the path of an empty temporary file that becomes ``path`` when the block ends well.

    Args:
        path: File to write; missing parent directories are made.
        folder: Directory of the temporary file, on the same file system; None for that of ``path``.

    Raises:
        GlyphsightError: Nothing can be written there, or the disk is full.
    """
    if path.is_symlink():  # the file that it leads to is replaced
        path = Path(os.path.realpath(path))
    with _writing(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise GlyphsightError(f"{path}: is no file but a device or a pipe; name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = folder or path.parent
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")  # short
    os.close(handle)
    temporary = Path(name)
    try:
        try:
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
        except OSError as error:
            if error.filename is None:  # the temporary file's own, such as a full disk
                raise unwritable(path, error) from error
            raise
        let_others_read(temporary)
        with _writing(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary directory that becomes ``path`` when the block ends well.

    Args:
        path: Directory to make; missing parent directories are made. An empty one may be there.

    Raises:
        GlyphsightError: Something is there already, nothing can be written, or the disk is full.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise GlyphsightError(f"{path}: is there already; choose another path, or remove it")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-")
    with folder as name:
        made = Path(name, path.name)
        made.mkdir()
        yield made
        with _writing(path):
            made.replace(path)


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a temporary file that becomes ``path``, as :func:`replacing_path` gives it.

    The mode is ``"w"`` for UTF-8 text with ``\n`` line ends, ``"wb"`` for bytes.
    """
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    with (
        replacing_path(path) as temporary,
        temporary.open(mode, **text) as stream,  # type: ignore[call-overload]
    ):
        yield stream


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, as :func:`replacing` does."""
    with replacing(path, "w" if isinstance(content, str) else "wb") as stream:
        stream.write(content)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document for people to read, whole or not at all."""
    write(path, json_line(value, indent=2) + "\n")


def cached(
    path: Path, make: Callable[[Path], object], whole: Callable[[Path], bool] = Path.exists
) -> Path:
    """Make a file or a directory once, for all processes, and return its path.

    Args:
        path: File or directory; what is there is kept if it is whole, and made again if not.
        make: Function that writes the file or the directory at the path it is given, where nothing
            is yet. One process at a time does so; the result takes its place whole.
        whole: Function that checks what is at ``path``.

    Raises:
        GlyphsightError: Nothing can be written there. Whatever ``make`` raises passes.
    """
    if whole(path):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path):
            if whole(path):  # another process was faster
                return path
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
                made = Path(folder, path.name)
                make(made)
                if path.is_dir():
                    shutil.rmtree(path)
                made.replace(path)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(path.parent)):
            raise
        raise unwritable(path, error) from error
    return path


class JsonLog(AbstractContextManager["JsonLog"]):
    """A file of JSON Lines that one process appends to, and resumes after it was killed.

    The settings that the lines depend on stand in a note beside the file, ``.NAME.settings``.
    Opened with the same settings the log keeps its whole lines and drops a torn last one.

    Attributes:
        path: The file.
        count: Number of lines in it.

    Args:
        path: File to append to; made with its directory if missing.
        settings: JSON object of all that the lines depend on.
        restart: Start of an empty log, in place of an error, with other settings.

    Raises:
        GlyphsightError: The file cannot be written, another process holds it, or its lines were
            written with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, restart: bool = False) -> None:
        self.path, self.count = path, 0
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("a+b")
        try:
            if not claim(self._stream):
                raise GlyphsightError(
                    f"{path}: another process is writing it; wait for it, or choose another path"
                )
            if self._resumes(json.loads(json.dumps(settings)), restart):
                self._stream.seek(0)
                self.count = sum(line.endswith(b"\n") for line in self._stream)
                self.truncate(self.count)  # a last line that was torn goes
            else:
                self._stream.truncate(0)  # first: old lines are never under a new note
                write(_note(self.path), json_line(settings))
        except BaseException:
            self._stream.close()
            raise

    @staticmethod
    def noted(path: Path) -> dict[str, Any] | None:
        """Return the settings that the lines of a file were written with, None where not known."""
        try:
            found = json.loads(_note(path).read_text("utf-8")) if path.stat().st_size else None
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _resumes(self, settings: dict[str, Any], restart: bool) -> bool:
        """Check that lines are there and were written with the same settings."""
        if not self.path.stat().st_size:
            return False
        before = self.noted(self.path)
        same = before == settings
        if same or restart:
            return same
        fix = "choose another path, or remove the file"
        if before is None:
            raise GlyphsightError(f"{self.path}: is there already and no log of ours; {fix}")
        changed = [
            f"{name} {before.get(name)!r}, now {settings.get(name)!r}"
            for name in sorted(before.keys() | settings.keys())
            if before.get(name) != settings.get(name)
        ]
        raise GlyphsightError(f"{self.path}: was written with {'; '.join(changed[:3])}; {fix}")

    def __iter__(self) -> Iterator[Any]:
        """Yield the JSON value of each line, read as it is asked for.

        Raises:
            GlyphsightError: A line is not JSON.
        """
        with self.path.open(encoding="utf-8") as lines:
            for number, line in enumerate(islice(lines, self.count), start=1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise GlyphsightError(
                        f"{self.path}: line {number}: cannot be read ({error}); remove the file"
                    ) from None

    def append(self, values: Iterable[Any], *, sync: bool = True) -> None:
        """Write one line for each JSON value; with ``sync`` they outlive a loss of power too."""
        lines = [f"{json_line(value)}\n" for value in values]
        with _writing(self.path):
            self._stream.write("".join(lines).encode())
            self._stream.flush()
            if sync:
                os.fsync(self._stream.fileno())
        self.count += len(lines)

    def truncate(self, count: int) -> None:
        """Keep the first ``count`` lines, such as those of whole chunks."""
        self._stream.seek(0)
        self._stream.truncate(sum(len(line) for line in islice(self._stream, count)))
        self.count = min(count, self.count)

    def drop(self, numbers: Set[int]) -> None:
        """Remove lines by number, from 0."""
        if not numbers:
            return
        with self.path.open("rb") as lines, replacing(self.path, "wb") as kept:
            kept.writelines(one for row, one in enumerate(lines) if row not in numbers)
        self._stream.close()
        self._stream = self.path.open("a+b")  # the new file
        claim(self._stream)
        self.count -= len(numbers)

    def close(self) -> None:
        """Close the file and let other processes have it."""
        with _writing(self.path):  # what a full disk did not take is written once more
            self._stream.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _note(path: Path) -> Path:
    return path.with_name(f".{path.name.lstrip('.')}.settings")


def walk(root: Path) -> list[str]:
    """List files under a directory, relative and sorted; hidden and file managers' ones left out.

    Links are followed, but not one that leads back to a folder around it.

    Raises:
        GlyphsightError: A folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise GlyphsightError(
            f"{error.filename}: cannot be read ({error.strerror}); change its permissions"
        )

    found = []
    identity: dict[Path, tuple[int, int]] = {}
    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder)
        stat = here.stat()
        identity[here] = stat.st_dev, stat.st_ino
        if any(identity.get(each) == identity[here] for each in here.parents):
            folders.clear()  # a link that leads back
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = here.relative_to(root).as_posix()
        found += [
            name if inside == "." else f"{inside}/{name}"
            for name in names
            if not name.startswith(".") and name.lower() not in _SYSTEM
        ]
    return sorted(found)


def matching(pattern: str) -> tuple[str, list[str]]:
    """Find the files that a path or a glob names; what exists of it is taken as it is written.

    Returns:
        The deepest folder of the pattern that exists, with its ``/`` ("" for the current one), and
        the files' names relative to it, sorted.
    """
    pattern = pattern.replace(os.sep, "/")
    root = pattern if pattern.endswith("/") else pattern[: pattern.rfind("/") + 1]
    while root and not Path(root).is_dir():
        root = root[: root[:-1].rfind("/") + 1]
    rest = pattern[len(root) :]
    if Path(pattern).is_file():
        return root, [rest]
    names = glob.glob(rest, root_dir=root or None, recursive=True)  # noqa: PTH207 - any root
    return root, sorted(name.replace(os.sep, "/") for name in names if Path(root, name).is_file())


def json_line(value: Any, indent: int | None = None) -> str:
    """Return a JSON value, on one line without ``indent``, in Unicode where its text allows that.

    The name of a file may be any bytes: half a surrogate pair is written as an escape.
    """
    line = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return line


def normal(text: str) -> str:
    """Return a text in the one form in which texts are compared: NFC, its ends stripped."""
    return unicodedata.normalize("NFC", text).strip()


def checksum(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the bytes of files, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()


def hash64(text: str | bytes) -> int:
    """Return the first 64 bits of the BLAKE2b of bytes or any text: a key that takes less room."""
    # The name of a file may hold half a surrogate pair.
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
