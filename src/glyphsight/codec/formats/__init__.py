"""Named formats: how a level grid is written as text, and read back exactly."""

from glyphsight.codec.formats.base import Format
from glyphsight.codec.formats.registry import FORMATS, get_format

__all__ = ["FORMATS", "Format", "get_format"]
