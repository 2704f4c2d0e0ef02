"""It still talks: short prompts without a picture, and how many replies are sane.

``talk:chat``, ``talk:plain`` and ``talk:both`` have the model write after 100 short prompts that
nothing was trained on; the base's own replies are judged by the same rule, :func:`sane`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from functools import partial

from glyphsight.dataset.questions import CHAT, PLAIN, asides
from glyphsight.errors import DatasetError
from glyphsight.evaluate.result import Share
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.tasks.base import Item, Task
from glyphsight.files import normal
from glyphsight.models import RunRecord

_TEMPLATES = {"plain": PLAIN, "chat": CHAT}
_SILENT = "(nothing)"  # in place of a reply that the base ended at once
_STEM, _SHORTEST = 5, 4  # letters
_COMMON = (
    "about also answer been does from have here into just like make many more most much only other "
    "some such than that their them then there these they this very want what when where which "
    "will with would write your"
)


def sane(reply: str, prompt: str, base: str, labels: Collection[str] = ()) -> bool:
    """Say whether a reply to a short prompt is sane.

    - It holds a word of letters and is no label of the model, marks and case aside.
    - It is not endless: no four words in a row stand there three times, nor any line.
    - It is on topic: one of its words of four letters or more, but for very common ones, begins
      with the same five letters as one of the prompt or of the base's own reply. Where neither has
      such a word, it is.
    """
    bare = normal(reply).strip(" \n.,:;!?'\"").casefold()
    if not re.search(r"[^\W\d_]", bare) or bare in {normal(one).casefold() for one in labels}:
        return False
    words = re.findall(r"\w+", bare)
    rows = Counter(" ".join(words[at : at + 4]) for at in range(len(words) - 3))
    lines = Counter(line for line in bare.splitlines() if line.strip())
    if any(count > 2 for count in (rows | lines).values()):
        return False
    topic = _stems(prompt) | _stems(base)
    return not topic or bool(topic & _stems(reply))


def _stems(text: str) -> set[str]:
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return {one[:_STEM] for one in words if len(one) >= _SHORTEST and one not in _COMMON.split()}


def _read_sane(reply: str, item: Item, asked: dict[str, str], labels: Collection[str]) -> str:
    [base] = item.answers
    said = normal(reply)
    return base if sane(said, asked[item.prompt], base, labels) else said or "nothing"


def talk_task(location: str, run: RunRecord | None, settings: EvaluateSettings) -> Task:
    """100 short prompts, plain, chat or both: replies that are sane."""
    if location not in (*_TEMPLATES, "both"):
        raise DatasetError(f"talk:{location}: no such template; give chat, plain or both")
    items, kept = [], {}
    asked: dict[str, str] = {}
    for name, wording in _TEMPLATES.items():
        if location in (name, "both"):
            every = asides(held_out=True, chat=name == "chat", silent=True)
            for words, said in every:
                prompt = str(wording.ask("", words))
                asked[prompt] = words
                items.append(Item("", (said or _SILENT,), (), name, prompt))
            kept[name] = [sane(said, words, said) for words, said in every]
    labels = frozenset(label for task in (run.tasks if run else ()) for label in task.labels)

    base = {f"the base, {name}": Share.of(sum(own), len(own)) for name, own in kept.items()}
    read = partial(_read_sane, asked=asked, labels=labels)
    return Task(location, items, PLAIN, read, further=lambda model, samples: base)
