"""Seeded, stratified choice of examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def stratified_sample(
    labels: Sequence[str] | NDArray[Any], count: int, seed: int
) -> NDArray[np.int64]:
    """Choose ``count`` examples with the class shares of the whole, by largest remainder.

    Args:
        labels: The answer of each example, or a number that stands for it.
        count: Number of examples.
        seed: Random seed for the choice.

    Returns:
        int64[min(count, N)], ascending, no index twice. The same for the same labels and seed.
    """
    total = len(labels)
    if count >= total:
        return np.arange(total, dtype=np.int64)
    rng = np.random.default_rng(seed)
    codes, quota = _quotas(labels, count, seed)
    chosen = [
        rng.permutation(np.flatnonzero(codes == code))[: quota[code]] for code in range(len(quota))
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def stratified_groups(
    labels: NDArray[np.int32], groups: NDArray[np.uint64], count: int, seed: int
) -> NDArray[np.int64]:
    """Choose about ``count`` examples as :func:`stratified_sample` does, groups never split.

    Without a group of two it is the same choice. A group goes in whole, where there is room for
    each of its classes, or stays out; so fewer than ``count`` are chosen where no smaller group is
    left to fill the room.

    Args:
        labels: int32[N], a number for the answer of each example.
        groups: uint64[N]; equal numbers belong together.
        count: Largest number of examples.
        seed: Random seed for the choice.

    Returns:
        int64[at most count], ascending, no index twice.
    """
    if count >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    rng = np.random.default_rng(seed)
    codes, room = _quotas(labels, count, seed)
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    chosen: list[NDArray[np.int64]] = []
    seen: set[int] = set()
    _, own, sizes = np.unique(
        np.unique(groups, return_inverse=True)[1] * len(room) + codes,
        return_inverse=True,
        return_counts=True,
    )
    for code in range(len(room)):
        candidates = rng.permutation(np.flatnonzero(codes == code))
        smallest = sizes[own[candidates]].min()  # no group takes less room of its class
        for item in candidates:
            if room[code] < smallest:
                break
            group = groups[item]
            first = int(np.searchsorted(ordered, group))
            if first in seen:
                continue
            seen.add(first)
            members = order[first : int(np.searchsorted(ordered, group, "right"))]
            need = np.bincount(codes[members], minlength=len(room))
            if (need <= room).all():
                room -= need
                chosen.append(members)
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *chosen]))


def balanced_down(labels: NDArray[np.int32], seed: int) -> NDArray[np.int64]:
    """Choose as many examples of each class as the rarest has, at random.

    Returns:
        int64[classes x rarest], ascending.
    """
    rng = np.random.default_rng(seed)
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    chosen = [
        rng.permutation(np.flatnonzero(codes == code))[: counts.min()] for code in range(len(names))
    ]
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *chosen]))


def balanced_up(labels: NDArray[np.int32], seed: int) -> NDArray[np.int64]:
    """Repeat examples until each class has as many as the most common: evenly, the rest at random.

    Returns:
        int64[classes x most common], ascending; every example at least once.
    """
    rng = np.random.default_rng(seed)
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    chosen = [np.zeros(0, dtype=np.int64)]
    for code in range(len(names)):
        own = np.flatnonzero(codes == code)
        times, rest = divmod(int(counts.max()), len(own))
        chosen += [np.repeat(own, times), rng.permutation(own)[:rest]]
    return np.sort(np.concatenate(chosen))


def _quotas(
    labels: Sequence[str] | NDArray[Any], count: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the class number of each example, and the number per class that makes up ``count``.

    Among classes of equal remainder the seed decides: with an answer for each picture all are.
    """
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    exact = np.bincount(codes, minlength=len(names)) * count / len(labels)
    quota = np.floor(exact).astype(np.int64)
    mixed = np.random.default_rng([seed, 1]).permutation(len(quota))
    order = mixed[np.argsort(-(exact - quota)[mixed], kind="stable")]
    quota[order[: count - int(quota.sum())]] += 1
    return codes.astype(np.int64), quota
