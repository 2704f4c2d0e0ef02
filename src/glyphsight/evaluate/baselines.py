"""Floors and ceilings: how well simple learners name the level grids that a model reads as text.

Settings are chosen on training records held out from the fit, never on the test grids. The final
fit sees all training records. A stronger ceiling, a small CNN, is in ``benchmarks/ceilings.py``.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.console import progress_bar, say
from glyphsight.dataset.inspect.items import read_grids
from glyphsight.errors import DatasetError, FormatError
from glyphsight.evaluate.result import Share
from glyphsight.extras import need
from glyphsight.files import cache_dir
from glyphsight.sampling import stratified_sample

_VERSION = 2
"""Version of the learners; increase it when their answers change, and the cache is left alone."""

MOST_RECORDS = 60_000  # most records that a baseline learns from

_MOST_LABELS = 256
_CHOOSE_ON = 6000  # records that each trial of the SVM is fitted on
_HELD_OUT = 3000
_NEIGHBOURS = (1, 3, 5, 7)


@dataclass(frozen=True)
class Grids:
    """Labelled level grids, read from the texts that a model reads."""

    cells: list[NDArray[np.uint8]]  # uint8[rows, columns] of each text, below ``levels``
    labels: list[str]  # right answer to each grid
    levels: int  # number of brightness levels, at least 2
    where: str  # name of the data, for messages

    @staticmethod
    def read(
        texts: Sequence[str],
        labels: Sequence[str],
        profile: Profile = PUBLISHED,
        where: str = "these texts",
    ) -> Grids:
        """Read texts back to their grids, strictly.

        Raises:
            DatasetError: A text is not in this format; names the record.
        """
        cells = []
        for number, grid in enumerate(read_grids(texts, profile), start=1):
            if isinstance(grid, FormatError):
                raise DatasetError(
                    f"{where}: record {number}: {grid}; baselines read the cells of a text: give "
                    "the format and the palette it was written in, or repair the text"
                )
            cells.append(grid)
        return Grids(cells, list(labels), profile.levels, where)

    @property
    def size(self) -> tuple[int, int]:
        """Largest number of rows and of columns; 0 and 0 without grids."""
        rows, columns = np.max([(0, 0), *(grid.shape for grid in self.cells)], axis=0).tolist()
        return rows, columns

    def padded(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Pad all grids with level 0 to one size, uint8[N, rows, columns], each in the middle.

        Where an odd number of rows or columns is free, the grid lies nearer to the top and left.
        """
        stack = np.zeros((len(self.cells), *size), dtype=np.uint8)
        for padded, grid in zip(stack, self.cells, strict=True):
            (rows, columns), (tall, wide) = grid.shape, size
            top, left = (tall - rows) // 2, (wide - columns) // 2
            padded[top : top + rows, left : left + columns] = grid
        return stack


