"""The places of pictures and sounds in requests of each API, and their replacement by text."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from glyphsight.serve.document import Document
from glyphsight.serve.errors import ApiError

_TEXTS = ("text", "refusal", "input_text", "output_text", "reasoning_text")
_MEDIA = ("image_url", "input_image", "input_audio")
_DETAILS = {"low": "low", "auto": "auto", "high": "high", "original": "high"}


@dataclass(frozen=True)
class Part:
    """A picture or sound in a request.

    Attributes:
        kind: ``Picture`` or ``Sound``.
        source: Data URI, address or base64.
        detail: ``low``, ``auto`` or ``high``.
        place: Place in the request, such as ``messages[0].content[1]``.
    """

    kind: str
    source: str
    detail: str
    place: str

    @property
    def remote(self) -> bool:
        """Tell whether the source is an address to fetch."""
        return self.source[:8].lower().startswith(("http://", "https://"))

    def data(self) -> bytes:
        """Decode the bytes of a source that is none.

        Raises:
            ApiError: It is neither a data URI nor base64.
        """
        head, comma, rest = self.source[:256].partition(",")
        try:
            if comma and head[:5].lower() == "data:":
                rest = self.source[len(head) + 1 :]
                if rest and not head.lower().endswith(";base64"):
                    return unquote_to_bytes(rest)
                return _from_base64(unquote_to_bytes(rest) if "%" in rest[:256] else rest)
            return _from_base64(self.source)
        except ValueError:
            raise ApiError(
                400,
                f"{self.place}: is no {self.kind.lower()}; give a data URI (data:image/png;base64,"
                "...), base64, or an http(s) address",
                code="invalid_image_url" if self.kind == "Picture" else "invalid_audio",
                param=self.place,
            ) from None


def _from_base64(data: str | bytes) -> bytes:
    plain = data.encode("ascii") if isinstance(data, str) else data
    try:
        found = binascii.a2b_base64(plain, strict_mode=True)
    except binascii.Error:  # in lines, in the alphabet for URLs, or without padding
        plain = re.sub(rb"\s+", b"", plain).rstrip(b"=")
        plain += b"=" * (-len(plain) % 4)
        url = b"-" in plain or b"_" in plain
        found = base64.b64decode(plain, b"-_" if url else None, validate=True)
    if not found:
        raise ValueError("empty")
    return found


@dataclass(frozen=True)
class Slot:
    """A place whose pictures and sounds become text together.

    Attributes:
        parts: Pictures and sounds, in order.
        write: Function that puts their texts in.
    """

    parts: tuple[Part, ...]
    write: Callable[[Document, Sequence[str]], None]


def slots(path: str, body: dict[str, Any]) -> Iterator[Slot]:
    """Find the pictures and sounds of a request, in order.

    Args:
        path: Path of the request.
        body: Its JSON object.

    Raises:
        ApiError: A part is of no kind that becomes text.
    """
    if path in ("/v1/chat/completions", "/api/chat"):
        for place, message in _objects(body.get("messages"), "messages"):
            yield from _content(message.get("content"), f"{place}.content", "text")
            yield from _images(message, "content", f"{place}.")
    elif path == "/v1/responses":
        prompt = body.get("prompt")
        variables = prompt.get("variables") if isinstance(prompt, dict) else None
        for name, value in (variables if isinstance(variables, dict) else {}).items():
            if isinstance(value, dict):
                yield from _content([value], f"prompt.variables.{name}", "input_text")
        for place, item in _objects(body.get("input"), "input"):
            if item.get("type") == "shell_call_output":
                continue  # what a program printed
            for key in ("content", "output"):
                found = item.get(key)
                if isinstance(found, dict) and found.get("type") == "computer_screenshot":
                    raise _unknown(f"{place}.{key}", "computer_screenshot")
                yield from _content(found, f"{place}.{key}", "input_text")
    else:
        prompt = body.get("prompt")
        if isinstance(prompt, dict) or any(True for _ in _objects(prompt, "prompt")):
            raise ApiError(400, "prompt: give text, pictures in images", param="prompt")
        yield from _images(body, "prompt", "")


def _objects(values: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for row, value in enumerate(values if isinstance(values, list) else ()):
        if isinstance(value, dict):
            yield f"{name}[{row}]", value


def _content(content: Any, place: str, kind: str) -> Iterator[Slot]:
    """Find the parts with pictures and sounds in a list of parts; each becomes one of ``kind``."""
    for where, part in _objects(content, place):
        said = part.get("type")
        if said in _TEXTS or (said is None and isinstance(part.get("text"), str)):
            continue
        if said not in _MEDIA:
            raise _unknown(where, said)
        value = part.get(said if said != "input_image" else "image_url")
        sound = said == "input_audio"
        inner = value if isinstance(value, dict) else {}
        source = inner.get("data" if sound else "url") if inner else value
        if not isinstance(source, str):
            name = "input_audio.data" if sound else "image_url"
            raise ApiError(
                400,
                f"{where}: no {name} with the file itself; give base64 or a data URI",
                param=where,
            )
        detail = inner.get("detail") or part.get("detail") or "auto"
        if not isinstance(detail, str) or detail not in _DETAILS:
            raise ApiError(
                400, f"{where}: unknown detail; give low, auto or high", param=f"{where}.detail"
            )
        found = Part("Sound" if sound else "Picture", source, _DETAILS[detail], where)
        yield Slot((found,), _replace_part(part, kind))


def _replace_part(part: dict[str, Any], kind: str) -> Callable[[Document, Sequence[str]], None]:
    gone = ("type", "text", "detail", *_MEDIA)
    others = {name: value for name, value in part.items() if name not in gone}

    def write(document: Document, texts: Sequence[str]) -> None:
        document.replace(part, {"type": kind, "text": texts[0]} | others)

    return write


def _images(owner: dict[str, Any], key: str, place: str) -> Iterator[Slot]:
    """Find Ollama's ``images`` beside the text ``owner[key]``, which their texts go before."""
    images = owner.get("images")
    if images is None or images == []:
        return
    text = owner.get(key, "")
    if not isinstance(images, list) or not all(isinstance(one, str) for one in images):
        raise ApiError(400, f"{place}images: give a list of pictures in base64", param="images")
    if not isinstance(text, str):
        raise ApiError(400, f"{place}{key}: give text beside images", param=key)
    parts = (Part("Picture", one, "auto", f"{place}images[{n}]") for n, one in enumerate(images))

    def write(document: Document, texts: Sequence[str]) -> None:
        whole = "\n\n".join((*texts, text)) if text else "\n\n".join(texts)
        if key in owner:
            document.replace(owner[key], whole)
            document.empty(images)
        else:
            document.empty(images, **{key: whole})

    yield Slot(tuple(parts), write)


def _unknown(place: str, kind: Any) -> ApiError:
    said = kind if isinstance(kind, str) and len(kind) <= 40 else "no known type"
    return ApiError(
        400,
        f"{place}: a part of type {said} cannot become text; give one of "
        f"{', '.join((*_TEXTS[:3], *_MEDIA))}",
        code="unsupported_content_part",
        param=place,
    )
