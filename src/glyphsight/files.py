"""Files replaced atomically: a reader sees the old bytes or the new, never a part. The cache."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from glyphsight.errors import GlyphsightError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def cache_dir() -> Path:
    """Where base models and baselines are kept: ``$GLYPHSIGHT_CACHE``, else the user's cache."""
    if chosen := os.environ.get("GLYPHSIGHT_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "glyphsight"


def claim(stream: int | IO[Any], *, wait: bool = False) -> bool:
    """Whether an open file is this process's alone, from now until it is closed.

    A file system, or a system, that knows no locks gives every file to all who ask.

    Args:
        stream: The open file or its descriptor.
        wait: Until no other process has it.
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
    """Wait until no other process makes ``path``, and keep them waiting for the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as stream:
        claim(stream, wait=True)
        yield


def _unwritable(path: Path, error: OSError) -> GlyphsightError:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return GlyphsightError(f"{path}: {path.parent} is not a directory; give another place")
    return GlyphsightError(f"{path}: cannot be written ({error.strerror}); give another place")


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a temporary file beside ``path`` that takes its place when the block ends well.

    Args:
        path: The file to write; missing parent directories are made.
        mode: ``"w"`` for UTF-8 text with ``\n`` line ends, ``"wb"`` for bytes.

    Raises:
        GlyphsightError: Nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise _unwritable(path, error) from error
    temporary = Path(name)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with os.fdopen(handle, mode, **text) as stream:  # type: ignore[call-overload]
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        try:
            temporary.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def checksum(files: Iterable[Path]) -> str:
    """SHA-256 of the bytes of files, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
