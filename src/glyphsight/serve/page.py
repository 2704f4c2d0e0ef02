"""The page at ``/`` and the routes that it asks: a picture as text, its answer, a correction."""

from __future__ import annotations

import io
import tempfile
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from anyio import CapacityLimiter, to_thread
from numpy.typing import NDArray
from PIL import Image
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
from glyphsight.inference.see import to_text
from glyphsight.media import load_picture
from glyphsight.media.sound import load_sound
from glyphsight.models.tokens import count_tokens
from glyphsight.serve.errors import ApiError
from glyphsight.serve.samples import Samples
from glyphsight.serve.settings import ServeSettings
from glyphsight.sources import load_split, open_source

LONGEST = 200
"""Largest number of characters of a correction."""
_FILES = Path(__file__).with_suffix("")
_SHARED = {"/": "index.html"} | {f"/page/{n}": n for n in ("page.css", "page.js", "cells.woff")}
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
_CELLS = 1 << 16  # of a text
_DIGITS = tuple("0123456789")
_AT_ONCE = 2  # pictures read for pages: one more than the model answers at a time
_SHEET = 10  # number of the sample that shows several things

Pixels = NDArray[np.uint8]


def page_routes(
    settings: ServeSettings, model: Model, listener: Model | None = None
) -> list[BaseRoute]:
    """Make the routes of the page.

    Args:
        settings: Settings of the server.
        model: Model that answers pictures.
        listener: Model that answers sounds; None where none does, and a sound is text alone.

    Raises:
        GlyphsightError: The directory for samples holds another dataset.
    """
    page = _Page(settings, model, listener)
    asked: dict[str, Callable[[Request, bytes], dict[str, Any]]] = {
        "read": page.read,
        "see": page.see,
        "hear": page.hear,
        "correct": page.correct,
    }
    return [
        *(Route(path, partial(_file, name)) for path, name in _SHARED.items()),
        Route("/page/profiles", page.profiles),
        Route("/page/sample/{number:int}.png", _sample),
        *(
            Route(f"/page/{name}", partial(page.work, step), methods=["POST"])
            for name, step in asked.items()
        ),
    ]


async def _file(name: str, request: Request) -> Response:
    """Send a file of the page."""
    return FileResponse(_FILES / name, headers=_HEADERS)


async def _sample(request: Request) -> Response:
    """Send a sample picture."""
    number = request.path_params["number"]
    if number > _SHEET:
        return ApiError(404, f"no sample {number}; ask for 0 to {_SHEET}").response("")
    drawn = await to_thread.run_sync(sample_picture, number)
    return Response(_png(drawn), media_type="image/png", headers={"Cache-Control": "max-age=3600"})


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


