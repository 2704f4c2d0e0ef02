"""The JSON of a request: where its pictures and sounds stand, and text put in their place.

Everything else stays, byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from json import decoder, scanner
from typing import Any

from glyphsight.inference.parts import Part, Slot, content_slots, objects, unknown_part
from glyphsight.serve.errors import ApiError

_MOST = 500_000  # structural characters: more are millions of Python objects


class _Located(str):
    """Text of a JSON document; a class of its own, so that equal texts are different objects."""


class Document:
    """A JSON object that came in a request.

    Attributes:
        value: The object, as ``json.loads`` gives it.

    Raises:
        ApiError: The body is not JSON in UTF-8, no object, or nested beyond all use.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._edits: list[tuple[int, int, str]] = []
        self._spans: dict[int, tuple[int, int]] = {}
        if sum(map(body.count, (b",", b"[", b"{"))) > _MOST and _structure(body) > _MOST:
            raise ApiError(413, f"the body has over {_MOST:,} values; send less", code="too_large")
        self._text, self.value = self._read(json.loads)

    def _read(self, loads: Any) -> tuple[str, dict[str, Any]]:
        try:
            text = self._body.decode()
            value = loads(text)
        except RecursionError:
            raise ApiError(400, "the body is nested too deep; send a flat one") from None
        except ValueError as error:
            what = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"not JSON ({error})"
            raise ApiError(400, f"the body is {what}; send a JSON object") from None
        if not isinstance(value, dict):
            raise ApiError(400, "the body is no JSON object; send one")
        return text, value

    def locate(self) -> None:
        """Read :attr:`value` again, now with places, so that values in it can be replaced."""
        spans = self._spans
        parser: Any = json.JSONDecoder()

        def parse(what: Any, one: Any, *rest: Any) -> Any:
            value, end = what(one, *rest)
            spans[id(value)] = one[1] - 1, end
            return value, end

        def parse_string(text: str, at: int, strict: bool) -> tuple[str, int]:
            value, end = decoder.scanstring(text, at, strict)  # type: ignore[attr-defined]
            located = _Located(value)
            spans[id(located)] = at - 1, end
            return located, end

        parser.parse_object = lambda *given: parse(decoder.JSONObject, *given)  # type: ignore[attr-defined]
        parser.parse_array = lambda *given: parse(decoder.JSONArray, *given)  # type: ignore[attr-defined]
        parser.parse_string = parse_string
        parser.scan_once = scanner.py_make_scanner(parser)  # type: ignore[attr-defined]
        _, self.value = self._read(parser.decode)

    def replace(self, node: object, value: Any) -> None:
        """Put a JSON value in the place of an object, array or text of :attr:`value`."""
        self._put(node, json.dumps(value))

    def empty(self, node: object, **beside: Any) -> None:
        """Leave nothing in an array, and put further keys beside its own."""
        keys = (f', "{name}": {json.dumps(value)}' for name, value in beside.items())
        self._put(node, "".join(("[]", *keys)))

    def _put(self, node: object, text: str) -> None:
        start, end = self._spans[id(node)]
        self._edits.append((start, end, text))

    def encode(self) -> bytes:
        """Return the body with all that was replaced."""
        if not self._edits:
            return self._body
        pieces, at = [], 0
        for start, end, text in sorted(self._edits):
            pieces += [self._text[at:start], text]
            at = end
        return "".join((*pieces, self._text[at:])).encode()


def _structure(body: bytes) -> int:
    """Count the commas and brackets outside of texts."""
    bare = re.sub(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', b"", body, flags=re.DOTALL)
    return sum(map(bare.count, (b",", b"[", b"{")))


def slots(path: str, body: dict[str, Any]) -> Iterator[Slot]:
    """Find the pictures and sounds of a request, in order.

    Raises:
        ApiError: A prompt is no text.
        PartError: A part is of no kind that becomes text.
    """
    if path in ("/v1/chat/completions", "/api/chat"):
        for place, message in objects(body.get("messages"), "messages"):
            yield from content_slots(message.get("content"), f"{place}.content", "text")
            yield from _images(message, "content", f"{place}.")
    elif path == "/v1/responses":
        prompt = body.get("prompt")
        variables = prompt.get("variables") if isinstance(prompt, dict) else None
        for name, value in (variables if isinstance(variables, dict) else {}).items():
            if isinstance(value, dict):
                yield from content_slots([value], f"prompt.variables.{name}", "input_text")
        for place, item in objects(body.get("input"), "input"):
            if item.get("type") == "shell_call_output":
                continue  # what a program printed
            for key in ("content", "output"):
                found = item.get(key)
                if isinstance(found, dict) and found.get("type") == "computer_screenshot":
                    raise unknown_part(f"{place}.{key}", "computer_screenshot")
                yield from content_slots(found, f"{place}.{key}", "input_text")
    else:
        prompt = body.get("prompt")
        if isinstance(prompt, dict) or any(True for _ in objects(prompt, "prompt")):
            raise ApiError(400, "prompt: give text, pictures in images", param="prompt")
        yield from _images(body, "prompt", "")


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