@dataclass(frozen=True)
class Task:
    """Training grids and test grids as numbers."""

    train: NDArray[np.uint8]  # training grids, uint8[N, rows, columns], values below ``levels``
    classes: NDArray[np.int64]  # class of each training grid, int64[N], below the number of labels
    test: NDArray[np.uint8]  # test grids, uint8[M, rows, columns]
    levels: int  # number of brightness levels
    seed: int  # random seed for every choice

    @staticmethod
    def of(
        train: Grids, test: Grids, seed: int, most: int = MOST_RECORDS
    ) -> tuple[Task, list[str]]:
        """Pad both sets to one size and number the labels; ``most`` training grids stay.

        Returns:
            The task, and the label of each class.
        """
        names = np.array(train.labels, dtype=object)  # of any length
        labels, classes = np.unique(names, return_inverse=True)
        rows = stratified_sample(train.labels, most, seed)
        tall, wide = np.maximum(train.size, test.size).tolist()
        kept = replace(train, cells=[train.cells[row] for row in rows.tolist()])
        padded = kept.padded((tall, wide)), test.padded((tall, wide))
        return Task(padded[0], classes[rows], padded[1], train.levels, seed), labels.tolist()

    def features(self, grids: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scale grids to rows of numbers, float32[N, rows * columns], 0-1."""
        return grids.reshape(len(grids), -1).astype(np.float32) / np.float32(self.levels - 1)


@dataclass(frozen=True)
class Baseline:
    """Result of a simple learner on the test grids."""

    name: str  # one of ``ALL``
    what: str  # method and chosen settings, in a few words
    share: Share  # right answers on the test grids
    seconds: float  # time of the search and the fit, when they were done
    trained_on: int  # records in the final fit
    cached: bool  # True where the result was read from the cache directory
    answers: list[str]  # label given to each test grid

    def as_json(self) -> dict[str, Any]:
        """Give every field but the answers."""
        return {key: value for key, value in asdict(self).items() if key != "answers"}


Rows = NDArray[np.int64]  # numbers of training records
Answers = tuple[NDArray[np.int64], str]
"""Class given to each test grid, int64[M], and the method with its settings."""


def _majority(task: Task) -> Answers:
    """Answer the commonest training label; of equally common labels the first in order."""
    from sklearn.dummy import DummyClassifier

    model = DummyClassifier(strategy="most_frequent").fit(task.train, task.classes)
    return model.predict(task.test), "always the commonest training label"


def _nearest(task: Task) -> Answers:
    """Let the nearest training grids vote, in squared differences of level; choose k."""
    from sklearn.neighbors import KNeighborsClassifier

    def model(rows: Rows, k: int) -> Any:
        found = KNeighborsClassifier(min(k, len(rows)), weights=_votes, algorithm="brute")
        return found.fit(ordered(task.train[rows], len(rows)), task.classes[rows])

    def ordered(grids: NDArray[np.uint8], of: int = 0) -> NDArray[np.float64]:
        # Squared distances of levels are whole numbers. A last feature adds less than 1 to each, by
        # the record's number: of equal distances the first record is nearer, on any machine.
        order = np.sqrt(np.arange(of) / of) if of else np.zeros(len(grids))
        return np.column_stack([grids.reshape(len(grids), -1), order])

    fit_on, held = hold_out(task.classes, _HELD_OUT, task.seed)
    k, what = 1, "nearest neighbour"
    if len(held):
        asked = ordered(task.train[held])
        k = max(_NEIGHBOURS, key=lambda k: model(fit_on, k).score(asked, task.classes[held]))
        what = f"{k} nearest neighbours (chosen of {', '.join(map(str, _NEIGHBOURS))})"
    return model(np.arange(len(task.train)), k).predict(ordered(task.test)), what


def _votes(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weigh neighbours, nearest first: of equally common classes that of the nearest wins."""
    return np.tile(1 + 0.25 ** np.arange(1, distances.shape[1] + 1), (len(distances), 1))


def _logistic(task: Task) -> Answers:
    """Fit a multinomial logistic regression with an L2 penalty; choose its strength."""
    from sklearn.linear_model import LogisticRegression

    fit_on, held = hold_out(task.classes, _HELD_OUT, task.seed)
    model = _search(task, LogisticRegression(max_iter=300), {"C": [0.1, 1.0, 10.0]}, fit_on, held)
    return model.predict(task.features(task.test)), f"logistic regression, C {model.C:g}"


def _svm(task: Task) -> Answers:
    """Fit a support vector machine with an RBF kernel; choose C and gamma."""
    from sklearn.svm import SVC

    inputs = task.features(task.train)
    scale = 1 / (inputs.shape[1] * (float(inputs.var()) or 1.0))  # scikit-learn's gamma="scale"
    fit_on, held = hold_out(task.classes, _HELD_OUT, task.seed)
    part = fit_on[stratified_sample(task.classes[fit_on], _CHOOSE_ON, task.seed)]
    if len(np.unique(task.classes[part])) < 2:
        part = fit_on
    settings = {"C": [1.0, 10.0], "gamma": [factor * scale for factor in (1.0, 2.0, 4.0)]}
    model = _search(task, SVC(C=10.0, gamma=scale, cache_size=500), settings, part, held)
    classes = model.predict(task.features(task.test))
    return classes, f"RBF-SVM, C {model.C:g}, gamma {model.gamma:.3g}"


def _search(
    task: Task, model: Any, settings: dict[str, list[float]], fit_on: Rows, held: Rows
) -> Any:
    """Fit on all training records, by settings chosen on those held out; by its own without any."""
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(model, settings, cv=[(fit_on, held)]) if len(held) else model
    search.fit(task.features(task.train), task.classes)
    return search.best_estimator_ if len(held) else search


def hold_out(classes: NDArray[np.int64], most: int, seed: int) -> tuple[Rows, Rows]:
    """Split training records in two: some to fit on, some to choose settings on.

    Args:
        classes: Class of each record, int64[N].
        most: Largest number of records to hold out; a tenth of all where that is fewer. Classes
            keep their shares.
        seed: Random seed for the choice.

    Returns:
        Row numbers of both parts, int64, ascending. Nothing is held out where that would leave
        fewer than ten records to choose on or a class without a record to fit on.
    """
    rows = np.arange(len(classes), dtype=np.int64)
    held = stratified_sample(classes, min(most, len(classes) // 10), seed)
    fit_on = np.setdiff1d(rows, held)
    if len(held) < 10 or len(np.unique(classes[fit_on])) < len(np.unique(classes)):
        return rows, rows[:0]
    return fit_on, held


_LEARNERS: dict[str, Callable[[Task], Answers]] = {
    "majority": _majority,
    "knn": _nearest,
    "logistic": _logistic,
    "svm": _svm,
}
_PER_LABEL = ("logistic", "svm")  # their work grows with the number of labels
ALL = tuple(_LEARNERS)  # names of all baselines, from floor to ceiling


def baselines(
    train: Grids,
    test: Grids,
    *,
    seed: int = 0,
    names: Sequence[str] = ALL,
    most: int = MOST_RECORDS,
    cache: bool = True,
    quiet: bool = False,
) -> list[Baseline]:
    """Measure floors and ceilings on the text a model reads.

    Settings are chosen on training records; the test grids are named once, at the end. Grids of
    several shapes are padded with the darkest level to the largest of both sets. A test label
    without a training record cannot be answered and counts as wrong. Results for the same grids,
    labels and seed are read from the cache directory.

    Args:
        train: Grids to learn from.
        test: Grids to judge on, of as many levels.
        seed: Random seed for every choice.
        names: Names of baselines of ``ALL``, in the order wanted.
        most: Largest number of records to learn from, stratified by label where there are more.
        cache: True where results of the same grids are kept and read.
        quiet: True for no progress bar.

    Raises:
        DatasetError: There are too many labels.
        MissingPackageError: scikit-learn is not installed.
    """
    count = len(set(train.labels))
    if count > _MOST_LABELS and {*names} & {*_PER_LABEL}:
        raise DatasetError(
            f"{train.where}: {count} different labels; {' and '.join(_PER_LABEL)} tell at most "
            f"{_MOST_LABELS} apart; ask for majority and knn alone"
        )
    need("train", "joblib", "sklearn")
    task, labels = Task.of(train, test, seed, most)
    answer, found = _memory(cache).cache(answers), []
    with progress_bar(len(names), "baseline", "baselines", disable=quiet) as bar:
        for name in names:
            bar.set_description_str(f"baseline {name}")
            cached = answer.check_call_in_cache(name, task, _VERSION)
            chosen, what, seconds = answer(name, task, _VERSION)
            if len(labels) == 1:
                what = f"always {labels[0]!r}, the only training label"
            said = [labels[one] for one in chosen]
            share = Share.of(sum(map(str.__eq__, said, test.labels)), len(said))
            found.append(Baseline(name, what, share, seconds, len(task.train), cached, said))
            bar.update()
    return found


def answers(name: str, task: Task, version: int) -> tuple[list[int], str, float]:
    """Fit one baseline; return the class of each test grid, the method and the seconds."""
    started = time.monotonic()
    learner = _LEARNERS[name] if len(np.unique(task.classes)) > 1 else _majority
    with warnings.catch_warnings():  # of labels for few records, of a fit that is nearly there
        warnings.simplefilter("ignore", UserWarning)
        classes, what = learner(task)
    return classes.tolist(), what, time.monotonic() - started


def _memory(wanted: bool) -> Any:
    """Keep results in the cache directory; nowhere where that fails or is not wanted."""
    from joblib import Memory

    location = cache_dir() / "baselines" if wanted else None
    try:
        return Memory(location, verbose=0)
    except OSError as error:
        say(f"glyphsight: {location}: baselines are not kept for the next time: {error}")
        return Memory(None, verbose=0)
