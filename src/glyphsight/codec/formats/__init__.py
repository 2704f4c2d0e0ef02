"""Named formats: how a level grid is written as text, and read back exactly."""

from glyphsight.codec.formats.base import Format
from glyphsight.codec.formats.registry import format_help, format_names, get_format

__all__ = ["Format", "format_help", "format_names", "get_format"]
