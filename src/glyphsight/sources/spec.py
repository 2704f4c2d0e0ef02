"""From a SPEC such as ``bundled`` or ``idx:DIR`` to the source it names."""

from __future__ import annotations

from collections.abc import Callable

from glyphsight.errors import DatasetError
from glyphsight.sources.base import Source
from glyphsight.sources.bundled import BundledSource
from glyphsight.sources.idx import IdxSource

SOURCES: dict[str, Callable[[str], Source]] = {"bundled": BundledSource, "idx": IdxSource}


def is_spec(text: str) -> bool:
    """Whether ``text`` is a source SPEC rather than a path."""
    return text.partition(":")[0] in SOURCES


def open_source(spec: str) -> Source:
    """Open ``KIND`` or ``KIND:LOCATION``.

    Raises:
        DatasetError: No such kind, or the location does not hold what the kind needs.
    """
    kind, _, location = spec.partition(":")
    if kind not in SOURCES:
        raise DatasetError(f"{spec}: unknown source; there is {', '.join(SOURCES)} (see --help)")
    return SOURCES[kind](location)
