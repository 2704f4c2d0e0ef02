"""Drawings in the shape of OpenAI's API for pictures."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from glyphsight.dataset.drawing import asked_to_draw
from glyphsight.inference import Drawing, DrawSettings
from glyphsight.inference.draw import named
from glyphsight.pages import png_bytes
from glyphsight.serve.asked import Fields, wrong
from glyphsight.serve.errors import ApiError

DRAWINGS = "/v1/images/generations"  # path of the API
_MOST, _SIDE = 16, 2048  # drawings of a request, pixels of a side


@dataclass(frozen=True)
class AskedDrawing:
    """A request for drawings."""

    label: str
    settings: DrawSettings  # number, temperature and seed
    size: tuple[int, int] | None  # width and height in pixels; None for 8 pixels a column


def read_drawing(body: Mapping[str, Any], labels: Sequence[str]) -> AskedDrawing:
    """Read a request, whose prompt is one of the labels that the model draws, or names one.

    Raises:
        ApiError: It holds a value that is not valid, or names none of the labels.
    """
    fields = Fields(body)
    prompt = fields.take("prompt", str, "", "text that names what to draw")
    found = _among(prompt.strip(), labels)
    if len(found) != 1:
        said = f"prompt: must name one of {named(labels)}, such as {labels[0]!r}"
        raise ApiError(400, said, code="invalid_value", param="prompt")
    settings = DrawSettings(
        fields.number("n", 1, _MOST, 1),
        float(fields.number("temperature", 0.0, 2.0, DrawSettings.temperature)),
        fields.number("seed", 0, 2**63 - 1),
    )
    size = fields.take("size", str, "auto", "auto, or WIDTHxHEIGHT")
    known = re.fullmatch("([0-9]{1,4})x([0-9]{1,4})", size)
    sides = (int(known[1]), int(known[2])) if known else (1, 1)
    if (size != "auto" and known is None) or not 1 <= min(sides) <= max(sides) <= _SIDE:
        raise wrong("size", f"auto, or WIDTHxHEIGHT of at most {_SIDE} pixels")
    fields.ignore("model", "user", "quality", "style", "background", "moderation")
    fields.only(response_format=("b64_json",), output_format=("png",), stream=(False,))
    fields.end()
    return AskedDrawing(found[0], settings, sides if known else None)


def _among(prompt: str, labels: Sequence[str]) -> list[str]:
    """Return the label that is all of a prompt, else those among its words, articles left out."""
    whole = [one for one in labels if prompt in (one, asked_to_draw(one))]
    if whole:
        return whole
    found: list[str] = []
    for label in sorted(labels, key=len, reverse=True):
        left = re.sub(rf"(?<!\w){re.escape(label)}(?!\w)", "\n", prompt)
        if left != prompt and label.lower() not in ("a", "an", "the"):
            found, prompt = [*found, label], left
    return found


def drawn_reply(asked: AskedDrawing, drawings: Sequence[Drawing]) -> dict[str, Any]:
    """Return the reply: each drawing as PNG in base64, and as text."""
    data = []
    for one in drawings:
        pixels = one.picture()
        if asked.size:
            nearest = Image.Resampling.NEAREST
            pixels = np.asarray(Image.fromarray(pixels).resize(asked.size, nearest))
        png, told = base64.b64encode(png_bytes(pixels)).decode(), asked_to_draw(one.label)
        data.append({"b64_json": png, "revised_prompt": told, "ASCII_image": one.ascii_image})
    return {"created": int(time.time()), "data": data}
