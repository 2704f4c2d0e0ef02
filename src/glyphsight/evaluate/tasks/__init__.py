"""Tasks by name: labelled pictures, and text-art benchmarks in the files their projects publish.

A user's own kind of task comes by the entry point group ``glyphsight.tasks``: a function that takes
what follows the colon and returns a :class:`~glyphsight.evaluate.tasks.base.Task`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from glyphsight.errors import DatasetError
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.tasks import text_art
from glyphsight.evaluate.tasks.aside import aside_task
from glyphsight.evaluate.tasks.base import Item, Task
from glyphsight.evaluate.tasks.records import records_task
from glyphsight.evaluate.tasks.talk import talk_task
from glyphsight.evaluate.tasks.use import use_task
from glyphsight.models import RunRecord
from glyphsight.plugins import Registry
from glyphsight.sources.location import take_options

__all__ = ["TASKS", "Item", "Task", "has_splits", "is_task", "open_task"]


def _of_file(read: Callable[[Path, text_art.Wording | None], Task]) -> Callable[[str], Task]:
    """Return a factory of tasks for ``FILE`` and ``FILE?wording=FILE``."""

    def task(location: str) -> Task:
        path, options = take_options(location, "wording")
        words = Path(os.path.expanduser(options.get("wording", "")))  # noqa: PTH111 - as below
        return read(Path(path), text_art.read_wording(words) if options else None)

    task.__doc__ = read.__doc__
    return task


_OF_RUN = {"use": use_task, "aside": aside_task, "talk": talk_task}  # they ask as the run reads

TASKS: Registry[Task] = Registry(
    kind="task",
    group="glyphsight.tasks",
    own={
        "vitc": _of_file(text_art.read_vitc),
        "asciieval": _of_file(text_art.read_asciieval),
        "bigbench": _of_file(text_art.read_bigbench),
        **_OF_RUN,
    },
    needed=("items", "prompt", "read"),
    module="glyphsight.evaluate.tasks.base",
    error=DatasetError,
    usage=dict.fromkeys(("vitc", "asciieval", "bigbench"), ":FILE")
    | {"use": ":DATA", "aside": ":DATA", "talk": ":both"},
)


def is_task(text: str) -> bool:
    """Say whether ``text`` is ``KIND:FILE`` of a task; a path that exists is a path."""
    kind, colon, _ = text.partition(":")
    return bool(colon) and kind in TASKS and not os.path.exists(text)  # noqa: PTH110 - may be long


def has_splits(text: str) -> bool:
    """Say whether data is a task about the pictures of a dataset or a source: ``KIND:DATA``."""
    return is_task(text) and text.partition(":")[0] in ("use", "aside")


def open_task(data: str, run: RunRecord | None, settings: EvaluateSettings) -> Task:
    """Read the questions of a dataset, a source or ``KIND:FILE``, under the limit of the settings.

    Args:
        data: Dataset directory, dataset file, source SPEC or ``KIND:FILE``. ``?wording=FILE`` after
            it gives other words of a question; see
            :class:`~glyphsight.evaluate.tasks.text_art.Wording`.
        run: Record of the model's training; None for a base model.
        settings: Split, limit and seed.

    Raises:
        DatasetError: The data cannot be read or is empty.
    """
    if not is_task(data):
        return records_task(data, run, settings)
    kind, _, location = data.partition(":")
    location = os.path.expanduser(location)  # noqa: PTH111 - not every location is a path
    of_run = (run, settings) if kind in _OF_RUN else ()
    found = replace(TASKS.make(kind, location, *of_run), data=data)
    return found.limited(settings.limit, settings.seed)
