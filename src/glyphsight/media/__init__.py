"""Files to arrays: pictures and sounds, and what each may be changed by."""

from glyphsight.media.picture import PictureLike, load_picture, save_picture

__all__ = ["PictureLike", "load_picture", "save_picture"]
