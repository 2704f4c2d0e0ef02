"""Files to arrays: pictures and sounds, and what each may be changed by."""

from glyphsight.media.medium import MEDIA, Medium, load_gray, medium_of
from glyphsight.media.picture import PictureLike, load_picture, save_picture

__all__ = [
    "MEDIA",
    "Medium",
    "PictureLike",
    "load_gray",
    "load_picture",
    "medium_of",
    "save_picture",
]
