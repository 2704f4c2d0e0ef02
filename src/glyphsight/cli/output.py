"""Talk to the user: results on standard output, words on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from glyphsight.console import printable
from glyphsight.console import say as say  # for the commands, which print with it

if TYPE_CHECKING:
    from glyphsight.evaluate.result import Share
    from glyphsight.evaluate.statistics import Paired

_resume = ""


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def print_table(lines: Sequence[Sequence[str]], width: Callable[[str], int] = len) -> None:
    """Print lines of equally many cells as columns, the first one flush left, the others right.

    A line feed in a cell is printed as its escape. ``width`` counts the columns of a terminal that
    a text takes.
    """
    lines = [list(map(printable, line)) for line in lines]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    for first, *rest in lines:
        cells = [first + " " * (widths[0] - width(first))]
        cells += [
            " " * (wide - width(cell)) + cell for cell, wide in zip(rest, widths[1:], strict=True)
        ]
        print("  ".join(cells).rstrip())


def share_cells(share: Share) -> list[str]:
    """Write a share of right answers and its interval, in percent."""
    low, high = share.interval
    return [f"{100 * share.accuracy:.2f} %", f"{100 * low:.2f}-{100 * high:.2f}"]


def difference(found: Paired) -> str:
    """Write a paired difference in percentage points, with interval and p-value."""
    by, low, high = (f"{100 * value:+.2f}" for value in (found.difference, *found.interval))
    return f"{by} points, 95 % interval {low} to {high}, p = {found.p_value:.2g}"


def will_resume(how: str = "the same command resumes from here") -> None:
    """Let Ctrl-C say how to resume, once what is done is kept."""
    global _resume
    _resume = how


def stopped() -> str:
    """Return the words for Ctrl-C."""
    return f"stopped; {_resume}" if _resume else "stopped"
