r"""A BIG-bench JSON task, such as ``mnist_ascii``: MNIST digits as ASCII art, ten choices.

Srivastava et al. 2022, "Beyond the Imitation Game". The file is ``task.json`` in the task's folder
of github.com/google/BIG-bench (``bigbench/benchmark_tasks/mnist_ascii``): an object whose
``examples`` have ``input`` and either ``target_scores``, the choices with the score of each, or
``target``, one text or several that are right. The words around them stand in the file too, or are
BIG-bench's defaults: ``example_input_prefix`` ("\nQ: "), ``example_output_prefix`` ("\nA: "),
``choice_prefix`` ("\n  choice: "), ``append_choices_to_input`` (true) and ``task_prefix`` ("").

A choice is right if no other has a higher score. Choices are listed as they stand in the file;
BIG-bench itself shuffles them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glyphsight.dataset import Prompt
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

_WORDS = {
    "task_prefix": "",
    "example_input_prefix": "\nQ: ",
    "example_output_prefix": "\nA: ",
    "choice_prefix": "\n  choice: ",
}


def _choices(example: dict[str, Any], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the choices, empty where there are none, and the right answers of an example."""
    if "target_scores" in example:
        scores = get_field(example, "target_scores", dict, where)
        for choice, score in scores.items():
            if not isinstance(score, int | float):
                raise DatasetError(
                    f"{where}: 'target_scores' gives {choice!r} {json_type(score)}, "
                    "must be a number"
                )
        if len(scores) < 2:
            raise DatasetError(f"{where}: 'target_scores' has {len(scores)}, must be 2 or more")
        best = max(scores.values())
        return tuple(scores), tuple(choice for choice, score in scores.items() if score == best)
    if "target" not in example:
        raise DatasetError(
            f"{where}: has neither 'target_scores' nor 'target'; "
            "take the file as its project publishes it"
        )
    target = example["target"]
    answers = target if isinstance(target, list) else [target]
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise DatasetError(f"{where}: 'target' is {target!r}, must be a string or some of them")
    return (), tuple(answers)


def read_bigbench(file: Path, wording: Wording | None = None) -> Task:
    """Read the ``task.json`` of a task without subtasks.

    Args:
        file: Path of the file.
        wording: Words of every question, ``{art}`` its input; None for the task's own.

    Raises:
        DatasetError: Names the file, the example, the field and its fault.
    """
    task = parse_json(read_text(file), file)
    examples = get_field(task, "examples", list, str(file))
    around = {
        key: get_field(task, key, str, str(file)) if key in task else usual
        for key, usual in _WORDS.items()
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
    return Task(str(file), items, words, read_reply, partial=character_match)
