"""Words to the user, on standard error: standard output is for results."""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import Any

_TERMINAL_SECONDS, _FILE_SECONDS = 0.1, 30.0
_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


def say(text: str) -> None:
    """Print a line on standard error at once."""
    print(text, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Write control characters, such as line feeds, as escapes, so that a text keeps its line."""
    return re.sub(
        r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]",
        lambda one: one[0].encode("unicode_escape").decode(),
        text,
    )


def progress_bar(total: int | None, unit: str, desc: str | None = None, **how: Any) -> Any:
    """Make a tqdm bar on standard error; in a file, write a line each 30 seconds in its place.

    ``total`` is None where it is not known; ``how`` are arguments of ``tqdm``, such as ``disable``.
    """
    from tqdm import tqdm  # not needed by most commands

    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        return tqdm(total=total, unit=unit, desc=desc, mininterval=_TERMINAL_SECONDS, **how)
    how |= {"mininterval": _FILE_SECONDS, "delay": _FILE_SECONDS, "miniters": 0}
    return _lines()(total=total, unit=unit, desc=desc, bar_format=_LINE, **how)


@cache
def _lines() -> Any:
    """Return a tqdm that writes whole lines; work that ends sooner than the first writes none."""
    from tqdm import tqdm

    class Lines(tqdm):  # type: ignore[misc]
        said = 0.0

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            if (now := self._time()) - (self.said or self.start_t) >= self.mininterval:
                self.said = now
                self.fp.write(f"{self}\n")
                self.fp.flush()

        def clear(self, nolock: bool = False) -> None:
            """Leave lines as they are."""

        def close(self) -> None:
            if self.said and not self.disable:
                self.fp.write(f"{self}\n")
            self.sp = None  # tqdm then writes nothing at the end
            super().close()

    return Lines
