"""Pictures and sounds of chat messages as text, for a model that reads text alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glyphsight.errors import PictureError
from glyphsight.extras import MissingPackageError
from glyphsight.inference import Model
from glyphsight.inference.parts import Part, PartError, content_slots, objects
from glyphsight.inference.words import Read, Reader, ReadSettings


def make_reader(model: str | None = None, ears: str | None = None, **settings: Any) -> Reader:
    """Make the reader of messages.

    Args:
        model: Model that says beside each picture's text what it sees, such as ``nano-digits`` or a
            run; None for the text alone.
        ears: Model of sounds, likewise.
        settings: Fields of :class:`~glyphsight.inference.words.ReadSettings`, such as ``tokens``.

    Raises:
        GlyphsightError: A setting cannot be.
    """
    looks, hears = (Model(name) if name else None for name in (model, ears))
    return Reader(ReadSettings(**settings), looks, hears)


def as_text(messages: Sequence[Any], reader: Reader | None = None) -> list[Any]:
    """Return messages in which pictures and sounds are text; those that came stay as they are.

    Args:
        messages: Messages of OpenAI's chat API. Pictures and sounds are parts of their content, as
            data URIs or base64.
        reader: What :func:`make_reader` made; None for one that shows text alone.

    Raises:
        PartError: A picture or sound cannot be read, or is an address; names its place.
    """
    reader = reader or make_reader()
    found = [_copy(message) for message in messages]
    slots = [
        slot
        for place, message in objects(found, "messages")
        for slot in content_slots(message.get("content"), f"{place}.content", "text", others=True)
    ]
    shown = iter(reader.words([_read(part, reader) for slot in slots for part in slot.parts]))
    for slot in slots:
        slot.write(_InPlace(), [next(shown).shown for _ in slot.parts])
    return found


def _copy(message: Any) -> Any:
    """Copy a message and its parts, each for itself: a caller may give one object twice."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    parts = [dict(part) if isinstance(part, dict) else part for part in message["content"]]
    return message | {"content": parts}


class _InPlace:
    """Changes objects themselves."""

    def replace(self, node: object, value: Any) -> None:
        assert isinstance(node, dict)
        node.clear()
        node.update(value)


def _read(part: Part, reader: Reader) -> Read:
    if part.remote:
        said = "is an address, which is not fetched; send the file itself as a data URI"
        raise PartError(f"{part.place}: {said}", part.place, "remote_not_allowed")
    try:
        return reader.look(part.data(), part.kind, part.detail)
    except (PictureError, MissingPackageError) as error:
        said = str(error).removeprefix("the open file: ")
        raise PartError(f"{part.place}: {said}", part.place) from error
