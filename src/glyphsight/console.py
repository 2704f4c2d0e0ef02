"""Words to the user, on standard error: standard output is for results."""

from __future__ import annotations

import re
import sys
from typing import Any

_TERMINAL_SECONDS, _FILE_SECONDS = 0.1, 30.0


def say(text: str) -> None:
    """Print a line on standard error at once."""
    print(text, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Write control characters, such as line feeds, as escapes, so that a text keeps its line."""
    return re.sub(
        r"[\x00-\x1f\x7f-\x9f\u2028\u2029]",
        lambda one: one[0].encode("unicode_escape").decode(),
        text,
    )


def progress_bar(total: int | None, unit: str, desc: str | None = None, **how: Any) -> Any:
    """Make a tqdm bar on standard error; in a file it moves twice a minute at most.

    Args:
        total: Number of units, None where it is not known.
        unit: Name of a unit.
        desc: Name of the work.
        how: Further arguments of ``tqdm``, such as ``disable``, ``initial`` and ``delay``.
    """
    from tqdm import tqdm  # not needed by most commands

    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    pause = _TERMINAL_SECONDS if watched else _FILE_SECONDS
    return tqdm(
        total=total, unit=unit, desc=desc, mininterval=pause, maxinterval=max(10.0, pause), **how
    )
