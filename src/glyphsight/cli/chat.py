"""``glyphsight chat``: a conversation about pictures, in the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from glyphsight.cli.output import say
from glyphsight.console import printable
from glyphsight.errors import GlyphsightError, ModelError, PictureError
from glyphsight.models.runs import DEFAULT_MODEL

if TYPE_CHECKING:
    from glyphsight.inference import Model
    from glyphsight.inference.see import PictureText

_COMMANDS = "/image FILE adds a picture to what you say next; /quit ends"


@dataclass
class _Conversation:
    """What was said so far, and the pictures that wait for the next words."""

    model: Model
    most: int
    messages: list[dict[str, str]] = field(default_factory=list)
    waiting: list[PictureText] = field(default_factory=list)
    pictures: bool = False

    def add(self, file: str) -> None:
        """Read a picture.

        Raises:
            PictureError: It cannot be read.
        """
        from glyphsight.inference.see import require_medium, to_text

        require_medium(file, self.model)
        try:
            read = to_text(file, self.model.trained.profile)
        except PictureError as error:
            said = str(error)
            raise PictureError(said if file in said else f"{file}: {said}") from error
        self.waiting += read.parts or (read,)
        self.pictures = True

    def reply(self, words: str) -> Iterator[str]:
        """Yield the reply to words and the pictures that wait, as it is written."""
        from glyphsight.inference.score import PromptTooLongError
        from glyphsight.inference.talk import task_about, too_long

        asked, self.waiting = self.waiting, []
        content = "\n".join([*(one.ascii_image.rstrip("\n") for one in asked), words])
        self.messages.append({"role": "user", "content": content})
        said = ""
        try:
            task = task_about(self.model.trained, words) if asked else None
            for text in self._written() if task is None else self._seen(asked, task.question):
                said += text
                yield text
        except PromptTooLongError as error:
            raise ModelError(f"{too_long(error)}; end with /quit and begin again") from error
        finally:
            if said.strip():
                self.messages.append({"role": "assistant", "content": said.strip()})
            else:  # an error: what was asked can be asked again
                self.messages.pop()
                self.waiting = asked

    def _seen(self, texts: list[PictureText], question: str) -> Iterator[str]:
        found = self.model.answers(texts, question)
        for number, one in enumerate(found):
            if isinstance(one, PictureError):
                raise one
            yield f"{', ' if number else ''}{one.name}"

    def _written(self) -> Iterator[str]:
        from glyphsight.inference.stream import Writing
        from glyphsight.inference.talk import conversation_ids, without_lead

        if not self.model.speaks:
            raise ModelError(
                f"{self.model.name} has no words but its labels; add a picture with /image FILE, "
                "or take --model sight"
            )
        ids = conversation_ids(self.model, self.messages, pictures=self.pictures)
        for piece in without_lead(self.model.stream(ids, Writing(self.most))):
            yield piece.text


def _lines(shown: bool) -> Iterator[str]:
    """Yield what the user says, a line each; ``shown`` in a terminal, with a prompt."""
    if not shown:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace")
        yield from sys.stdin
        return
    with suppress(ImportError):
        import readline  # noqa: F401 - input() has keys for editing and what was said before
    with suppress(EOFError):
        while True:
            yield input("> ")


def chat(
    images: Annotated[
        list[str] | None, typer.Argument(help="Pictures that the first words are about.")
    ] = None,
    *,
    model: Annotated[
        str,
        typer.Option(help="sight, or a run directory of a language model, from glyphsight train."),
    ] = DEFAULT_MODEL,
    most: Annotated[int, typer.Option(help="Tokens of a reply at most.", min=1)] = 256,
) -> None:
    """Talk about pictures: each line of standard input is answered as it is written.

    /image FILE adds a picture to what is said next, /quit ends.

    Example:
        glyphsight chat five.png
    """
    from glyphsight.inference import Model

    talk = _Conversation(Model(model), most)
    talk.model.trained  # noqa: B018 - a model that was never trained is told before the first words
    for file in images or []:
        talk.add(file)
    terminal = sys.stdin.isatty()
    if terminal:
        say(f"{model} answers; {_COMMANDS}")
    for line in _lines(terminal):
        words = line.strip()
        command, _, given = words.partition(" ")
        if command == "/quit":
            break
        try:
            if command == "/image":
                talk.add(given.strip().strip("'\""))
            elif command.startswith("/"):
                raise GlyphsightError(f"{command}: no such command; {_COMMANDS}")
            elif words or talk.waiting:
                _print(talk.reply(words), terminal)
        except GlyphsightError as error:
            if not terminal:
                raise
            say(f"glyphsight: {error}")


def _print(reply: Iterator[str], terminal: bool) -> None:
    """Print a reply as it comes; in a terminal Ctrl-C ends it alone."""
    try:
        for text in reply:
            print("\n".join(map(printable, text.split("\n"))), end="", flush=True)
    except KeyboardInterrupt:
        if not terminal:
            raise
    print(flush=True)
