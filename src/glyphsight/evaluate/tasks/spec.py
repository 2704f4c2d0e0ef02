"""From a SPEC such as ``asciieval:test_examples.jsonl`` to the set it names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from glyphsight.errors import DatasetError
from glyphsight.evaluate.tasks.asciieval import read_asciieval
from glyphsight.evaluate.tasks.base import QuestionSet, Wording, read_wording
from glyphsight.evaluate.tasks.bigbench import read_bigbench
from glyphsight.evaluate.tasks.vitc import read_vitc
from glyphsight.sources.location import take_options

_SETS: dict[str, Callable[[Path, Wording | None], QuestionSet]] = {
    "vitc": read_vitc,
    "asciieval": read_asciieval,
    "bigbench": read_bigbench,
}


def is_set(text: str) -> bool:
    """Whether ``text`` is the SPEC of a set; a path that exists is a path."""
    kind, colon, _ = text.partition(":")
    return bool(colon) and kind in _SETS and not os.path.exists(text)  # noqa: PTH110 - may be long


def open_set(spec: str) -> QuestionSet:
    """Read ``KIND:FILE`` or ``KIND:FILE?wording=FILE``.

    The second file holds other words of a question; see
    :class:`~glyphsight.evaluate.tasks.base.Wording`.

    Raises:
        DatasetError: No such kind, a file that cannot be read, or no question in it.
    """
    kind, _, location = spec.partition(":")
    if kind not in _SETS:
        raise DatasetError(f"{spec}: unknown set; there is {', '.join(_SETS)}")
    place, options = take_options(location, "wording")
    wording = read_wording(Path(options["wording"])) if "wording" in options else None
    found = _SETS[kind](Path(place), wording)
    if not found.questions:
        raise DatasetError(f"{place}: holds no question")
    return found
