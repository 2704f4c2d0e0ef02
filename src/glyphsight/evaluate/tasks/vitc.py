"""ViTC: single characters (``vitc-s.json``) and strings (``vitc-l.json``) in ASCII fonts.

Jiang et al. 2024, "ArtPrompt: ASCII Art-based Jailbreak Attacks against Aligned LLMs"; the files
are ``dataset/ViTC/vitc-s.json`` and ``vitc-l.json`` of github.com/uw-nsl/ArtPrompt: a JSON array of
objects with ``id``, ``text``, ``font`` and ``art_text``. ``text`` is a digit or a capital letter in
the first, two to four of them in the second.

A question says whether it shows a digit or a letter, as the project's own program does by default,
so there are 10 choices or 26. A string has no choices: writing is judged.
"""

from __future__ import annotations

import string
from pathlib import Path

from glyphsight.dataset.record import json_type
from glyphsight.dataset.text import parse_json, read_text
from glyphsight.errors import DatasetError
from glyphsight.evaluate.tasks.base import (
    Item,
    Task,
    Wording,
    character_match,
    get_field,
    read_reply,
)

_KINDS = {
    "digit": (tuple(string.digits), "a digit", "Which digit, 0 to 9, is it?"),
    "letter": (tuple(string.ascii_uppercase), "a letter", "Which letter, A to Z, is it?"),
    "string": ((), "a string of digits and letters", "Which string is it?"),
}


def _kind(text: str, where: str) -> str:
    known = set(string.digits + string.ascii_uppercase)
    if not text or not set(text) <= known:
        raise DatasetError(f"{where}: 'text' is {text!r}, must be of digits 0-9 and letters A-Z")
    if len(text) > 1:
        return "string"
    return "digit" if text.isdigit() else "letter"


def _wording(kind: str) -> Wording:
    _, shown, asked = _KINDS[kind]
    return Wording(
        f"The characters below, over several lines, draw {shown}. {asked}\n"
        "{art}\nThe answer is {answer}"
    )


def read_vitc(file: Path, wording: Wording | None = None) -> Task:
    """Read ``vitc-s.json`` or ``vitc-l.json``.

    Args:
        file: Path of the file.
        wording: Words of every question; None for those of this module.

    Raises:
        DatasetError: Names the file, the item and its fault.
    """
    found = parse_json(read_text(file), file)
    if not isinstance(found, list):
        raise DatasetError(f"{file}: holds {json_type(found)}, ViTC is an array of objects")
    items = []
    for number, one in enumerate(found, start=1):
        where = f"{file}: item {number}"
        text: str = get_field(one, "text", str, where).upper()
        art: str = get_field(one, "art_text", str, where)
        kind = _kind(text, where)
        choices = _KINDS[kind][0]
        words = wording or _wording(kind)
        prompt = words.ask(art.removesuffix("\n"), ", ".join(choices))
        items.append(Item(art, (text,), choices, prompt=prompt))
    words = wording or _wording("digit")
    return Task(str(file), items, words.prompt, read_reply, partial=character_match)
