"""Pictures and sounds inside the messages of chat APIs: where they are, and their replacement."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from glyphsight.errors import GlyphsightError

_TEXTS = ("text", "refusal", "input_text", "output_text", "reasoning_text")
_MEDIA = ("image_url", "input_image", "input_audio")
_DETAILS = {"low": "low", "auto": "auto", "high": "high", "original": "high"}


class PartError(GlyphsightError):
    """A part of a message that cannot become text.

    Attributes:
        code: Short name of the problem, for programs; None where it has none.
        param: Place of the part, such as ``messages[0].content[1]``.
    """

    def __init__(self, message: str, param: str, code: str | None = None) -> None:
        super().__init__(message)
        self.param, self.code = param, code


@dataclass(frozen=True)
class Part:
    """A picture or sound in a request."""

    kind: str  # ``Picture`` or ``Sound``
    source: str  # data URI, address or base64
    detail: str  # ``low``, ``auto`` or ``high``
    place: str  # place in the request, such as ``messages[0].content[1]``

    @property
    def remote(self) -> bool:
        """Tell whether the source is an address to fetch."""
        return self.source[:8].lower().startswith(("http://", "https://"))

    def data(self) -> bytes:
        """Decode the bytes of a source that is none.

        Raises:
            PartError: It is neither a data URI nor base64.
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
            raise PartError(
                f"{self.place}: is no {self.kind.lower()}; give a data URI (data:image/png;base64,"
                "...), base64, or an http(s) address",
                self.place,
                "invalid_image_url" if self.kind == "Picture" else "invalid_audio",
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
    """A place whose pictures and sounds become text together."""

    parts: tuple[Part, ...]  # pictures and sounds, in order
    # Function that puts their texts in, by ``replace`` of what holds the request
    write: Callable[[Any, Sequence[str]], None]


def objects(values: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find the objects of a list, each with its place."""
    for row, value in enumerate(values if isinstance(values, list) else ()):
        if isinstance(value, dict):
            yield f"{name}[{row}]", value


def content_slots(content: Any, place: str, kind: str, *, others: bool = False) -> Iterator[Slot]:
    """Find the pictures and sounds in a list of parts; each becomes a part of type ``kind``.

    Args:
        content: Content of a message; text holds none.
        place: Place of the content in the request.
        kind: Type of a part that is text.
        others: True where parts of other types stay as they are.

    Raises:
        PartError: A part is of no type that becomes text.
    """
    for where, part in objects(content, place):
        said = part.get("type")
        if said in _TEXTS or (said is None and isinstance(part.get("text"), str)):
            continue
        if said not in _MEDIA:
            if others:
                continue
            raise unknown_part(where, said)
        value = part.get(said if said != "input_image" else "image_url")
        sound = said == "input_audio"
        inner = value if isinstance(value, dict) else {}
        source = inner.get("data" if sound else "url") if inner else value
        if not isinstance(source, str):
            name = "input_audio.data" if sound else "image_url"
            raise PartError(
                f"{where}: no {name} with the file itself; give base64 or a data URI", where
            )
        detail = inner.get("detail") or part.get("detail") or "auto"
        if not isinstance(detail, str) or detail not in _DETAILS:
            raise PartError(f"{where}: unknown detail; give low, auto or high", f"{where}.detail")
        found = Part("Sound" if sound else "Picture", source, _DETAILS[detail], where)
        yield Slot((found,), _replace_part(part, kind))


def _replace_part(part: dict[str, Any], kind: str) -> Callable[[Any, Sequence[str]], None]:
    gone = ("type", "text", "detail", *_MEDIA)
    others = {name: value for name, value in part.items() if name not in gone}

    def write(editor: Any, texts: Sequence[str]) -> None:
        editor.replace(part, {"type": kind, "text": texts[0]} | others)

    return write


def unknown_part(place: str, kind: Any) -> PartError:
    """Return the error for a part of a type that does not become text."""
    said = kind if isinstance(kind, str) and len(kind) <= 40 else "no known type"
    return PartError(
        f"{place}: a part of type {said} cannot become text; give one of "
        f"{', '.join((*_TEXTS[:3], *_MEDIA))}",
        place,
        "unsupported_content_part",
    )
