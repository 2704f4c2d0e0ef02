"""The places of pictures and sounds in requests of each API, and their replacement by text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from glyphsight.inference.parts import Part, Slot, content_slots, objects, unknown_part
from glyphsight.serve.document import Document
from glyphsight.serve.errors import ApiError


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
