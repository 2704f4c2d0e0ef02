"""Where labelled pictures come from: IDX files and the bundled digits, by a source SPEC."""

from glyphsight.sources.base import Failure, Part, Pictures, Source, load_split, read_split
from glyphsight.sources.picture import load_picture
from glyphsight.sources.spec import open_source

__all__ = [
    "Failure",
    "Part",
    "Pictures",
    "Source",
    "load_picture",
    "load_split",
    "open_source",
    "read_split",
]
