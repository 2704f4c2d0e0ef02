"""Baselines of a few lines each: majority, nearest neighbours, logistic regression, RBF-SVM.

Settings are chosen on training records held out from the fit, never on the test grids; the final
fit sees all training records.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.evaluate.baselines.recipe import Named, Task, features, hold_out
from glyphsight.sampling import stratified_sample

_CHUNK_DISTANCES = 1 << 23  # eight bytes each
_NEIGHBOURS = (1, 3, 5, 7)
_LOGISTIC_C = (0.1, 1.0, 10.0)
_SVM_C = (1.0, 10.0)
_SVM_GAMMA = (1.0, 2.0, 4.0)
_CHOOSE_ON = 6000  # records a trial of the SVM is fitted on
_HELD_OUT = 3000


def majority(task: Task) -> Named:
    """The commonest training label, always; of equally common ones the first in order."""
    commonest = int(np.bincount(task.classes).argmax())
    task.progress(1)
    classes = np.full(len(task.test), commonest, dtype=np.int64)
    return Named(classes, "always the commonest training label", len(task.train))


def nearest(task: Task) -> Named:
    """Vote of the nearest training grids, in squared differences of level, k chosen."""
    kept, held = hold_out(task.classes, _HELD_OUT, task.seed)
    best, work = 1, (len(task.test) + len(held)) or 1
    if len(held):
        found = _neighbours(task, kept, task.train[held], max(_NEIGHBOURS), work)
        rights = [(vote(found, k) == task.classes[held]).sum() for k in _NEIGHBOURS]
        best = _NEIGHBOURS[int(np.argmax(rights))]
    everything = np.arange(len(task.train))
    classes = vote(_neighbours(task, everything, task.test, best, work), best)
    what = f"{best} nearest neighbours (chosen of {', '.join(map(str, _NEIGHBOURS))})"
    return Named(classes, what if len(held) else "nearest neighbour", len(task.train))


def _neighbours(
    task: Task, rows: NDArray[np.int64], grids: NDArray[np.uint8], most: int, work: int
) -> NDArray[np.int64]:
    """Classes of the nearest of the training ``rows`` to each grid, int64[N, most], nearest first.

    Levels are whole numbers, so distances are exact and of equal ones the first record is nearer,
    on any machine.
    """
    known = task.train[rows].reshape(len(rows), -1).astype(np.float32)
    asked = grids.reshape(len(grids), -1).astype(np.float32)
    squares, place = (known**2).sum(axis=1), np.arange(len(rows))
    chunk, most = max(1, _CHUNK_DISTANCES // len(rows)), min(most, len(rows))
    found = np.empty((len(grids), most), dtype=np.int64)
    for start in range(0, len(grids), chunk):
        part = asked[start : start + chunk]
        # without the grid's own square, which is the same for all
        keys = (squares - 2 * (part @ known.T)).astype(np.int64) * len(rows) + place
        near = np.partition(keys, most - 1, axis=1)[:, :most]
        found[start : start + chunk] = task.classes[rows][np.sort(near, axis=1) % len(rows)]
        task.progress(len(part) / work)
    return found


def vote(found: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The commonest class among the ``k`` nearest; of equally common ones the nearest one's.

    Args:
        found: Classes of neighbours, nearest first, int64[N, at least one].
        k: How many may vote.

    Returns:
        int64[N].
    """
    near = found[:, :k]
    like = (near[:, :, None] == near[:, None, :]).sum(axis=2)
    winners: NDArray[np.int64] = near[np.arange(len(near)), like.argmax(axis=1)]
    return winners


def logistic(task: Task) -> Named:
    """Multinomial logistic regression with an L2 penalty, its strength chosen."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    def fit(rows: NDArray[np.int64], strength: float) -> Any:
        model = LogisticRegression(C=strength, max_iter=300)
        with warnings.catch_warnings():  # a baseline that is nearly there is one
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(inputs[rows], task.classes[rows])

    inputs = features(task.train, task.levels)
    kept, held = hold_out(task.classes, _HELD_OUT, task.seed)
    step, best = 1 / (len(_LOGISTIC_C) + 1), _LOGISTIC_C[1]
    if len(held):
        rights = []
        for strength in _LOGISTIC_C:
            said = fit(kept, strength).predict(inputs[held])
            rights.append((said == task.classes[held]).sum())
            task.progress(step)
        best = _LOGISTIC_C[int(np.argmax(rights))]
    model = fit(np.arange(len(inputs)), best)
    classes = model.predict(features(task.test, task.levels))
    task.progress(step if len(held) else 1)
    what = f"logistic regression, C {best:g}"
    return Named(classes.astype(np.int64), what, len(inputs))


def svm(task: Task) -> Named:
    """Support vector machine with an RBF kernel, C and gamma chosen."""
    from sklearn.svm import SVC

    def fit(rows: NDArray[np.int64], c: float, gamma: float) -> Any:
        return SVC(C=c, gamma=gamma, cache_size=500).fit(inputs[rows], task.classes[rows])

    inputs = features(task.train, task.levels)
    spread = float(inputs.var()) or 1.0
    scale = 1 / (inputs.shape[1] * spread)  # what scikit-learn calls gamma="scale"
    kept, held = hold_out(task.classes, _HELD_OUT, task.seed)
    c, gamma, left = _SVM_C[-1], scale, 1.0
    if len(held):
        part = kept[stratified_sample(task.classes[kept], _CHOOSE_ON, task.seed)]
        if len(np.unique(task.classes[part])) < 2:
            part = kept
        trials = list(itertools.product(_SVM_C, _SVM_GAMMA))
        rights = []
        for trial_c, factor in trials:
            said = fit(part, trial_c, factor * scale).predict(inputs[held])
            rights.append((said == task.classes[held]).sum())
            task.progress(0.05)
            left -= 0.05
        c, factor = trials[int(np.argmax(rights))]
        gamma = factor * scale
    model = fit(np.arange(len(inputs)), c, gamma)
    task.progress(left / 2)
    classes = model.predict(features(task.test, task.levels))
    task.progress(left / 2)
    return Named(classes.astype(np.int64), f"RBF-SVM, C {c:g}, gamma {gamma:.3g}", len(inputs))
