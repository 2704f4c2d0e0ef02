"""Seeded, stratified choice of examples, and the interval of a share of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NONE = np.zeros(0, dtype=np.int64)
_Z95 = 1.959963984540054


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Give the 95 % score interval of a share (Wilson 1927); ``right`` is at most ``total``.

    Returns:
        Lower and upper bound, 0-1; (0, 1) without answers.
    """
    if total == 0:
        return 0.0, 1.0
    share, z2 = right / total, _Z95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def stratified_sample(
    labels: Sequence[str] | NDArray[Any],
    count: int,
    seed: int,
    groups: NDArray[np.uint64] | None = None,
) -> NDArray[np.int64]:
    """Choose ``count`` examples with the class shares of the whole, by largest remainder.

    Args:
        labels: The answer of each of N examples, or a number that stands for it.
        count: Number of examples.
        seed: Random seed for the choice.
        groups: uint64[N]; equal numbers belong together. A group goes in whole, where there is room
            for each of its classes, or stays out, so fewer than ``count`` may be chosen. Without a
            group of two the choice is the same as without groups.

    Returns:
        int64[at most min(count, N)], ascending, no index twice. The same for the same arguments.
    """
    total = len(labels)
    if count >= total:
        return np.arange(total, dtype=np.int64)
    # Among classes of equal remainder the seed decides: with an answer for each picture all are.
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    exact = np.bincount(codes, minlength=len(names)) * count / total
    room = np.floor(exact).astype(np.int64)
    mixed = np.random.default_rng([seed, 1]).permutation(len(room))
    order = mixed[np.argsort(-(exact - room)[mixed], kind="stable")]
    room[order[: count - int(room.sum())]] += 1
    rng = np.random.default_rng(seed)
    members = np.split(np.argsort(codes, kind="stable"), np.bincount(codes).cumsum()[:-1])
    drawn = map(rng.permutation, members)
    if groups is None:
        chosen = [own[:most] for own, most in zip(drawn, room, strict=True)]
    else:
        chosen = list(_whole_groups(drawn, codes, groups, room))
    return np.sort(np.concatenate([_NONE, *chosen])).astype(np.int64)


def _whole_groups(
    drawn: Any, codes: NDArray[np.int64], groups: NDArray[np.uint64], room: NDArray[np.int64]
) -> Any:
    """Yield the members of each group that there is room for, class by class."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    seen: set[int] = set()
    _, own, sizes = np.unique(
        np.unique(groups, return_inverse=True)[1] * len(room) + codes,
        return_inverse=True,
        return_counts=True,
    )
    for code, candidates in enumerate(drawn):
        smallest = sizes[own[candidates]].min()  # no group takes less room of its class
        for item in candidates:
            if room[code] < smallest:
                break
            first = int(np.searchsorted(ordered, groups[item]))
            if first in seen:
                continue
            seen.add(first)
            members = order[first : int(np.searchsorted(ordered, groups[item], "right"))]
            need = np.bincount(codes[members], minlength=len(room))
            if (need <= room).all():
                room -= need
                yield members


def balanced(labels: NDArray[np.int32], seed: int, *, up: bool) -> NDArray[np.int64]:
    """Choose equally many examples of each class: as many as the rarest has, or the most common.

    Args:
        labels: int32[N], a number for the answer of each example.
        seed: Random seed for the choice.
        up: Repetition of examples, evenly and the rest at random, in place of leaving some out.

    Returns:
        int64[classes x examples], ascending.
    """
    rng = np.random.default_rng(seed)
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    each = int((counts.max if up else counts.min)(initial=0 if up else len(labels)))
    chosen = [_NONE]
    for code in range(len(names)):
        own = np.flatnonzero(codes == code)
        times, rest = divmod(each, len(own))
        chosen += [np.repeat(own, times), rng.permutation(own)[:rest]]
    return np.sort(np.concatenate(chosen))
