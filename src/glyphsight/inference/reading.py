"""Pictures to the text that a model reads."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.adjust import stretch_contrast
from glyphsight.codec.formats import get_format
from glyphsight.codec.gaps import Piece, pieces
from glyphsight.codec.ground import border
from glyphsight.codec.ink import SMALLEST, Ink, find_ink
from glyphsight.codec.prepare import CENTRED, Box, Prepared, content, prepare_things, remaining
from glyphsight.codec.things import MOST
from glyphsight.errors import PictureError
from glyphsight.media import PictureLike, load_gray, medium_of
from glyphsight.pages import text_html

if TYPE_CHECKING:
    from glyphsight.inference.model import Model


@dataclass(frozen=True)
class PictureText:
    """A picture as a model reads it; of several things the main one."""

    ascii_image: str  # the text
    height: int  # height of the picture in pixels
    width: int  # width of the picture in pixels
    inverted: bool  # True where the picture was dark on light and was inverted
    cropped: bool  # True where the picture was cropped and centred
    ink: Ink | None = None  # ink that was found; None where none was sought or found
    found: str = ""  # what was found and done to its ground, in a line; "" likewise
    parts: tuple[PictureText, ...] = ()  # of all things in reading order, if there are several
    main: int = 0  # number of the main one among the parts
    box: Box | None = None  # box of the text in pixels of the picture; None for the whole picture
    # Texts of the two sides of its widest gap, or of what its frame holds, each parted likewise;
    # empty where there is neither. They are things where the model is surer of them than of the
    # whole.
    halves: tuple[PictureText, ...] = ()
    # uint8[28, 28] that the text was made of under a profile that centres; None elsewhere
    pixels: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)

    @property
    def things(self) -> tuple[PictureText, ...]:
        """All things in reading order; this one where there are not several."""
        return self.parts or (self,)

    def _repr_html_(self) -> str:
        """Show the text in a notebook, of several things each."""
        return "".join(text_html(one.ascii_image) for one in self.things)


def require_medium(picture: PictureLike, model: Model) -> None:
    """Refuse a sound where a model reads pictures, and a picture where it hears sounds.

    A model hears where its profile trims; it reads pictures where it ships besides, or where its
    profile seeks ink or centres.

    Raises:
        PictureError: Names the file and the fix.
    """
    if not isinstance(picture, str | os.PathLike):
        return
    medium, profile = medium_of(picture), model.trained.profile
    if medium is None:
        return
    hears = profile.trim is not None
    if medium.name == "picture" and hears:
        raise PictureError(
            f"{picture}: a picture, and {model.name} was trained on sounds; ask glyphsight see "
            "--model nano-digits, or another that reads pictures"
        )
    if (
        medium.name == "sound"
        and not hears
        and (model.ships or profile.seeks_ink or profile.centre)
    ):
        raise PictureError(
            f"{picture}: a sound, and {model.name} was trained on pictures; ask glyphsight hear, "
            "or give --model a run trained on sounds"
        )


def to_text(picture: PictureLike, profile: Profile) -> PictureText:
    """Turn a picture into the text that a model reads, and each thing of several.

    A mark so faint that the profile makes all cells alike is read with its contrast stretched.

    Raises:
        PictureError: The picture cannot be read.
    """
    pixels = load_gray(picture, heard=profile.trim is not None)
    text = _to_text(pixels, profile)
    if profile.trim is not None or text.parts or not is_empty(text, profile):
        return text
    if (ink := find_ink(pixels)) is None:
        return text
    if ink.shaded:  # stretched, the shadow would be what is seen
        clear = 255 - ink.pixels if ink.dark else ink.pixels
    else:
        clear = stretch_contrast(pixels[None])[0]
    again = _to_text(clear, profile)
    if again.parts or is_empty(again, profile):
        return text
    height, width = pixels.shape
    found = f"{again.found or 'a faint mark'}, and stretched its contrast"
    return replace(again, height=height, width=width, found=found)


def is_empty(text: PictureText, profile: Profile) -> bool:
    """Say whether all cells of a text are alike."""
    grid = get_format(profile.format).read(text.ascii_image, profile.palette)
    return bool((grid == grid.flat[0]).all())


def _to_text(picture: NDArray[np.uint8], profile: Profile) -> PictureText:
    things, inks = prepare_things(picture, profile)
    rest, (height, width) = remaining(profile), picture.shape
    texts = []
    for one in things:
        text = encode_batch(one.pixels[None], rest)[0]
        pixels = one.pixels if profile.centre and one.pixels.shape == CENTRED else None
        made = PictureText(text, height, width, one.inverted, one.centred, one.ink, pixels=pixels)
        texts.append(made)
    several = tuple(texts) if len(texts) > 1 else ()
    halves = _halves(things[0], texts[0], rest) if profile.paper else ()
    main = texts[inks.main]
    return replace(main, found=str(inks), parts=several, main=inks.main, halves=halves)


def turned(text: PictureText, profile: Profile, degrees: float) -> list[str]:
    """Return the texts of a centred picture turned either way; none of another or an empty one."""
    if text.pixels is None or is_empty(text, profile):
        return []
    picture, ground = Image.fromarray(text.pixels), int(np.median(border(text.pixels)))
    turns = (
        picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=ground)
        for angle in (degrees, -degrees)
    )
    return encode_batch(np.stack([np.asarray(one) for one in turns]), remaining(profile))


def _halves(done: Prepared, text: PictureText, rest: Profile) -> tuple[PictureText, ...]:
    """Read the pieces of a picture, as :class:`PictureText` says; not of more than ``MOST``."""
    if max(done.pixels.shape) < SMALLEST:
        return ()

    def read(piece: Piece) -> PictureText:
        top, bottom, left, right = piece.box
        own = encode_batch(done.pixels[None, top:bottom, left:right], rest)[0]
        halves = tuple(map(read, piece.halves))
        return replace(text, ascii_image=own, box=done.in_picture(piece.box), halves=halves)

    whole = pieces(content(done.pixels[None])[0], MOST)
    return () if whole is None else tuple(map(read, whole.halves))
