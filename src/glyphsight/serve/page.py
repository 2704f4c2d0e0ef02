"""The page at ``/`` and the routes that it asks: a picture as text, its answer, a correction."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray
from PIL import Image
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from glyphsight.codec import Profile
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.codec.profile import PALETTES, palette_of_levels
from glyphsight.dataset import Record
from glyphsight.errors import FormatError, GlyphsightError, ModelError, PictureError
from glyphsight.extras import MissingPackageError
from glyphsight.inference import Answer, Model
from glyphsight.inference.reading import PictureText, to_text
from glyphsight.media import load_picture
from glyphsight.media.sound import load_sound
from glyphsight.models.tokens import count_tokens
from glyphsight.pages import png_address, png_bytes
from glyphsight.serve.errors import ApiError
from glyphsight.serve.eye import Eye
from glyphsight.serve.request import Incoming
from glyphsight.serve.samples import Samples
from glyphsight.serve.settings import ServeSettings
from glyphsight.sources import load_split, open_source

STEPS = ("read", "see", "hear", "correct")
"""What the page asks of a picture or a sound: ``POST /page/STEP``."""
LONGEST = 200  # largest number of characters of a correction
_FILES = Path(__file__).with_suffix("")
_SHARED = {"/": "index.html"} | {
    f"/page/{n}": n for n in ("page.css", "page.js", "pad.js", "cells.woff")
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "font-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_WIDEST = 200  # columns
_SOUND = 40  # columns of a sound that no model hears
_CELLS = 1 << 16  # of a text
_DIGITS = tuple("0123456789")
_SHEET = 10  # number of the sample that shows several things
_DIALS = ("width", "levels", "palette", "format")

Pixels = NDArray[np.uint8]


class Page:
    """The page: what answers it, and the routes of its files.

    Raises:
        GlyphsightError: The directory for samples holds another dataset.
    """

    def __init__(self, settings: ServeSettings, eye: Eye) -> None:
        self._settings, self._eye = settings, eye
        shown = settings.profile
        if settings.width is not None:
            shown = replace(shown, width=settings.width)
        self._own = shown if eye.model is None else eye.model.trained.profile
        self._shown = self._own if settings.upstream is None else shown
        self._auto = settings.upstream is not None and settings.width is None
        where = settings.samples
        self._samples = None if where is None else Samples(Path(where), self._own)

    @property
    def routes(self) -> list[BaseRoute]:
        """Routes of all that needs no body."""
        return [
            *(Route(path, partial(_file, name)) for path, name in _SHARED.items()),
            Route("/page/profiles", self._profiles),
            Route("/page/sample/{number}.png", _sample),
        ]

    async def handle(self, request: Incoming) -> Response:
        """Answer a request with the bytes of a picture or sound, or raise ApiError."""
        if not request.body:
            raise ApiError(400, "the body is empty; send the bytes of a picture", param="body")
        step = getattr(self, f"_{request.path.rpartition('/')[2]}")
        found = await self._eye.run(self._checked, step, request.body, QueryParams(request.query))
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    def _checked(
        self, step: Callable[..., dict[str, Any]], body: bytes, query: QueryParams
    ) -> dict[str, Any]:
        """Take a step; its errors become those of the API, without a path."""
        try:
            return step(body, query)
        except ApiError:
            raise
        except MissingPackageError as error:
            raise ApiError(501, str(error)) from error
        except PictureError as error:
            raise ApiError(400, str(error).replace("the open file", "the file")) from error
        except (FormatError, ModelError) as error:
            raise ApiError(400, str(error)) from error
        except GlyphsightError as error:  # of the dataset of samples
            said = str(error).replace(str(self._settings.samples), "samples")
            raise ApiError(500, said) from error

    def _profiles(self, request: Request) -> Response:
        """Say what there is to choose from."""
        model = self._eye.model
        tasks = () if model is None else model.trained.tasks
        labels = tasks[0].labels if tasks else ()
        return JSONResponse(
            {
                "model": None if model is None else model.name,
                "upstream": self._settings.upstream is not None,
                "auto": self._auto,
                "hears": self._eye.ears is not None,
                "labels": [{"label": label, "name": tasks[0].name_of(label)} for label in labels],
                "questions": [task.question for task in tasks if task.question],
                "profile": _shape(self._shown),
                "palettes": PALETTES,
                "formats": [_format(name) for name in FORMATS],
                "samples": self._samples is not None,
                "pictures": _SHEET + 1 if set(labels) >= set(_DIGITS) and not tasks[0].names else 0,
            }
        )

    def _read(self, body: bytes, query: QueryParams) -> dict[str, Any]:
        """Turn a picture into text."""
        pixels = self._pixels(body)
        if self._auto and not any(name in query for name in _DIALS):
            return self._about(self._eye.text_of(pixels)[0], self._shown)
        return self._text(pixels, _profile(query, self._shown))

    def _see(self, body: bytes, query: QueryParams) -> dict[str, Any]:
        pixels = self._pixels(body)
        height, width = pixels.shape
        answer = self._answer(pixels, self._eye.model, query.get("question") or None)
        return {"answer": answer, "height": height, "width": width}

    def _hear(self, body: bytes, query: QueryParams) -> dict[str, Any]:
        """Turn a sound into text, and answer it where a model hears."""
        pixels, ears = load_sound(io.BytesIO(body)), self._eye.ears
        height, width = pixels.shape
        if ears is not None:
            own = ears.trained.profile
        else:  # a spectrum has no paper, and nothing to bring to the middle
            own = Profile(_SOUND, PALETTES["blocks"], self._shown.format)
        return self._text(pixels, _profile(query, own)) | {
            "answer": self._answer(pixels, ears, query.get("question") or None),
            "height": height,
            "width": width,
            "picture": png_address(pixels),
        }

    def _correct(self, body: bytes, query: QueryParams) -> dict[str, Any]:
        """Keep a picture, as the model reads it, with the right answer."""
        if self._samples is None:
            raise ApiError(
                403, "this server keeps no corrections; start it with --samples DIR", code="samples"
            )
        label = query.get("label", "").strip()
        if not label or len(label) > LONGEST or not label.isprintable():
            raise ApiError(400, f"label: give one line of 1 to {LONGEST} characters", param="label")
        text = _read_once(self._pixels(body), self._own)
        picture = text.ascii_image
        if part := _number(query, "part", 0):
            parts = [one.ascii_image for one in text.parts]
            if text.halves and self._eye.model is not None:  # the model parted it
                parts = [one.ascii_image for one in self._eye.model.see([text])[0].parts]
            if part > len(parts):
                raise ApiError(
                    400, f"part is {part}, the picture has {len(parts)}; see it again", param="part"
                )
            picture = parts[part - 1]
        asked, size = query.get("question", ""), str(self._own.width)
        record = Record((picture,), label, asked, size=size)
        return {"records": self._samples.add(record), "record": record.as_json()}

    def _pixels(self, body: bytes) -> Pixels:
        return load_picture(io.BytesIO(body), max_pixels=self._settings.max_pixels)

    def _text(self, pixels: Pixels, profile: Profile) -> dict[str, Any]:
        """Return the text of a picture in a profile, and all about it."""
        if (cells := profile.width * profile.rows(*pixels.shape)) > _CELLS:
            raise ApiError(
                400, f"{cells:,} cells are too many, the limit is {_CELLS:,}; take fewer columns"
            )
        text = _read_once(pixels, profile)
        box = None if text.ink is None else text.ink.box
        return self._about(text.ascii_image, profile) | {"found": text.found, "box": box}

    def _about(self, text: str, profile: Profile) -> dict[str, Any]:
        form = get_format(profile.format)
        tall, wide = form.cell
        rows, columns = form.read(text, profile.palette).shape
        return {
            "text": text,
            "tokens": count_tokens([text], self._eye.tokenizer)[0],
            "size": str(columns // wide),
            "rows": rows // tall,
            "profile": _shape(profile),
        }

    def _answer(
        self, pixels: Pixels, model: Model | None, question: str | None
    ) -> dict[str, Any] | None:
        """Return what a model says of a picture; None where none does."""
        if model is None:
            return None
        run, task = model.trained, model.trained.task(question)

        def as_json(answer: Answer) -> dict[str, Any]:
            chances = answer.probabilities.items()
            return {
                "label": answer.label,
                "name": answer.name,
                "probability": answer.probability,
                "probabilities": [
                    {"label": label, "name": task.name_of(label), "probability": one}
                    for label, one in chances
                ],
                "known": answer.known,
                "empty": answer.empty,
                "found": answer.found,
                "box": answer.box,
                "read": self._about(answer.ascii_image, run.profile),
            }

        [answer] = model.see([_read_once(pixels, run.profile)], question)
        return as_json(answer) | {"parts": [as_json(part) for part in answer.parts]}


def _read_once(pixels: Pixels, profile: Profile) -> PictureText:
    """Turn a picture into text; the page asks for its text first, then for the answer to it."""
    return _text_of(pixels.tobytes(), pixels.shape, profile)


@lru_cache(maxsize=2)
def _text_of(gray: bytes, shape: tuple[int, int], profile: Profile) -> PictureText:
    return to_text(np.frombuffer(gray, np.uint8).reshape(shape), profile)


async def _file(name: str, request: Request) -> Response:
    return FileResponse(_FILES / name, headers=_HEADERS)


async def _sample(request: Request) -> Response:
    number = request.path_params["number"]
    if number not in map(str, range(_SHEET + 1)):
        raise ApiError(404, f"no such sample; ask for 0 to {_SHEET}")
    drawn = await to_thread.run_sync(sample_picture, int(number))
    return Response(
        png_bytes(drawn), media_type="image/png", headers={"Cache-Control": "max-age=3600"}
    )


@lru_cache(maxsize=_SHEET + 1)
def sample_picture(number: int) -> Pixels:
    """Return a bundled digit, by its label, or at 10 a sheet with several of them."""
    batch = load_split(open_source("bundled"), "validation")
    rows = [batch.labels.index(label, 20) for label in _DIGITS]
    if number < _SHEET:
        pixels: Pixels = batch.pixels[rows[number]]
        return pixels
    sheet = np.full((180, 300), 238, dtype=np.uint8)
    for row, (top, left) in zip((4, 7, 2), ((20, 14), (70, 112), (28, 212)), strict=True):
        digit = np.asarray(Image.fromarray(batch.pixels[rows[row]]).resize((76, 76), 3))
        sheet[top : top + 76, left : left + 76] -= (digit * 0.85).astype(np.uint8)
    return sheet


def _shape(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in ("width", "palette", "format", "aspect")}


def _profile(query: QueryParams, own: Profile) -> Profile:
    """Read the settings of a text from the query; those left out are of ``own``."""
    for name in query:
        if name not in (*_DIALS, "question"):
            raise ApiError(400, f"unknown setting {name}; give {', '.join(_DIALS)}", param=name)
    width = _number(query, "width", own.width)
    changed: dict[str, Any] = {"width": width, "format": query.get("format", own.format)}
    if width > _WIDEST:
        raise ApiError(400, f"width is {width}; give 1 to {_WIDEST}", param="width")
    if width != own.width and own.height is not None:
        changed["height"] = max(1, round(own.height * width / own.width))
    try:
        if "levels" in query:
            levels = _number(query, "levels", own.levels)
            changed["palette"] = palette_of_levels(levels, query.get("palette"))
        elif "palette" in query:
            changed["palette"] = query["palette"]
        if "palette" in changed and not isinstance(own.threshold, str):
            changed["threshold"] = "equal"  # those of the model are for its own levels
        return replace(own, **changed)
    except FormatError as error:
        raise ApiError(400, str(error)) from error


def _number(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise ApiError(400, f"{name} is {text[:20]!r}; give a whole number", param=name)
    return int(text)


def _format(name: str) -> dict[str, Any]:
    """Describe a format by its levels and the first line of what it says of itself."""
    form = get_format(name)
    said = (type(form).__doc__ or "").strip().partition("\n")[0]
    return {"name": name, "levels": form.max_levels, "help": said}
