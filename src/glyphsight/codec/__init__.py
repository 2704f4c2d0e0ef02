"""Pixels to text and back: the arithmetic of the ASCII_Image format. numpy only, no files."""

from glyphsight.codec.encode import decode, encode_batch, parse
from glyphsight.codec.prepare import Prepared, prepare
from glyphsight.codec.profile import PUBLISHED, Profile
from glyphsight.codec.resample import resize

__all__ = [
    "PUBLISHED", "Prepared", "Profile", "decode", "encode_batch", "parse", "prepare", "resize",
]  # fmt: skip
