"""Where labelled pictures come from: IDX files and the bundled digits, by a source SPEC."""

from glyphsight.sources.base import Pictures, Source
from glyphsight.sources.picture import load_picture
from glyphsight.sources.spec import open_source

__all__ = ["Pictures", "Source", "load_picture", "open_source"]
