"""Benchmarks of text art, in the files that their projects publish.

``read_vitc``: single characters (``vitc-s.json``) and strings (``vitc-l.json``) in ASCII fonts, of
Jiang et al. 2024, "ArtPrompt: ASCII Art-based Jailbreak Attacks against Aligned LLMs"
(github.com/uw-nsl/ArtPrompt, ``dataset/ViTC``).

``read_asciieval``: what a piece of ASCII art depicts, of four choices, of Jia et al. 2025,
"ASCIIEval: Benchmarking Models' Visual Perception in Text Strings via ASCII Art" (first "Visual
Perception in Text Strings", 2024; github.com/JiaQiSJTU/VisionInText). The art is CC BY-NC 4.0.

``read_bigbench``: a JSON task of BIG-bench, such as ``mnist_ascii``: MNIST digits as ASCII art, ten
choices, of Srivastava et al. 2022, "Beyond the Imitation Game" (github.com/google/BIG-bench).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyphsight.dataset import Prompt
from glyphsight.dataset.record import json_type, parse_json, read_text
from glyphsight.errors import DatasetError
from glyphsight.evaluate.tasks.base import Item, Task, character_match, read_reply

_ART, _CHOICES, _ANSWER = "{art}", "{choices}", "{answer}"
_LETTERS = string.ascii_uppercase
_BIGBENCH = {
    "task_prefix": "",
    "example_input_prefix": "\nQ: ",
    "example_output_prefix": "\nA: ",
    "choice_prefix": "\n  choice: ",
}


@dataclass(frozen=True)
class Wording:
    """Words of a question about text art.

    ``{art}`` stands for the picture, ``{choices}`` for the choices as the task lists them,
    ``{answer}``, at the end, for the answer. The model reads what stands before the answer. White
    space there belongs to the answer, since tokenizers merge a space with the word after it.
    """

    text: str

    def __post_init__(self) -> None:
        for name in (_ART, _ANSWER):
            if self.text.count(name) != 1:
                raise DatasetError(f"must hold {name} once")
        if not self.text.rstrip().endswith(_ANSWER):
            raise DatasetError(f"must end with {_ANSWER}")

    @property
    def prompt(self) -> Prompt:
        """Wording that turns answers into completions."""
        before = self.text.partition(_ANSWER)[0]
        return Prompt(answer=f"{before[len(before.rstrip()) :]}{{Response}}")

    def ask(self, art: str, choices: str = "") -> str:
        """Return the prompt for a picture and its choices, already listed."""
        before, _, after = self.text.partition(_ANSWER)[0].rstrip().partition(_ART)
        return f"{before.replace(_CHOICES, choices)}{art}{after.replace(_CHOICES, choices)}"


def read_wording(file: Path) -> Wording:
    """Read a :class:`Wording` from a text file; DatasetError names the file and the fault."""
    text = read_text(file)
    try:
        return Wording(text)
    except DatasetError as error:
        raise DatasetError(
            f"{file}: {error}; write it such as 'What is this?\\n{_ART}\\n{_ANSWER}'"
        ) from None


def _wrong(where: str, fault: str) -> DatasetError:
    return DatasetError(f"{where}: {fault}; take the file as its project publishes it")


def get_field(value: Any, key: str, kind: type, where: str) -> Any:
    """Return a field, of type ``kind``, of an object of a published file; errors name ``where``.

    Raises:
        DatasetError: The value is no object, or the field is missing or of another type.
    """
    if not isinstance(value, dict):
        raise _wrong(where, f"{json_type(value)} where an object belongs")
    if key not in value:
        there = ", ".join(value) or "none"
        raise _wrong(where, f"key {key!r} is missing (there is {there})")
    if not isinstance(value[key], kind):
        wanted = json_type(kind())
        raise _wrong(where, f"{key!r} is {json_type(value[key])}, must be {wanted}")
    return value[key]


def _task(file: Path, items: Sequence[Item], words: Prompt) -> Task:
    return Task(str(file), items, words, read_reply, partial=character_match)


_DRAWN = "The characters below, over several lines, draw {}. {}\n{{art}}\nThe answer is {{answer}}"
_VITC = {
    kind: (choices, Wording(_DRAWN.format(shown, asked)))
    for kind, choices, shown, asked in (
        ("digit", tuple(string.digits), "a digit", "Which digit, 0 to 9, is it?"),
        ("letter", tuple(_LETTERS), "a letter", "Which letter, A to Z, is it?"),
        ("string", (), "a string of digits and letters", "Which string is it?"),
    )
}


def read_vitc(file: Path, wording: Wording | None = None) -> Task:
    """Read ``vitc-s.json`` or ``vitc-l.json`` of ViTC.

    The file is a JSON array of objects with ``id``, ``text``, ``font`` and ``art_text``. ``text``
    is a digit or a capital letter, or two to four of them. A question says whether it shows a digit
    or a letter, as the project's own program does by default, so there are 10 choices or 26. A
    string has no choices: writing is judged.

    Raises:
        DatasetError: Names the file, the item and its fault.
    """
    found = parse_json(read_text(file), file)
    if not isinstance(found, list):
        raise _wrong(str(file), f"holds {json_type(found)}, ViTC is an array of objects")
    known = set(string.digits + _LETTERS)
    items = []
    for number, one in enumerate(found, start=1):
        where = f"{file}: item {number}"
        text: str = get_field(one, "text", str, where).upper()
        art: str = get_field(one, "art_text", str, where)
        if not text or not set(text) <= known:
            raise _wrong(where, f"'text' is {text!r}, must be of digits 0-9 and letters A-Z")
        kind = "string" if len(text) > 1 else "digit" if text.isdigit() else "letter"
        choices, words = _VITC[kind]
        prompt = (wording or words).ask(art.removesuffix("\n"), ", ".join(choices))
        items.append(Item(art, (text,), choices, prompt=prompt))
    return _task(file, items, (wording or _VITC["digit"][1]).prompt)


_ASCIIEVAL = Wording(
    "What does this ASCII art show?\n\n{art}\n\n{choices}\n\n"
    "Answer with the letter of the right choice.\nAnswer: {answer}"
)


def read_asciieval(file: Path, wording: Wording | None = None) -> Task:
    """Read ``test_examples.jsonl`` or ``test.jsonl`` of ASCIIEval; empty lines are skipped.

    Each line is a JSON object, of which ``ascii_art``, ``choices`` (four strings), ``labels`` (1
    for the right choice, else 0), ``category-2`` and ``category-3`` are read. A question lists the
    choices as A to D and is answered with the letter. The project averages over concepts, which are
    ``category-2`` with ``category-3``.

    Raises:
        DatasetError: Names the file, the line, the field and its fault.
    """
    words = wording or _ASCIIEVAL
    items = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}: line {number}"
        value = parse_json(line, file, number)
        art: str = get_field(value, "ascii_art", str, where)
        choices = get_field(value, "choices", list, where)
        for choice in (one for one in choices if not isinstance(one, str)):
            raise _wrong(where, f"'choices' holds {json_type(choice)}, must be strings")
        if not 2 <= len(choices) <= len(_LETTERS):
            raise _wrong(where, f"'choices' has {len(choices)}, must be 2 to {len(_LETTERS)}")
        labels = get_field(value, "labels", list, where)
        if len(labels) != len(choices) or sorted(labels, key=str) != [0] * (len(labels) - 1) + [1]:
            right = f"a 1 for the right one of {len(choices)} choices and a 0 for each other"
            raise _wrong(where, f"'labels' is {labels}, must be {right}")
        letters = tuple(_LETTERS[: len(choices)])
        listed = "\n".join(f"{letter}: {c}" for letter, c in zip(letters, choices, strict=True))
        group = ".".join(str(value[key]) for key in ("category-2", "category-3") if key in value)
        right = letters[labels.index(1)]
        items.append(Item(art, (right,), letters, group, words.ask(art, listed)))
    return _task(file, items, words.prompt)


def _choices(example: dict[str, Any], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the choices, empty where there are none, and the right answers of an example."""
    if "target_scores" in example:
        scores = get_field(example, "target_scores", dict, where)
        for choice, score in scores.items():
            if not isinstance(score, int | float):
                kind = json_type(score)
                raise _wrong(where, f"'target_scores' gives {choice!r} {kind}, no number")
        if len(scores) < 2:
            raise _wrong(where, f"'target_scores' has {len(scores)}, must be 2 or more")
        best = max(scores.values())
        return tuple(scores), tuple(choice for choice, score in scores.items() if score == best)
    if "target" not in example:
        raise _wrong(where, "has neither 'target_scores' nor 'target'")
    target = example["target"]
    answers = target if isinstance(target, list) else [target]
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise _wrong(where, f"'target' is {target!r}, must be a string or some of them")
    return (), tuple(answers)


