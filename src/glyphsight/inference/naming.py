"""Say what was seen or heard, for a language model that reads words alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from glyphsight.dataset.questions import kind_of, refers
from glyphsight.inference.answer import Answer
from glyphsight.models.runs import UNKNOWN

_SAID = re.compile(
    r"(?m)^(?:The picture|Picture \d+) shows .+\.$\n?|^(?:The sound|Sound \d+) is .+\.$\n?"
)


def names_of(answer: Answer) -> list[str]:
    """Return the names of all things in a picture; ``unknown`` of what has none."""
    return [one.name if one.known else UNKNOWN for one in answer.things]


def is_known(answer: Answer) -> bool:
    """Tell whether the model knows one of the things in a picture."""
    return any(one.known for one in answer.things)


def in_words(pictures: Sequence[Iterable[str]], kind: str = "Picture") -> str:
    """Say what pictures or sounds show, a line each; see :func:`sentences`."""
    return "\n".join(sentences(pictures, kind))


def sentences(pictures: Sequence[Iterable[str]], kind: str = "Picture") -> list[str]:
    """Say what pictures or sounds show: "The picture shows a star."; several are numbered."""
    said = []
    for number, names in enumerate(pictures, 1):
        which = f"{kind} {number}" if len(pictures) > 1 else f"The {kind.lower()}"
        verb = "is" if kind == "Sound" else "shows"
        said.append(f"{which} {verb} {' and '.join(map(_thing, names))}.")
    return said


def relevant(messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Leave pictures and turns about them out where the last words do not refer to a picture.

    A small model that reads "The picture shows the digit 5." answers all else by it. Messages are
    objects with ``role`` and ``content``, oldest first; pictures as :func:`in_words` says them.
    """
    every = [dict(one) for one in messages]
    words = [_SAID.sub("", one["content"]).strip() for one in every]
    named = any(said != one["content"].strip() for said, one in zip(words, every, strict=True))
    if not named or every[-1]["role"] != "user" or refers(words[-1]):
        return every
    kept: list[dict[str, str]] = []
    about = False
    for one, said in zip(every, words, strict=True):
        if one["role"] == "user":
            about = refers(said)
        if one["role"] == "system" or not about:
            kept.append({**one, "content": said})
    return kept


def _thing(name: str) -> str:
    if name == UNKNOWN:
        return "nothing that can be named"
    if (kind := kind_of(name)) != "thing":
        return f"the {kind} {name}"
    if name.endswith("s") and not name.endswith(("ss", "us")):  # trousers
        return name
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
