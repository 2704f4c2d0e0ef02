"""ASCIIEval: what a piece of ASCII art depicts, of four choices.

Jia et al. 2025, "ASCIIEval: Benchmarking Models' Visual Perception in Text Strings via ASCII Art"
(first "Visual Perception in Text Strings", 2024). The file is ``test_examples.jsonl`` or
``test.jsonl`` of github.com/JiaQiSJTU/VisionInText: a JSON object a line, of which ``ascii_art``,
``choices`` (four strings), ``labels`` (1 for the right choice, else 0), ``category-2`` and
``category-3`` are read. The art is under CC BY-NC 4.0.

A question lists the choices as A to D and is answered with the letter. The project averages over
concepts, which are ``category-2`` with ``category-3``.
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

WORDING = Wording(
    "What does this ASCII art show?\n\n{art}\n\n{choices}\n\n"
    "Answer with the letter of the right choice.\nAnswer: {answer}"
)
_MOST = len(string.ascii_uppercase)


def read_asciieval(file: Path, wording: Wording | None = None) -> Task:
    """Read ``test_examples.jsonl`` or ``test.jsonl``; empty lines are skipped.

    Args:
        file: Path of the file.
        wording: Words of every question; None for ``WORDING``.

    Raises:
        DatasetError: Names the file, the line, the field and its fault.
    """
    words = wording or WORDING
    items = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}: line {number}"
        value = parse_json(line, file, number)
        art: str = get_field(value, "ascii_art", str, where)
        choices = get_field(value, "choices", list, where)
        for choice in choices:
            if not isinstance(choice, str):
                raise DatasetError(f"{where}: 'choices' holds {json_type(choice)}, must be strings")
        if not 2 <= len(choices) <= _MOST:
            raise DatasetError(f"{where}: 'choices' has {len(choices)}, must be 2 to {_MOST}")
        labels = get_field(value, "labels", list, where)
        if len(labels) != len(choices) or sorted(labels, key=str) != [0] * (len(labels) - 1) + [1]:
            raise DatasetError(
                f"{where}: 'labels' is {labels}, must be a 1 for the right one of "
                f"{len(choices)} choices and a 0 for each other"
            )
        letters = tuple(string.ascii_uppercase[: len(choices)])
        listed = "\n".join(f"{letter}: {c}" for letter, c in zip(letters, choices, strict=True))
        groups = [str(value[key]) for key in ("category-2", "category-3") if key in value]
        items.append(
            Item(
                art,
                (letters[labels.index(1)],),
                letters,
                ".".join(groups),
                words.ask(art, listed),
            )
        )
    return Task(str(file), items, words.prompt, read_reply, partial=character_match)
