"""Say what was seen or heard, for a language model that reads words alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from glyphsight.dataset.questions import kind_of
from glyphsight.models.runs import UNKNOWN

if TYPE_CHECKING:
    from glyphsight.inference.see import Answer


def names_of(answer: Answer) -> list[str]:
    """Return the names of all things in a picture; ``unknown`` of what has none."""
    return [one.name if one.known else UNKNOWN for one in answer.parts or (answer,)]


def in_words(pictures: Sequence[Iterable[str]], kind: str = "Picture") -> str:
    """Say what pictures or sounds show, a sentence each, such as "The picture shows a star.".

    Args:
        pictures: Names of the things in each of N, in order; several are numbered.
        kind: ``Picture`` or ``Sound``.
    """
    said = []
    for number, names in enumerate(pictures, 1):
        which = f"{kind} {number}" if len(pictures) > 1 else f"The {kind.lower()}"
        verb = "is" if kind == "Sound" else "shows"
        said.append(f"{which} {verb} {' and '.join(map(_thing, names))}.")
    return "\n".join(said)


def _thing(name: str) -> str:
    if name == UNKNOWN:
        return "nothing that can be named"
    if (kind := kind_of(name)) != "thing":
        return f"the {kind} {name}"
    if name.endswith("s") and not name.endswith(("ss", "us")):  # trousers
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
