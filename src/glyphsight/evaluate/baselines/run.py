"""Floors and ceilings: what simple learners make of the very grids that a model reads as text."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from glyphsight.console import progress_bar
from glyphsight.errors import DatasetError, ModelError
from glyphsight.evaluate.baselines import kept
from glyphsight.evaluate.baselines.classic import logistic, majority, nearest, svm
from glyphsight.evaluate.baselines.cnn import cnn
from glyphsight.evaluate.baselines.grids import Grids
from glyphsight.evaluate.baselines.recipe import Named, Task
from glyphsight.evaluate.evaluation import Share
from glyphsight.sampling import stratified_sample

_RECIPE = 1
"""Counts up whenever a recipe would give other answers."""

_RECIPES: dict[str, Callable[[Task], Named]] = {
    "majority": majority,
    "knn": nearest,
    "logistic": logistic,
    "svm": svm,
    "cnn": cnn,
}
ALL = tuple(_RECIPES)
"""Names of all baselines, from floor to ceiling."""

MOST_RECORDS = 60_000
"""A baseline learns from at most so many records, stratified by label."""

_MOST_LABELS = 256
_PER_LABEL = {"logistic", "svm", "cnn"}  # whose work grows with the number of labels


@dataclass(frozen=True)
class Baseline:
    """How well a simple learner names the grids.

    Attributes:
        name: One of ``ALL``.
        what: The method and the settings it chose, in a few words.
        share: Of right answers on the test grids.
        seconds: Its work took, the choice of settings included; of a kept one, when it was done.
        trained_on: Records its final fit saw.
        cached: It was kept from an earlier time.
        answers: What it answered, a label for each test grid.
    """

    name: str
    what: str
    share: Share
    seconds: float
    trained_on: int
    cached: bool
    answers: list[str]

    def as_json(self) -> dict[str, Any]:
        """Everything but the answers."""
        whole = asdict(self)
        whole.pop("answers")
        return whole


def baselines(
    train: Grids,
    test: Grids,
    *,
    seed: int = 0,
    names: Sequence[str] = ALL,
    quiet: bool = False,
) -> list[Baseline]:
    """Measure floors and ceilings on the text a model reads.

    Every setting is chosen on training records; the test grids are named once, at the end. Of more
    than ``MOST_RECORDS`` training records a stratified part is learnt from. Grids of several
    shapes are padded with the darkest level to the largest of both sets. A test label that was
    never trained cannot be answered and counts as wrong. What was measured before on the same
    content with the same seed comes from the cache directory.

    Args:
        train: To learn from.
        test: To be judged on.
        seed: Of every random choice.
        names: Which baselines, in this order.
        quiet: Show no progress bar.

    Returns:
        One a name, each with its answers.

    Raises:
        DatasetError: A set is empty, they differ in levels, or there are too many labels to tell
            apart.
        ModelError: The packages that learn are not installed.
        ValueError: A name is none of ``ALL``.
    """
    _check(train, test, names)
    content = kept.digest(train, test)
    places = {name: kept.place_of(name, f"{_RECIPE} {seed} {content}") for name in names}
    known = {
        name: _baseline(held, test, cached=True)
        for name, place in places.items()
        if (held := kept.load(place, name, len(test.cells))) is not None
    }
    missing = [name for name in places if name not in known]
    if missing:
        if {*missing} - {"majority"}:
            _require_learners()
        with _bar(len(missing), quiet) as bar:
            task, labels = _task(train, test, seed, bar.update)
            for done, name in enumerate(missing, start=1):
                bar.set_description_str(f"baseline {name}")
                started = time.monotonic()
                named = _RECIPES[name](task) if task.count > 1 else _only_one(task, labels[0])
                fresh = kept.Kept(
                    name,
                    named.what,
                    time.monotonic() - started,
                    named.trained_on,
                    labels,
                    named.classes.tolist(),
                )
                kept.save(places[name], fresh)
                known[name] = _baseline(fresh, test, cached=False)
                bar.update(done - bar.n)
    return [known[name] for name in names]


def _check(train: Grids, test: Grids, names: Sequence[str]) -> None:
    for name in names:
        if name not in _RECIPES:
            raise ValueError(f"there is no baseline {name!r}; there is {', '.join(ALL)}")
    for grids, use in ((train, "to learn from"), (test, "to be judged on")):
        if not grids.cells:
            raise DatasetError(f"{grids.where}: baselines have no record {use}; give another split")
    if train.levels != test.levels:
        raise DatasetError(
            f"{train.where} has {train.levels} levels, {test.where} has {test.levels}; "
            "give both in one format"
        )
    labels = len(set(train.labels))
    if labels > _MOST_LABELS and {*names} & _PER_LABEL:
        raise DatasetError(
            f"{train.where}: {labels} different labels; {', '.join(sorted(_PER_LABEL))} tell at "
            f"most {_MOST_LABELS} apart; ask for majority and knn alone"
        )


def _require_learners() -> None:
    missing = [name for name in ("sklearn", "torch") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(
            f"not installed: {', '.join(missing)}; baselines need: pip install 'glyphsight[train]'"
        )


def _bar(total: int, quiet: bool) -> Any:
    return progress_bar(
        total,
        "baseline",
        "baselines",
        disable=quiet,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
    )


def _task(
    train: Grids, test: Grids, seed: int, progress: Callable[[float], object]
) -> tuple[Task, list[str]]:
    """What the recipes are given, and the label of each class."""
    if len(train.cells) > MOST_RECORDS:
        train = train.only(stratified_sample(train.labels, MOST_RECORDS, seed))
    labels = sorted(set(train.labels))
    class_of = {label: place for place, label in enumerate(labels)}
    classes = np.array([class_of[label] for label in train.labels], dtype=np.int64)
    (tall, wide), (taller, wider) = train.size, test.size
    size = max(tall, taller), max(wide, wider)
    grids = train.padded(size), test.padded(size)
    return Task(grids[0], classes, len(labels), grids[1], train.levels, seed, progress), labels


def _only_one(task: Task, label: str) -> Named:
    """All that can be learnt from records of one label."""
    named = majority(task)
    return replace(named, what=f"always {label!r}, the only training label")


def _baseline(held: kept.Kept, test: Grids, *, cached: bool) -> Baseline:
    answers = [held.labels[place] for place in held.answers]
    right = sum(said == truth for said, truth in zip(answers, test.labels, strict=True))
    return Baseline(
        held.name,
        held.what,
        Share.of(right, len(answers)),
        held.seconds,
        held.trained_on,
        cached,
        answers,
    )
