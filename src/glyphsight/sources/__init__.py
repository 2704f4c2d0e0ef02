"""Where labelled pictures come from: folders, tables, archives, the hub, by a source SPEC."""

from glyphsight.sources.base import Failure, Part, Pictures, Source, load_split, read_split
from glyphsight.sources.picture import load_picture
from glyphsight.sources.spec import is_spec, open_source, source_help

__all__ = [
    "Failure",
    "Part",
    "Pictures",
    "Source",
    "is_spec",
    "load_picture",
    "load_split",
    "open_source",
    "read_split",
    "source_help",
]
