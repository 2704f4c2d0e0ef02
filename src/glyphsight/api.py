"""The functions of the package's face that take pictures in any form."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.codec import decode as decode_text
from glyphsight.media.picture import PictureLike, load_picture

if TYPE_CHECKING:
    from glyphsight.evaluate import Answer


def encode(image: PictureLike, profile: Profile = PUBLISHED) -> str:
    """Turn a picture into an ASCII_Image.

    Args:
        image: Path, open binary file, PIL image or array uint8[H, W], [H, W, 3] or [H, W, 4].
        profile: Default: the published one, 20 columns and int(20 * H/W * 0.55) rows.

    Raises:
        PictureError: The picture cannot be read.
    """
    return encode_batch(load_picture(image)[None], profile)[0]


def decode(text: str, profile: Profile = PUBLISHED, *, strict: bool = False) -> NDArray[np.uint8]:
    """Turn an ASCII_Image into gray, uint8[rows, columns], one pixel a cell.

    Small flaws are repaired, see :func:`glyphsight.codec.repair.repair`, unless ``strict``.

    Raises:
        FormatError: The text is no ASCII_Image; a strict message names line and column.
    """
    return decode_text(text, profile, strict=strict)


@lru_cache(maxsize=2)
def _loaded(name: str | Path, written: int | None) -> Any:
    """The model, kept until its run is trained anew (``written``: when its record was)."""
    from glyphsight.models import load_model

    return load_model(name)


def see(image: PictureLike, model: str | Path = "sight") -> Answer:
    """What a trained model sees in a picture; the model stays loaded between calls.

    Args:
        image: As for :func:`encode`; turned and centred where the run was taught such pictures.
        model: ``sight``, the adapter of SmolLM2 that ships, taught digits; ``nano-digits``, the
            small one, in milliseconds; or a run directory.

    Raises:
        PictureError: The picture cannot be read.
        ModelError: The model cannot be loaded.
    """
    from glyphsight.evaluate import see as ask
    from glyphsight.models.record import RUN_FILE
    from glyphsight.models.runs import resolve

    run = resolve(model).user_run
    written = (run / RUN_FILE).stat().st_mtime_ns if run else None
    return ask(image, _loaded(model, written))