def _png(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@dataclass
class _Page:
    """Routes of the page; those that work do so in threads, a few at a time."""

    settings: ServeSettings
    model: Model
    listener: Model | None

    def __post_init__(self) -> None:
        self._limiter = CapacityLimiter(_AT_ONCE)
        self._own = Profile() if self.model.run is None else self.model.run.profile
        where = self.settings.samples
        self._samples = None if where is None else Samples(Path(where), self._own)

    async def work(
        self, step: Callable[[Request, bytes], dict[str, Any]], request: Request
    ) -> Response:
        """Answer a POST by a step that takes the request and its body."""
        try:
            body = await request.body()
            if not body:
                raise ApiError(400, "the body is empty; send the bytes of a picture", param="body")
            if self._limiter.statistics().tasks_waiting >= self.settings.queue:
                raise ApiError(
                    429, "too many pictures wait; ask again", headers={"Retry-After": "1"}
                )
            async with self._limiter:
                if await request.is_disconnected():  # the page has a newer picture
                    return Response(status_code=499)
                return JSONResponse(
                    await to_thread.run_sync(partial(self._checked, step, request, body)),
                    headers={"Cache-Control": "no-store"},
                )
        except ApiError as error:
            return error.response(request.url.path)

    def _checked(
        self, step: Callable[[Request, bytes], dict[str, Any]], request: Request, body: bytes
    ) -> dict[str, Any]:
        """Take a step; its errors become those of the API, without a path."""
        try:
            return step(request, body)
        except ApiError:
            raise
        except MissingPackageError as error:
            raise ApiError(501, str(error)) from error
        except (PictureError, FormatError, ModelError) as error:
            raise ApiError(400, str(error)) from error
        except GlyphsightError as error:  # of the dataset of samples
            raise ApiError(
                500, str(error).replace(str(self.settings.samples), "samples")
            ) from error

    def profiles(self, request: Request) -> Response:
        """Say what there is to choose from."""
        run = self.model.run
        tasks = [] if run is None else run.tasks
        labels = tasks[0].labels if tasks else ()
        formats = [(name, get_format(name)) for name in FORMATS]
        return JSONResponse(
            {
                "model": self.model.name,
                "answers": run is not None,
                "hears": self.listener is not None,
                "labels": [{"label": label, "name": tasks[0].name_of(label)} for label in labels],
                "questions": [task.question for task in tasks if task.question],
                "profile": self._shape(self._own),
                "palettes": PALETTES,
                "formats": [
                    {"name": name, "levels": form.max_levels, "help": _help(form)}
                    for name, form in formats
                ],
                "samples": self._samples is not None,
                "pictures": _SHEET + 1 if set(labels) >= set(_DIGITS) and not tasks[0].names else 0,
            }
        )

    @staticmethod
    def _shape(profile: Profile) -> dict[str, Any]:
        names = ("width", "palette", "format", "aspect")
        return {name: getattr(profile, name) for name in names}

    def read(self, request: Request, body: bytes) -> dict[str, Any]:
        """Turn a picture into text."""
        return self._text(self._pixels(body), _profile(request, self._own), self.model)

    def see(self, request: Request, body: bytes) -> dict[str, Any]:
        """Turn a picture into text and answer it."""
        pixels = self._pixels(body)
        read = self._text(pixels, _profile(request, self._own), self.model)
        return read | {"answer": self._answer(pixels, self.model, request)}

    def hear(self, request: Request, body: bytes) -> dict[str, Any]:
        """Turn a sound into text, and answer it where a model hears."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "sound.wav")
            file.write_bytes(body)
            try:
                pixels = load_sound(file)
            except PictureError as error:
                raise ApiError(400, str(error).replace(str(file), "the sound")) from error
        own, answer = replace(self._own, height=None, crop=None), None
        if self.listener is not None:
            own = self.listener.trained.profile
            answer = self._answer(pixels, self.listener, request)
        else:  # a spectrum has no paper, and nothing to bring to the middle
            own = replace(own, ink=False, centre=False, invert="no")
        read = self._text(pixels, _profile(request, own), self.listener or self.model)
        seen = f"data:image/png;base64,{b64encode(_png(pixels)).decode()}"
        return read | {"answer": answer, "picture": seen}

    def correct(self, request: Request, body: bytes) -> dict[str, Any]:
        """Keep a picture, as the model reads it, with the right answer."""
        if self._samples is None:
            raise ApiError(
                403, "this server keeps no corrections; start it with --samples DIR", code="samples"
            )
        label = request.query_params.get("label", "").strip()
        if not label or len(label) > LONGEST or not label.isprintable():
            raise ApiError(
                400,
                f"label is no answer; give one line of 1 to {LONGEST} characters",
                param="label",
            )
        pixels, question = self._pixels(body), request.query_params.get("question", "")
        text = to_text(pixels, self._own).ascii_image
        if part := _number(request, "part", 0):
            parts = getattr(self.model.see([pixels])[0], "parts", ())
            if part > len(parts):
                raise ApiError(
                    400, f"part is {part}, the picture has {len(parts)}; see it again", param="part"
                )
            text = parts[part - 1].ascii_image
        record = Record((text,), label, question, size=str(self._own.width))
        return {"records": self._samples.add(record), "record": record.as_json()}

    def _pixels(self, body: bytes) -> Pixels:
        stream = io.BytesIO(body)
        stream.name = "the picture"
        return load_picture(stream, max_pixels=self.settings.max_pixels)

    def _text(self, pixels: Pixels, profile: Profile, model: Model) -> dict[str, Any]:
        """Return the text of a picture and all about it."""
        if (cells := profile.width * profile.rows(*pixels.shape)) > _CELLS:
            raise ApiError(
                400, f"{cells:,} cells are too many, the limit is {_CELLS:,}; take fewer columns"
            )
        text = to_text(pixels, profile)
        form = get_format(profile.format)
        tall, wide = form.cell
        rows, columns = form.read(text.ascii_image, profile.palette).shape
        return {
            "text": text.ascii_image,
            "tokens": count_tokens([text.ascii_image], model.tokenizer)[0],
            "size": str(profile.width),
            "rows": rows // tall,
            "columns": columns // wide,
            "height": text.height,
            "width": text.width,
            "found": str(text.ink or ""),
            "box": None if text.ink is None else text.ink.box,
            "profile": self._shape(profile),
        }

    def _answer(self, pixels: Pixels, model: Model, request: Request) -> dict[str, Any] | None:
        """Return what a model says of a picture; None where it was not trained to answer."""
        if model.run is None:
            return None
        question = request.query_params.get("question") or None
        answer, run = model.see([pixels], question)[0], model.run
        names = run.task(question).name_of
        parts: Sequence[Answer] = getattr(answer, "parts", ())
        return _as_json(answer, names) | {"parts": [_as_json(part, names) for part in parts]}


def _as_json(answer: Answer, names: Callable[[str], str]) -> dict[str, Any]:
    return {
        "label": answer.label,
        "name": answer.name,
        "probability": answer.probability,
        "probabilities": [
            {"label": label, "name": names(label), "probability": chance}
            for label, chance in answer.probabilities.items()
        ],
        "known": answer.known,
        "empty": answer.empty,
        "found": answer.found,
        "box": answer.box,
        "text": answer.ascii_image,
    }


def _profile(request: Request, own: Profile) -> Profile:
    """Read the settings of a text from the query; those left out are the model's.

    Raises:
        ApiError: A setting cannot be.
    """
    asked = request.query_params
    known = ("width", "levels", "palette", "format")
    for name in asked:
        if name not in (*known, "question"):
            raise ApiError(400, f"unknown setting {name}; give {', '.join(known)}", param=name)
    width = _number(request, "width", own.width)
    changed: dict[str, Any] = {"width": width, "format": asked.get("format", own.format)}
    if width > _WIDEST:
        raise ApiError(400, f"width is {width}; give 1 to {_WIDEST}", param="width")
    if width != own.width and own.height is not None:
        changed["height"] = max(1, round(own.height * width / own.width))
    try:
        if "levels" in asked:
            levels = _number(request, "levels", own.levels)
            changed["palette"] = palette_of_levels(levels, asked.get("palette"))
        elif "palette" in asked:
            changed["palette"] = asked["palette"]
        if "palette" in changed and not isinstance(own.threshold, str):
            changed["threshold"] = "equal"  # those of the model are for its own levels
        return replace(own, **changed)
    except FormatError as error:
        raise ApiError(400, str(error)) from error


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise ApiError(400, f"{name} is {text[:20]!r}; give a whole number", param=name)
    return int(text)


def _help(form: Any) -> str:
    """Return the first line of what a format says of itself."""
    return (type(form).__doc__ or "").strip().partition("\n")[0]
