"""Plugin of llm: pictures as text for any model, the models that see, and words to read with.

llm -f ascii:cat.png -m MODEL "What is this?"
llm -m glyphsight -a five.png
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import llm
from llm.parts import AttachmentPart, TextPart
from pydantic import Field

from glyphsight.inference import Model
from glyphsight.inference.talk import Conversation, task_about
from glyphsight.inference.words import ReadSettings
from glyphsight.integrations.messages import make_reader
from glyphsight.media import medium_of
from glyphsight.models.runs import HEARING, SIGHT
from glyphsight.settings import settings_of
from glyphsight.sources.location import take_options

_OPTIONS = ("show", "tokens", "width")
_TEMPLATES = {
    "read": "Pictures are given as text: rows of cells from top to bottom, a glyph a cell. The "
    "line above each names its glyphs, from the ground to the darkest ink. Imagine the whole shape "
    "before you answer."
}
_TYPES = (
    *(f"image/{name}" for name in ("png", "jpeg", "gif", "webp", "bmp", "x-ms-bmp", "tiff")),
    *(f"audio/{name}" for name in ("wav", "x-wav", "wave", "flac", "x-flac", "ogg", "mpeg")),
)
_open = lru_cache(maxsize=2)(Model)


@llm.hookimpl
def register_fragment_loaders(register: Callable[..., None]) -> None:
    """Give llm the prefix ``ascii:``."""
    register("ascii", ascii_fragment)


@llm.hookimpl
def register_template_loaders(register: Callable[..., None]) -> None:
    """Give llm the prefix ``glyphsight:`` of templates."""
    register("glyphsight", template)


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """Give llm the models that see and hear."""
    register(Glyphsight())


def ascii_fragment(argument: str) -> llm.Fragment:
    """Read a picture or sound as text.

    ascii:cat.png, or with options, as ascii:cat.png?width=40&model=nano-digits: width, tokens (at
    most), show (text, answer, both) and model, which says what it sees.
    """
    location, options = take_options(argument, "model", *_OPTIONS)
    known, path = settings_of(ReadSettings), Path(location)
    model = options.pop("model", None)
    given = {name: known[name].parse(value) for name, value in options.items()}
    reader, medium = make_reader(model, model, **given), medium_of(path)
    kind = "Sound" if medium and medium.name == "sound" else "Picture"
    [read] = reader.words([reader.look(path.read_bytes(), kind)], [path.name])
    return llm.Fragment(read.shown, source=f"ascii:{path.resolve()}")


def template(name: str) -> llm.Template:
    """Words for a model that reads pictures as text: glyphsight:read."""
    if name not in _TEMPLATES:
        raise ValueError(f"no such template; give glyphsight:{', glyphsight:'.join(_TEMPLATES)}")
    return llm.Template(name=f"glyphsight:{name}", system=_TEMPLATES[name])


def _parts(message: Any) -> tuple[str, list[llm.Attachment]]:
    """Return the words of a message and its attachments."""
    words = [one.text for one in message.parts if isinstance(one, TextPart)]
    shown = [one.attachment for one in message.parts if isinstance(one, AttachmentPart)]
    return "\n".join(words), shown


def _model(options: Any, attachment: llm.Attachment) -> Model:
    """Open the model of the options, else the one that ships for such an attachment."""
    sound = attachment.resolve_type().startswith("audio/")
    return _open(options.model or (HEARING if sound else SIGHT), talker=options.talker)


class Glyphsight(llm.Model):
    """Model that answers attachments, a line each; llm logs the probabilities."""

    model_id = "glyphsight"
    can_stream = False
    attachment_types: ClassVar[set[str]] = set(_TYPES)

    class Options(llm.Options):
        """Options of ``llm -o``."""

        model: str | None = Field(
            default=None,
            description="sight, sight-vqa, nano-digits, nano-fashion, nano-names, hearing or a "
            "run; left out, sight for pictures and hearing for sounds",
        )
        talker: str | None = Field(
            default=None,
            description="language model that writes about what the model names: a directory or "
            "hub id; left out, the base of the run",
        )

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
        """Answer each attachment; the prompt chooses among the questions of the model.

        Words alone resume the conversation about the attachments before them.
        """
        if not prompt.attachments:
            yield self._resume(prompt)
            return
        models = [_model(prompt.options, one) for one in prompt.attachments]
        if all(task_about(one, prompt.prompt) is None for one in models):
            yield self._resume(prompt)
            return
        answers = []
        for attachment, model in zip(prompt.attachments, models, strict=True):
            task = model.trained.meant(prompt.prompt)
            answers += model.see([io.BytesIO(attachment.content_bytes())], task.question)
        response.response_json = {
            "answers": [
                {"label": one.label, "name": one.name, "probabilities": one.probabilities}
                for one in answers
            ]
        }
        yield "\n".join(
            ", ".join(thing.name for thing in ([one] if one.said else one.things))
            for one in answers
        )

    def _resume(self, prompt: Any) -> str:
        """Reply to words by what was seen and said before them."""
        turns = [(one.role, *_parts(one)) for one in prompt.messages]
        shown = [one for _, _, attachments in turns for one in attachments]
        if not shown:
            raise llm.ModelError("nothing to look at; give a picture or a sound: -a FILE")
        model = _model(prompt.options, shown[-1])
        talk = Conversation(model, show="give a file, -a FILE, or a talker, -o talker MODEL")
        *before, (_, words, asked) = turns
        for role, text, attachments in before:
            for one in attachments:
                talk.add(io.BytesIO(one.content_bytes()))
            if role == "user":
                talk.ask(text)
            elif role == "assistant":
                talk.answered(text)
            else:
                talk.messages.append({"role": role, "content": text})
        for one in asked:
            talk.add(io.BytesIO(one.content_bytes()))
        return "".join(talk.reply(words))
