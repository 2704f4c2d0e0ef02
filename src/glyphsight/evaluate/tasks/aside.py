"""A turn about something else after a picture: answered as by the base.

``aside:DATA`` asks what has nothing to do with the picture, in the same turn or after the picture
was named, in plain text and in the chat template. The first sentence of the reply must be that of
the base, which it gave without a picture; see :mod:`glyphsight.dataset.questions`.
"""

from __future__ import annotations

import re

from glyphsight.dataset.questions import CHAT, PLAIN, asides, told
from glyphsight.errors import DatasetError
from glyphsight.evaluate.result import Samples, Share
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.tasks.base import Item, Task
from glyphsight.evaluate.tasks.records import records_task
from glyphsight.inference import Model
from glyphsight.inference.naming import in_words, names_of, relevant
from glyphsight.inference.reading import PictureText
from glyphsight.models import RunRecord
from glyphsight.models.runs import root_of
from glyphsight.models.smollm2 import NAME

REPLY = 64  # tokens of a reply of which the first sentence is judged


def first_sentence(text: str) -> str:
    """Return the first sentence of a text in one form: white space single, case folded."""
    found = re.match(r".+?(?:[.!?][\"')]*(?=\s|$)|$)", text.strip(), re.MULTILINE)
    return " ".join(found[0].casefold().split()) if found else ""


def _read_first(reply: str, item: Item) -> str:
    said = first_sentence(reply)
    return item.answers[0] if said == first_sentence(item.answers[0]) else said


def aside_task(location: str, run: RunRecord | None, settings: EvaluateSettings) -> Task:
    """Turns about something else after a picture, answered as by the base."""
    if run is not None and root_of(run).base != NAME:
        raise DatasetError(
            f"aside: the answers that are kept are those of {NAME}, and this run is one of "
            f"{root_of(run).base}; take a run of {NAME}"
        )
    items, turns = [], []
    shown = records_task(location, run, settings)
    for number, one in enumerate(shown.items):
        chat, after = number % 2 == 1, number // 2 % 2 == 1
        every = asides(held_out=True, chat=chat)
        words, said = every[number // 2 % len(every)]
        question = told(words, one.answers[0], chat=chat) if after else words
        group = f"{'chat' if chat else 'plain'}, {'a later turn' if after else 'the same turn'}"
        prompt = (CHAT if chat else PLAIN).ask(one.ascii_image, question)
        items.append(Item(one.ascii_image, (said,), (), group, prompt))
        if chat:
            turns.append((one, after, words))

    def further(model: Model, samples: Samples) -> dict[str, Share]:
        if model.talker is None:
            return {}
        model.talker.settle(len(turns))
        right = [_named_first(model, *turn) for turn in turns]
        return {"named first: as without a picture": Share.of(sum(right), len(right))}

    return Task(location, items, PLAIN, _read_first, split=shown.split, further=further)


def _named_first(model: Model, one: Item, after: bool, words: str) -> bool:
    """Say whether the talker's first sentence is the one that it says without a picture."""
    [answer] = model.see([PictureText(one.ascii_image, 0, 0, inverted=False, cropped=False)])
    shown = in_words([names_of(answer)])
    alone = [{"role": "user", "content": words}]
    before = [
        {"role": "user", "content": f"{shown}\nWhat is it?"},
        {"role": "assistant", "content": answer.name},
    ]
    beside = [{"role": "user", "content": f"{shown}\n{words}"}]
    read = relevant(before + alone if after else beside)
    assert model.talker is not None
    if read == alone:  # the same conversation
        return True
    told, right = (first_sentence(model.talker.chat(turns, most=REPLY)) for turns in (read, alone))
    return told == right
