"""What is seen is used: questions about pictures that the name of what they show answers.

``use:DATA`` asks questions in held-out wordings (:mod:`glyphsight.dataset.questions`) about the
pictures of a dataset or a source whose answers are the names of what they show: in plain text and,
unless the run learned questions in plain text alone, in the chat template, before and after the
picture, and every tenth time each about two and three pictures, where they are digits or numbers.
``?kind=word`` after it says what the names do not. A case counts where the model names the picture
right *and* its base answers the same question about the written name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress

from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.questions import ASIDE, CHAT, DIGITS, FAMILIES, PLAIN, ask, kind_of
from glyphsight.evaluate.result import Samples, Share
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.tasks.aside import REPLY, first_sentence
from glyphsight.evaluate.tasks.base import Item, Task, likeliest
from glyphsight.evaluate.tasks.records import records_task
from glyphsight.files import normal
from glyphsight.inference import Model, Request
from glyphsight.inference.naming import in_words, relevant
from glyphsight.models import RunRecord
from glyphsight.models.load import as_base

_RIVALS = (("yes", "no"), ("even", "odd"), ("digit", "letter", "word"))
_IT = "Is it even?"
_ASKED = set(FAMILIES) - {ASIDE, "what"}
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen", "twenty"),
)
_NUMBERS = {word: str(value) for value, word in enumerate((*DIGITS, *_TEENS))}


def says(reply: str, answer: str) -> bool:
    """Say whether the first sentence of a reply gives an answer.

    Of yes and no, even and odd, or digit, letter and word it must hold the right one alone. Of
    numbers the last one counts, written in digits or in words up to twenty, and of a sum that is
    written out ("5 + 3 = 8") what it comes to; all else must stand there as whole words. Case and
    marks are ignored.
    """
    if re.fullmatch(r"\d+(?: \+ \d+)+ = \d+", answer):
        answer = answer.rpartition(" ")[2]
    words = re.findall(r"\w+", first_sentence(reply))
    wanted = re.findall(r"\w+", normal(answer).casefold())
    for rivals in _RIVALS:
        if answer in rivals:
            return {one for one in words if one in rivals} == {answer}
    if answer.isdigit():
        numbers = [_NUMBERS.get(one, one) for one in words]
        return [one for one in numbers if one.isdigit()][-1:] == [answer]
    return bool(wanted) and any(
        words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1)
    )


def _read_said(reply: str, item: Item) -> str:
    return next((one for one in item.answers if says(reply, one)), normal(reply))


@dataclass(frozen=True)
class _Case:
    """A question: its wording, the pictures by their rows, and its words with their place."""

    wording: Prompt
    rows: tuple[int, ...]
    words: str
    before: bool  # the words stand before the pictures

    def ask(self, texts: Sequence[str]) -> str:
        question = f"{self.words}\n{{ASCII_image}}" if self.before else self.words
        return self.wording.ask("".join(texts[row] for row in self.rows), question)

    def told(self, names: Sequence[str]) -> str:
        """Return what the base is asked where the pictures were named to it."""
        said = in_words([[names[row]] for row in self.rows])
        return f"{self.words}\n{said}" if self.before else f"{said}\n{self.words}"


def use_task(location: str, run: RunRecord | None, settings: EvaluateSettings) -> Task:
    """Answers to questions about pictures, where name and base are right."""
    data, _, kind = location.partition("?kind=")
    named = records_task(data, run, settings)
    names, texts = named.truth, [item.ascii_image for item in named.items]
    plain = run is not None and run.free and CHAT not in run.prompts  # all that it learned
    wordings = (PLAIN,) if plain else (PLAIN, CHAT)
    cases, items = [], []
    for number, name in enumerate(names):
        of_kind = kind or kind_of(name)
        several = {4: 2, 9: 3}.get(number % 10, 1)
        rows = tuple((number + more) % len(names) for more in range(several))
        if not {kind or kind_of(names[row]) for row in rows} <= {"digit", "number"}:
            rows = (number,)
        shown, seed = [names[row] for row in rows], settings.seed
        asked = ask(shown, of_kind, seed=seed, number=number, held_out=True, families=_ASKED)
        case = _Case(wordings[number % len(wordings)], rows, asked.words, number % 4 > 1)
        cases.append(case)
        text = "".join(texts[row] for row in rows)
        items.append(Item(text, (asked.answer,), (), asked.family, case.ask(texts), len(rows)))
    further = partial(_used, named=named, cases=cases)
    return Task(location, items, PLAIN, _read_said, split=named.split, further=further)


def _used(model: Model, samples: Samples, named: Task, cases: Sequence[_Case]) -> dict[str, Share]:
    """Ask for the names, and the base about the written names; see :func:`use_task`."""
    right = [sample.right for sample in samples]
    truth = [sample.truth for sample in samples]
    read = _labels(model, named)
    right_name = [one in own.answers for one, own in zip(read, named.items, strict=True)]
    seen = [all(right_name[row] for row in case.rows) for case in cases]
    about = [case.ask([f"{name}\n" for name in named.truth]) for case in cases]
    different = list(dict.fromkeys(about))
    with as_base(model.get()) as base:
        replies = Model(base).generate([Request(one, (" word" * 12,)) for one in different])
    said = dict(zip(different, replies, strict=True))
    knows = [says(said[one], answer) for one, answer in zip(about, truth, strict=True)]
    both = [a and b for a, b in zip(seen, knows, strict=True)]
    found = {
        "the name is right": seen,
        "the base is right about the written name": knows,
        "right, where the name is": list(compress(right, seen)),
        "it can use what it sees": list(compress(right, both)),
    }
    if model.talker is not None and not model.writes(_IT):
        model.talker.settle(len(cases))
        names = [model.trained.name_of(one) for one in read]
        told = [
            model.talker.chat(relevant([{"role": "user", "content": case.told(names)}]), most=REPLY)
            for case in cases
        ]
        right = [says(reply, answer) for reply, answer in zip(told, truth, strict=True)]
        found |= {
            "named first: right": right,
            "named first: right, where the name is": list(compress(right, seen)),
            "named first: it can use what it sees": list(compress(right, both)),
        }
    return {name: Share.of(sum(own), len(own)) for name, own in found.items() if own}


def _labels(model: Model, named: Task) -> list[str]:
    """Return the label that the model gives each picture, by likelihood or in writing."""
    items, prompt = named.items, named.prompt
    if all(one.choices for one in items):
        return likeliest(model, items, prompt)
    labels = (tuple(map(prompt.reply, one.choices or one.answers)) for one in items)
    asked = [Request(one.ask(prompt), own) for one, own in zip(items, labels, strict=True)]
    return [prompt.read_reply(reply) for reply in model.generate(asked)]
