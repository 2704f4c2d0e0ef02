"""Conversations in which pictures are text: what is a question, and what the model reads of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.questions import refers
from glyphsight.errors import ModelError, PictureError
from glyphsight.inference.answer import Answer
from glyphsight.inference.model import Model
from glyphsight.inference.naming import in_words, is_known, names_of, relevant
from glyphsight.inference.reading import PictureText, require_medium, to_text
from glyphsight.inference.score import PromptTooLongError
from glyphsight.inference.stream import Piece, Writing
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.media import PictureLike
from glyphsight.models.chat import fill, has_template
from glyphsight.models.runs import Task

SHOW = "give a picture or a talker, or take sight"  # fix where a model has no words of its own
_WORDS = "glyphsight-asks"


@dataclass
class Conversation:
    """Conversation about pictures: what was said so far, and the pictures that wait for words."""

    model: Model
    most: int = Writing.most  # tokens of a reply at most
    show: str = SHOW  # fix where the model has no words of its own
    messages: list[dict[str, str]] = field(default_factory=list)  # said so far, oldest first
    waiting: list[PictureText] = field(default_factory=list)  # what the next words are about
    _named: list[Answer] = field(default_factory=list)
    _last: list[PictureText] = field(default_factory=list)  # pictures that were shown last
    _known: bool = False
    pictures: bool = False  # True once a picture was added
    # True where the last reply knew nothing of a picture that is not blank
    puzzled: bool = False

    def add(self, picture: PictureLike) -> None:
        """Read a picture or a sound, which the next words are about.

        Raises:
            PictureError: It cannot be read.
        """
        require_medium(picture, self.model)
        try:
            self.waiting.append(to_text(picture, self.model.trained.profile))
        except PictureError as error:
            said = str(error)
            named = isinstance(picture, str) and picture not in said
            raise PictureError(f"{picture}: {said}" if named else said) from error
        self.pictures = True

    def ask(self, words: str) -> list[PictureText]:
        """Add words, and the pictures that wait, to what was said; return these pictures."""
        asked = self.waiting
        things = [one for picture in asked for one in picture.things]
        shown = [one.ascii_image.rstrip("\n") for one in things]
        if asked and self.model.talker is not None:
            sound = self.model.trained.profile.trim is not None
            self._named, self._last = self.model.see(asked), asked  # an error leaves them waiting
            self._known |= any(map(is_known, self._named))
            shown = [in_words([*map(names_of, self._named)], "Sound" if sound else "Picture")]
        self.waiting = []
        self.messages.append({"role": "user", "content": "\n".join([*shown, words])})
        return asked

    def answered(self, said: str) -> None:
        """Add a reply to what was said."""
        self.messages.append({"role": "assistant", "content": said.strip()})

    def reply(self, words: str) -> Iterator[str]:
        """Yield the reply to words and the pictures that wait, as it is written.

        Raises:
            ModelError: The model has no words of its own, or the conversation exceeds its window.
        """
        asked, said, self.puzzled = self.ask(words), "", False
        try:
            again = self._named and refers(words) and (self._writes(words) or not self._known)
            task = task_about(self.model, words, self._named) if asked or again else None
            about = asked or (self._last if self._writes(words) else [])
            said_so = self._written(words) if task is None else self._seen(about, task.question)
            for text in said_so:
                said += text
                yield text
        except PromptTooLongError as error:
            raise ModelError(f"{too_long(error)}; begin another conversation") from error
        finally:
            if said.strip():
                self.answered(said)
            else:  # an error: what was asked can be asked again
                self.messages.pop()
                self.waiting = asked

    def _seen(self, texts: list[PictureText], question: str) -> Iterator[str]:
        first = question == self.model.trained.tasks[0].question or not texts
        answers = self._named if self._named and first else self.model.see(texts, question)
        things = [one for answer in answers for one in ([answer] if answer.said else answer.things)]
        self.puzzled = any(not (one.known or one.empty) for one in things)
        for number, one in enumerate(things):
            yield f"{', ' if number else ''}{one.name}"

    def _writes(self, words: str) -> bool:
        return bool(self._last) and self.model.writes(words)

    def _written(self, words: str) -> Iterator[str]:
        if self._writes(words):
            writer, things = self.model, [one for text in self._last for one in text.things]
            asked = asked_again(self.model, [one.ascii_image for one in things], words)
        else:
            writer = self.model.talker or self.model
            asked = conversation_ids(self.model, self.messages, self.show, pictures=self.pictures)
        for piece in without_lead(writer.stream(asked, Writing(self.most))):
            yield piece.text


def task_about(model: Model, words: str, seen: Sequence[Answer] = ()) -> Task | None:
    """Return the task that words beside pictures mean; None where they belong to a conversation.

    A talker is not asked about pictures of which nothing is known: their label is the answer.

    Raises:
        ModelError: The run was trained on several questions, on none such as this, and not on any,
            and has no base that talks about what it names.
    """
    run = model.trained
    named, task = model.talker is not None, None
    try:
        task = run.task(words if words.strip() else None) if named else run.meant(words)
        task = run.asked(words, task)
    except ModelError:
        if not named:
            raise
    if task in run.tasks:
        return task
    unseen = named and seen and not any(map(is_known, seen)) and refers(words)
    return run.tasks[0] if unseen else None


def asked_again(model: Model, texts: Sequence[str], words: str) -> list[int]:
    """Return the tokens of words beside the texts of pictures, as the run that writes learned them.

    It did not learn from long conversations: what was said before is left out.
    """
    [ids] = prompt_ids(
        model.tokenizer, [model.trained.prompt.ask("".join(texts), words)], model.chat_turns
    )
    return ids


def conversation_ids(
    model: Model, messages: Sequence[Mapping[str, str]], show: str = SHOW, *, pictures: bool
) -> list[int]:
    """Return the tokens of a conversation, up to where the model replies.

    They are those of the chat template, where there is one. Pictures are read as the model was
    trained to: where that was in plain text alone, the conversation is plain text too.

    Args:
        model: The model.
        messages: Objects with ``role`` and ``content``, oldest first. A picture is its text, or
            what it shows in words where the base of the model writes.
        show: Fix where the model has no words of its own.
        pictures: True where a message holds a picture.

    Raises:
        ModelError: The model has no words of its own, or its template does not take the messages.
    """
    if model.talker is not None:  # pictures are named in words
        return model.talker.turns(relevant(messages))
    if not model.speaks:
        raise ModelError(f"{model.name} has no words but its labels; {show}")
    run, template = model.trained, has_template(model.tokenizer)
    if run.chat or (template and (not pictures or _knows_template(model))):
        return model.turns([dict(one) for one in messages])
    [ids] = prompt_ids(model.tokenizer, [_plain(run.prompt, messages)])
    return ids


def _knows_template(model: Model) -> bool:
    """Say whether a wording of the training is the template, written out."""
    asked = fill(model.tokenizer, [{"role": "user", "content": _WORDS}])
    after = asked.partition(_WORDS)[2]
    return any(prompt.question.endswith(after) for prompt in model.trained.prompts)


def _plain(prompt: Prompt, messages: Sequence[Mapping[str, str]]) -> str:
    """Write a conversation in the wording of a model that was trained without a chat."""
    text = ""
    for message in messages:
        content = message["content"].rstrip("\n") + "\n"
        if message["role"] == "user":
            text += prompt.ask(content)
        elif message["role"] == "assistant":
            text += f"{prompt.reply(content.strip())}\n"
        else:
            text += content
    return text


def without_lead(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Leave out the white space that a reply begins with."""
    begun = False
    for piece in pieces:
        text = piece.text if begun else piece.text.lstrip()
        begun = begun or bool(text)
        yield replace(piece, text=text)


def too_long(error: PromptTooLongError) -> str:
    """Say by how much a conversation exceeds the window."""
    return str(error).removeprefix("picture 1: ").rpartition("; ")[0]
