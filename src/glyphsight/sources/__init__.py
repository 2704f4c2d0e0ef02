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
from glyphsight.sources.picture import load_picture
from glyphsight.sources.spec import is_spec, open_source, source_help

__all__ = [
    "Failure",
    "Part",
    "Pictures",
    "Source",
    "batches",
    "is_spec",
    "load_picture",
    "load_split",
    "open_source",
    "ranges",
    "read_split",
    "source_help",
]
