"""Where labelled pictures come from: folders, tables, archives, the hub, by a source SPEC."""

from glyphsight.sources.base import (
    Failure,
    Part,
    Pictures,
    Source,
    batches,
    load_split,
    ranges,
    read_split,
)
from glyphsight.sources.spec import SOURCES, is_spec, open_source

__all__ = [
    "SOURCES",
    "Failure",
    "Part",
    "Pictures",
    "Source",
    "batches",
    "is_spec",
    "load_split",
    "open_source",
    "ranges",
    "read_split",
]
