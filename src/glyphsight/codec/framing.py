"""Bring a photographed or drawn digit into the frame the training digits have.

MNIST's digits are bright on dark, fit a 20x20 box and have their centre of mass in the middle of a
28x28 frame (LeCun et al. 1998, section III-A), inside pixel (14, 14) as the bundled digits show. A
picture that is framed so already is left alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec.adjust import content_box, is_dark_on_light
from glyphsight.codec.resample import resize

_FRAME, _BOX = 28, 20


@dataclass(frozen=True)
class Framed:
    """A picture in MNIST's frame, and what had to be done for it.

    Attributes:
        pixels: uint8[H, W], bright on dark.
        inverted: The picture was dark on light.
        cropped: The picture was cropped and centred anew; then ``pixels`` is uint8[28, 28].
    """

    pixels: NDArray[np.uint8]
    inverted: bool
    cropped: bool


def _is_framed(shape: tuple[int, int], box: tuple[int, int, int, int]) -> bool:
    """Whether the content fills about 20/28 of a square frame and lies near its middle."""
    height, width = shape
    top, bottom, left, right = box
    longest = max(bottom - top, right - left) / max(height, width)
    off = max(abs(top + bottom - height) / height, abs(left + right - width) / width) / 2
    return 0.9 < width / height < 1.1 and 0.6 <= longest <= 0.8 and off <= 0.15


def frame_like_mnist(pixels: NDArray[np.uint8]) -> Framed:
    """Invert, crop and centre a picture of one digit as MNIST's are, where it is not so already.

    Args:
        pixels: uint8[H, W], any size, either polarity.

    Returns:
        The framed picture; a flat picture comes back as it is.
    """
    inverted = is_dark_on_light(pixels)
    if inverted:
        pixels = np.bitwise_not(pixels)
    box = content_box(pixels)
    if box is None or _is_framed(pixels.shape, box):
        return Framed(pixels, inverted, cropped=False)
    top, bottom, left, right = box
    low, high = int(pixels.min()), int(pixels.max())
    stretched = (pixels[top:bottom, left:right].astype(np.float64) - low) * (255 / (high - low))
    content = np.round(stretched).astype(np.uint8)
    height, width = content.shape
    scale = _BOX / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    small = resize(content[None], rows, columns)[0]
    mass = small.astype(np.float64)
    total = mass.sum() or 1.0
    middle_row = float((mass.sum(axis=1) * (np.arange(rows) + 0.5)).sum()) / total
    middle_column = float((mass.sum(axis=0) * (np.arange(columns) + 0.5)).sum()) / total
    frame = np.zeros((_FRAME, _FRAME), dtype=np.uint8)
    y = min(max(math.ceil(_FRAME / 2 - middle_row), 0), _FRAME - rows)
    x = min(max(math.ceil(_FRAME / 2 - middle_column), 0), _FRAME - columns)
    frame[y : y + rows, x : x + columns] = small
    return Framed(frame, inverted, cropped=True)
