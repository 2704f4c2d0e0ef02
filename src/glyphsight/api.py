"""Functions of the public face that take pictures in any form, or a model."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, overload

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.media import PictureLike, load_gray

if TYPE_CHECKING:
    from glyphsight.inference import Answer, Drawing, Model

Several = list[Any] | tuple[Any, ...]
SoundLike = str | os.PathLike[str] | BinaryIO


@overload
def encode(image: PictureLike, profile: Profile = ..., **settings: Any) -> str: ...
@overload
def encode(image: Several, profile: Profile = ..., **settings: Any) -> list[str]: ...
def encode(
    image: PictureLike | Several, profile: Profile = PUBLISHED, **settings: Any
) -> str | list[str]:
    """Turn a picture into an ASCII_Image, or each picture of a list.

    Args:
        image: Path, open binary file, PIL image or array uint8[H, W], [H, W, 3] or [H, W, 4]; or a
            list of them.
        profile: Profile of the text; the published one has 20 columns and int(20 * H/W * 0.55)
            rows.
        settings: Fields of the profile to change, such as ``width=40``.

    Raises:
        PictureError: The picture cannot be read.
        FormatError: A setting cannot be.
    """
    profile = replace(profile, **settings)
    if isinstance(image, list | tuple):
        return [encode_batch(load_gray(one)[None], profile)[0] for one in image]
    return encode_batch(load_gray(image)[None], profile)[0]


def load(model: str | Path = "sight", engine: str = "auto", dtype: str | None = None) -> Model:
    """Load a model to ask: ``load("sight").see(["five.png"])``.

    Args:
        model: ``sight``, the adapter of SmolLM2 in the package, trained on digits; ``nano-digits``,
            the small one, in milliseconds; or a run directory, path or hub id.
        engine: ``numpy``, which answers at once; ``torch``, faster where much is asked; ``fast``,
            onnxruntime in int8; ``auto``.
        dtype: ``float32`` or ``bfloat16``; None for the faster one on this machine.

    Raises:
        ModelError: The model cannot be loaded.
    """
    from glyphsight.inference import Model

    return Model.load(model, engine, dtype)


@lru_cache(maxsize=2)
def _loaded(name: str | Path, written: int | None) -> Model:
    """Keep a model until its run is trained again; ``written`` is the time of the run's record."""
    return load(name)


def _kept(name: str | Path) -> Model:
    from glyphsight.models.runs import RUN_FILE, resolve

    run = resolve(name).user_run
    return _loaded(name, (run / RUN_FILE).stat().st_mtime_ns if run else None)


@overload
def see(
    image: PictureLike, model: str | Path | None = ..., question: str | None = ...
) -> Answer: ...
@overload
def see(
    image: Several, model: str | Path | None = ..., question: str | None = ...
) -> list[Answer]: ...
def see(
    image: PictureLike | Several, model: str | Path | None = None, question: str | None = None
) -> Answer | list[Answer]:
    """Answer a picture, or each picture of a list; the model stays loaded between calls.

    Args:
        image: Picture or pictures, as for :func:`encode`.
        model: Name of a model, as for :func:`load`. Left out, ``sight``; ``sight-vqa`` for a
            question that asks for more than the name.
        question: Question about each picture, as for :meth:`~glyphsight.inference.Model.see`.

    Raises:
        PictureError: The picture cannot be read.
        ModelError: The model cannot be loaded, or does not take the question.
    """
    from glyphsight.models.runs import model_for

    loaded = _kept(model_for(question) if model is None else model)
    if isinstance(image, list | tuple):
        return loaded.see(image, question)
    return loaded.see([image], question)[0]


@overload
def hear(sound: SoundLike, model: str | Path = ...) -> Answer: ...
@overload
def hear(sound: Several, model: str | Path = ...) -> list[Answer]: ...
def hear(sound: SoundLike | Several, model: str | Path = "hearing") -> Answer | list[Answer]:
    """Answer a sound, or each sound of a list, as :func:`see` answers pictures.

    Args:
        sound: Path or open binary file of a sound (WAV, FLAC, OGG, MP3, AIFF, AU, CAF or W64), or
            a list of them.
        model: ``hearing``, the small model in the package, trained on spoken digits; or a run
            directory, path or hub id.

    Raises:
        PictureError: The sound cannot be read.
        ModelError: The model cannot be loaded.
    """
    return see(sound, model)


def draw(
    label: str | None = None,
    *,
    model: str | Path = "draw",
    given: str = "",
    n: int = 1,
    temperature: float = 0.9,
    seed: int | None = None,
) -> list[Drawing]:
    """Let a model draw pictures of a label, as text; the model stays loaded between calls.

    Args:
        label: Label that the model was trained to draw; None for the likeliest of what is given.
        model: Name of a model, as for :func:`load`.
        given: Rows of a picture to complete, from the top; an empty line, or a number that is left
            out, is a row to draw, ``?`` a glyph to draw.
        n: Number of drawings, 1-10,000.
        temperature: 0-100; 0 takes the likeliest tokens.
        seed: Seed, not negative; None for other drawings each time.

    Raises:
        ModelError: The model cannot be loaded, or does not draw the label.
        FormatError: What is given is no part of a text of the model's pictures.
    """
    from glyphsight.inference import DrawSettings

    return _kept(model).draw(label, DrawSettings(n, temperature, seed), given)