def read_bigbench(file: Path, wording: Wording | None = None) -> Task:
    """Read the ``task.json`` of a BIG-bench task without subtasks.

    The file is an object whose ``examples`` have ``input`` and either ``target_scores``, the
    choices with the score of each, or ``target``, one text or several that are right. The words
    around them stand in the file too, or are BIG-bench's defaults. A choice is right if no other
    has a higher score. Choices are listed as they stand in the file; BIG-bench itself shuffles
    them.

    Raises:
        DatasetError: Names the file, the example, the field and its fault.
    """
    task = parse_json(read_text(file), file)
    examples = get_field(task, "examples", list, str(file))
    around = {
        key: get_field(task, key, str, str(file)) if key in task else usual
        for key, usual in _BIGBENCH.items()
    }
    listed = "append_choices_to_input" not in task or get_field(
        task, "append_choices_to_input", bool, str(file)
    )
    before = around["task_prefix"] + around["example_input_prefix"]
    after = around["example_output_prefix"].rstrip()
    space = around["example_output_prefix"][len(after) :]
    words = wording.prompt if wording else Prompt(answer=f"{space}{{Response}}")
    items = []
    for number, example in enumerate(examples, start=1):
        where = f"{file}: example {number}"
        art: str = get_field(example, "input", str, where)
        choices, answers = _choices(example, where)
        shown = "".join(f"{around['choice_prefix']}{choice}" for choice in choices)
        if wording:
            prompt = wording.ask(art, shown)
        else:
            prompt = f"{before}{art}{shown if listed else ''}{after}".rstrip()
        items.append(Item(art, answers, choices, prompt=prompt))
    return _task(file, items, words)
