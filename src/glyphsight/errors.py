"""The package's exceptions: every message says what is wrong, where, and the fix."""

from collections.abc import Iterable
from difflib import get_close_matches


class GlyphsightError(Exception):
    """Bad input or a state the user can fix; the command line prints it as one line, exit 1."""


class FormatError(GlyphsightError):
    """Text that is not an ASCII_Image.

    Attributes:
        line: 1-based line number in the text, 0 when no single line is at fault.
    """

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line


class PictureError(GlyphsightError):
    """A file or array that cannot be read as a picture."""


class DatasetError(GlyphsightError):
    """A dataset or source that cannot be read, or a record in it that is wrong."""


class ModelError(GlyphsightError):
    """A base model, adapter or run directory that cannot be used."""


def one_line(error: BaseException) -> str:
    """Return the message of another library's exception, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def reason_of(error: Exception) -> str:
    """Say in one line what went wrong: the system's words, else the first line of the message."""
    said = error.strerror if isinstance(error, OSError) else None
    return said or str(error).strip().split("\n")[0] or repr(error)


def meant(name: str, known: Iterable[str]) -> str:
    """Return the beginning of a fix that names the nearest known name; "" where none is near."""
    ends = {one.rpartition("/")[2]: one for one in known}  # directories have a long part in common
    close = get_close_matches(name.rpartition("/")[2], ends, n=1, cutoff=0.7)
    return f"give {ends[close[0]]}, if that is meant; else " if close else ""
