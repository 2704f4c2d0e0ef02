"""Seeded, stratified choice of examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def stratified_sample(labels: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    """Choose ``count`` examples with the class shares of the whole, by largest remainder.

    Returns:
        int64[min(count, N)], ascending, no index twice. The same for the same labels and seed.
    """
    total = len(labels)
    if count >= total:
        return np.arange(total, dtype=np.int64)
    rng = np.random.default_rng(seed)
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    exact = np.bincount(codes, minlength=len(names)) * count / total
    quota = np.floor(exact).astype(np.int64)
    short = np.argsort(-(exact - quota), kind="stable")[: count - int(quota.sum())]
    quota[short] += 1
    chosen = [
        rng.permutation(np.flatnonzero(codes == code))[: quota[code]] for code in range(len(names))
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)
