"""Questions in free words about what a picture shows, with the answers its name gives.

:func:`ask` turns the name of what is seen into a question and its answer; the same arguments give
the same ones. Records for a model that is to talk, in plain text and in its chat template::

    wordings = (PLAIN, CHAT)
    for number, (text, name, kind) in enumerate(seen):
        asked = ask([name], kind, number=number, chat=number % 2 == 1)
        records.append(Record((text,), asked.answer, asked.question))

Record i of a dataset takes wording i modulo their number, so ``chat`` goes with it. Several
pictures in one record are as many names. A question that holds ``{ASCII_image}`` says itself where
the pictures stand; earlier turns of a conversation stand in it too.

The wordings are ``assets/questions.json``, in frames such as "Please answer: ...". Those marked
``held_out`` are for tests, never to train on. Turns about something else are
``assets/asides.json``, with what SmolLM2 answered to each without a picture
(``scripts/own_answers.py``). A run that is trained on so many questions is ``free``: it lists the
commonest alone, and takes any.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from operator import itemgetter
from typing import Any

from glyphsight.dataset.prompt import Prompt
from glyphsight.errors import DatasetError

PLAIN = Prompt()
"""Wording of plain text."""
CHAT = Prompt(
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n<|im_start|>user\n{ASCII_image}{Question}<|im_end|>\n<|im_start|>assistant\n",
    "{Response}",
)
"""Wording of SmolLM2's chat template, for a run that is trained in both."""
ASIDE = "aside"
"""Family of the questions that have nothing to do with the picture."""
ASIDES = files("glyphsight") / "assets" / "asides.json"
_FORMS = files("glyphsight") / "assets" / "questions.json"
_PICTURE = "{ASCII_image}"
_TURNS = {  # before an answer, and after it
    True: ("<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n<|im_start|>user\n"),
    False: ("\nResponse: ", "\n"),
}
_END = re.compile(r"[.!?][\"')]*(?=\s|$)")  # of a sentence
_NUMBERS = ("digit", "number")
_SORTS = ("digit", "letter", "word")
_LONG = ("number", "word")  # of several characters
LARGE = "large "
"""Beginning of the name of the largest thing of a scene."""
_PLACES = ("first", "second", "third", "fourth")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""English words of the digits."""


@dataclass(frozen=True)
class Asked:
    """A question about a picture, or about several, and its answer."""

    family: str  # family of the question, such as ``parity``
    question: str  # the record's own question, with all turns before it
    words: str  # the question alone
    answer: str
    choices: tuple[str, ...] = ()  # answers that the question leaves open; empty for any


@dataclass(frozen=True)
class _Form:
    family: str
    choices: tuple[str, ...] = ()
    kinds: Collection[str] = ()  # kinds of pictures that it fits; empty for all
    # From the names of all pictures; None where there is no answer
    answer: Callable[[Sequence[str]], str | None] = itemgetter(0)
    pictures: Collection[int] = (1,)  # numbers of pictures that it fits


def _written_out(numbers: Sequence[str]) -> str:
    """Write a sum with its numbers, "5 + 3 = 8": a small model reads first, then adds."""
    return f"{' + '.join(numbers)} = {sum(map(int, numbers))}"


_EVEN, _YES = ("even", "odd"), ("yes", "no")
_SEVERAL = (2, 3, 4)
_BY_NAME = {  # by the form of assets/questions.json
    "name": _Form("what"),
    "sort": _Form("sort", _SORTS, _SORTS),
    "either": _Form("parity", _EVEN, _NUMBERS, lambda seen: _EVEN[int(seen[0]) % 2]),
    "even": _Form("parity", _YES, _NUMBERS, lambda seen: _YES[int(seen[0]) % 2]),
    "odd": _Form("parity", _YES, _NUMBERS, lambda seen: _YES[1 - int(seen[0]) % 2]),
    "three": _Form("plus", (), _NUMBERS, lambda seen: str(int(seen[0]) + 3)),
    "minus": _Form(
        "minus", (), _NUMBERS, lambda seen: str(int(seen[0]) - 1) if int(seen[0]) else None
    ),
    "than": _Form("than", _YES, _NUMBERS),
    "in words": _Form("in words", (), ("digit",), lambda seen: DIGITS[int(seen[0])]),
    "larger": _Form("larger", (), _NUMBERS, lambda seen: _outermost(seen, max), (2,)),
    "smaller": _Form("smaller", (), _NUMBERS, lambda seen: _outermost(seen, min), (2,)),
    "sum": _Form("sum", (), _NUMBERS, _written_out, _SEVERAL),
    "place": _Form("place", (), _NUMBERS, pictures=_SEVERAL),
    "backwards": _Form("backwards", (), _LONG, lambda seen: seen[0][::-1]),
    "count": _Form("count", (), ("scene", "digit"), pictures=(1, *_SEVERAL)),
    "length": _Form("length", (), _LONG, lambda seen: str(len(seen[0]))),
    "left": _Form("left", (), ("scene", *_NUMBERS), pictures=(1, *_SEVERAL)),
    "right": _Form("right", (), ("scene",)),
    "largest": _Form("size", (), ("scene",)),
    "leftmost": _Form("end", (), ("scene",)),
    "rightmost": _Form("end", (), ("scene",)),
    "first": _Form("first", (), (), lambda seen: seen[0][0]),
}
FAMILIES = (*dict.fromkeys(form.family for form in _BY_NAME.values()), ASIDE)
"""Families of questions."""


def _outermost(numbers: Sequence[str], choose: Callable[..., str]) -> str | None:
    """Choose the larger or the smaller of two numbers; None of equal ones."""
    return choose(numbers, key=int) if int(numbers[0]) != int(numbers[1]) else None


def _largest(things: Sequence[str]) -> str | None:
    """Return the one thing that is called large; None where none or several are."""
    large = [one.removeprefix(LARGE) for one in things if one.startswith(LARGE)]
    return large[0] if len(large) == 1 else None


def _answered(
    name: str, names: Sequence[str], kind: str, draw: random.Random
) -> tuple[str, str] | None:
    """Answer a form; return also what it asks about, and None where it does not fit."""
    form = _BY_NAME[name]
    if len(names) not in form.pictures or (form.kinds and kind not in form.kinds):
        return None
    if kind == "scene" and len(names) > 1:
        return None
    sized = names[0].split(", ") if kind == "scene" else list(names)
    things = [one.removeprefix(LARGE) for one in sized]
    if name == "sort":
        return kind, ""
    if name == "count":
        return str(len(things)), ""
    if name == "place":
        at = draw.randrange(len(things))
        return things[at], "last" if at == len(things) - 1 and draw.random() < 0.5 else _PLACES[at]
    if name in ("left", "right"):
        pairs = list(pairwise(things))
        pairs = pairs if name == "left" else [(right, left) for left, right in pairs]
        known = [pair for pair in pairs if things.count(pair[1]) == 1]
        return draw.choice(known) if known else None
    if name in ("largest", "leftmost", "rightmost"):
        found = {"largest": _largest(sized), "leftmost": things[0], "rightmost": things[-1]}[name]
        return (found, "") if found and len(things) > 1 else None
    if name == "than":
        one = int(things[0])
        near = range(10) if one < 10 else range(one - 9, one + 10)
        other = draw.choice([value for value in near if value != one])
        return _YES[one < other], str(other)
    if name == "first" and kind in (*_NUMBERS, "letter", "scene"):
        return None
    answer = form.answer(names)
    return None if answer is None else (answer, "")


@lru_cache(maxsize=1)
def _read() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_FORMS.read_text("utf-8"))
    return found


_NOUN = (
    "(?:digit|number|letter|character|sign|thing|object|item|shape|icon|symbol|picture|image|"
    "photo|drawing|sketch)"
)
_HERE = f"(?: here| there| on it| (?:in|on) (?:the|this|that|my) {_NOUN})?"
_NAME = re.compile(
    rf"(?:please )?(?:what|which)(?: {_NOUN})?(?:s| is| was)(?: it| this| that)?(?: {_NOUN})?"
    rf"(?: shown| drawn| written| seen)?{_HERE}"
    rf"|(?:please )?(?:what|which)(?: {_NOUN})? (?:do you see|can you see|can be seen){_HERE}"
    rf"|(?:what|which) {_NOUN}|what does (?:it|(?:the|this) {_NOUN}) show|what have i drawn"
    rf"|(?:please )?(?:name|read|identify|recogni[sz]e|say|tell me)"
    rf"(?: it| this| (?:the|this) {_NOUN}| what you see| what (?:it|this|that) is)"
)


_REFERS = re.compile(
    r"\b(it|its|this|that|these|those|they|them|he|she|him|her|here|there|both|two|first|last|"
    r"pictures?|images?|photos?|drawings?|sounds?|recordings?|drawn|shown|written|said|seen?|hear|"
    r"heard|look|read|(?:second|third|fourth) one|signs?|digits?|letters?|numbers?|characters?|"
    r"words?|things?|objects?|shapes?|icons?|symbols?|numerals?|pictured|depicted|which one|"
    r"the (?:bigger|figure|items?|row|value)|(?:largest|biggest) (?:figure|item|one)|left|"
    r"right|leftmost|rightmost|larger|smaller|more|even|odd|plus|minus|add|sum|backwards|"
    r"count|sure)\b|\bexplain\W*$"
)
_ENGLISH = re.compile(
    r"\b(what|who|when|where|why|how|which|the|is|are|do|does|did|can|could|should|you|your|my|i|"
    r"tell|write|give|name|list|explain|describe|of|to)\b"
)


def refers(words: str, *, surely: bool = False) -> bool:
    """Tell whether words may refer to a picture: by one such as "it", or as two words at most.

    Words in another language than English may; ``surely`` asks for a word such as "it".
    """
    plain = words.casefold()
    if surely:
        return _REFERS.search(plain) is not None
    english = plain.isascii() and _ENGLISH.search(plain)
    return len(plain.split()) < 3 or not english or _REFERS.search(plain) is not None


def asks_name(words: str) -> bool:
    """Tell whether words beside a picture ask for the name of what it shows, and no more."""
    plain = " ".join(re.findall(r"\w+", words.casefold().replace("'", "")))
    return _NAME.fullmatch(plain) is not None


def kind_of(name: str) -> str:
    """Return the kind of a picture by its name alone: a digit, a number, a letter or a thing."""
    if name.isascii() and name.isdigit():
        return "digit" if len(name) == 1 else "number"
    return "letter" if len(name) == 1 else "thing"


@lru_cache(maxsize=8)
def asides(
    held_out: bool = False, chat: bool = False, *, silent: bool = False
) -> tuple[tuple[str, str], ...]:
    """Return turns about something else, each with the answer of the base.

    Args:
        held_out: True for those that nothing is trained on.
        chat: True for the answers in the chat template, False for those in plain text.
        silent: True for those too to which the base says no whole sentence.
    """
    every = json.loads(ASIDES.read_text("utf-8"))
    said = "chat" if chat else "plain"
    some = (
        one for one in every if one["held_out"] == held_out and (silent or _END.search(one[said]))
    )
    return tuple((one["ask"], one[said]) for one in some)


@lru_cache(maxsize=32)
def wordings(family: str, held_out: bool = False) -> tuple[tuple[str, str], ...]:
    """Return form and wording of every question of a family, each in every frame."""
    part = "held_out" if held_out else "trained"
    return tuple(
        (form["form"], frame.replace("{}", words, 1))
        for form in _read()["forms"]
        if form["family"] == family
        for frame in _read()["frames"][part]
        for words in form[part]
    )


def ask(
    names: Sequence[str],
    kind: str,
    *,
    seed: int = 0,
    number: int = 0,
    held_out: bool = False,
    chat: bool = False,
    families: Collection[str] = FAMILIES,
) -> Asked:
    """Ask about a picture, or about several, in one of the wordings that fit.

    Args:
        names: Name of what each picture shows: the character, the number, the word, the thing;
            of a scene its things from left to right, the largest called so, such as
            ``circle, large star, circle``.
        kind: Kind of the picture: ``digit``, ``letter``, ``number``, ``word``, ``scene``, or any
            other for a thing by its name, such as ``icon``.
        seed: Random seed of a whole dataset.
        number: Number of the record in it.
        held_out: True for wordings that nothing is trained on, after the picture.
        chat: True for a record in the wording :data:`CHAT`, False for :data:`PLAIN`.
        families: Families to choose from.

    Returns:
        A question of a family that fits, all families alike often.

    Raises:
        DatasetError: No family fits the names.
    """
    draw = random.Random(f"{seed} {number} {held_out} {' '.join(names)}")
    choices: tuple[str, ...] = ()
    for family in draw.sample(FAMILIES, len(FAMILIES)):
        if family not in families:
            continue
        if family == ASIDE:
            words, said = draw.choice(asides(held_out, chat))
            answer = whole(said)
            break
        fit = wordings(family, held_out)
        if kind == "number":  # "the second digit" of 42 is a 2
            fit = tuple(one for one in fit if "digit" not in one[1] and "figure" not in one[1])
        form, words = draw.choice(fit)
        found = _answered(form, names, kind, draw)
        if found is not None:
            answer, about = found
            words, choices = words.replace("{}", about), _BY_NAME[form].choices
            break
    else:
        raise DatasetError(
            f"{', '.join(names)}: no question of {', '.join(families)} fits this {kind}; "
            "give other names or families"
        )
    alone = held_out or len(names) > 1
    question = words if alone else _placed(words, family, names[0], chat, draw)
    return Asked(family, question, words, answer, choices)


def _placed(words: str, family: str, name: str, chat: bool, draw: random.Random) -> str:
    """Place a question and its picture in a conversation: half of them are the plain question."""
    place = draw.choice(("after", "after", "after", "before", "later", "told"))
    said, asked = _TURNS[chat]
    if place == "before":
        return f"{words}\n{_PICTURE}"
    if place == "later":
        other, answer = draw.choice(asides(chat=chat))
        return f"{other}{said}{whole(answer)}{asked}{_PICTURE}\n{words}"
    if place == "told" and family != "what":
        return told(words, name, draw.choice(wordings("what"))[1], chat=chat)
    return words


def told(words: str, name: str, what: str = "What is it?", *, chat: bool = False) -> str:
    """Ask something after a turn in which the picture was named."""
    said, asked = _TURNS[chat]
    return f"{_PICTURE}\n{what}{said}{name}{asked}{words}"


def whole(text: str) -> str:
    """Cut a text that was not written to its end after its last whole sentence."""
    ends = [found.end() for found in _END.finditer(text)]
    return text[: ends[-1]] if ends else text
