"""Conversations in which pictures are text: what is a question, and what the model reads of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from glyphsight.dataset.prompt import Prompt
from glyphsight.inference.model import Model
from glyphsight.inference.score import PromptTooLongError
from glyphsight.inference.stream import Piece
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.models.chat import fill, has_template
from glyphsight.models.runs import RunRecord, Task

_WORDS = "glyphsight-asks"


def task_about(run: RunRecord, words: str) -> Task | None:
    """Return the task that words beside pictures mean; None where they belong to a conversation.

    Raises:
        ModelError: The run was trained on several questions, on none such as this, and not on any.
    """
    task = run.meant(words)
    return task if task in run.tasks else None


def conversation_ids(
    model: Model, messages: Sequence[Mapping[str, str]], *, pictures: bool
) -> list[int]:
    """Return the tokens of a conversation, up to where the model replies.

    They are those of the chat template, where there is one. Pictures are read as the model was
    trained to: where that was in plain text alone, the conversation is plain text too.

    Args:
        model: The model.
        messages: Objects with ``role`` and ``content``, oldest first. A picture is its text.
        pictures: True where a message holds a picture.

    Raises:
        ModelError: The model's template does not take the messages.
    """
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
