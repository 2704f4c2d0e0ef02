"""Pixels to text and back: the arithmetic of the ASCII_Image format. numpy only, no files."""

from glyphsight.codec.encode import decode, encode_batch
from glyphsight.codec.framing import Framed, frame_like_mnist
from glyphsight.codec.profile import PUBLISHED, Profile
from glyphsight.codec.resample import resize
from glyphsight.codec.text import parse, render, render_batch

__all__ = [
    "PUBLISHED",
    "Framed",
    "Profile",
    "decode",
    "encode_batch",
    "frame_like_mnist",
    "parse",
    "render",
    "render_batch",
    "resize",
]
