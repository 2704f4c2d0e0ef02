"""Which item of the source goes into which split: pure functions of the scan and the seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import DatasetError
from glyphsight.sampling import (
    balanced_down,
    balanced_up,
    stratified_groups,
    stratified_sample,
)

BALANCES = ("none", "down", "up")
UNUSABLE = -1
"""Class number of an item that cannot be encoded."""

VALIDATION = 2000
"""The most that are held out for validation unless a number is given."""

_HELD_OUT = ("test", "validation")


@dataclass(frozen=True)
class Items:
    """What assigning needs to know of a split's items, in their order.

    Attributes:
        codes: int32[N], number of the answer among all answers in sorted order, or ``UNUSABLE``.
        exact: uint64[N], equal where the level grids are.
        alike: uint64[N], equal where they are nearly so; empty where likeness does not count.
    """

    codes: NDArray[np.int32]
    exact: NDArray[np.uint64]
    alike: NDArray[np.uint64]

    def between(self, start: int, stop: int) -> Items:
        """Those from ``start`` to before ``stop``."""
        return Items(self.codes[start:stop], self.exact[start:stop], self.alike[start:stop])


@dataclass(frozen=True)
class Likeness:
    """How many items of a split look like others.

    Attributes:
        same: Items whose level grid is another's.
        alike: Items that only nearly are another's, by the perceptual hash.
    """

    same: int = 0
    alike: int = 0

    def __add__(self, other: Likeness) -> Likeness:
        return Likeness(self.same + other.same, self.alike + other.alike)

    def __sub__(self, other: Likeness) -> Likeness:
        return Likeness(self.same - other.same, self.alike - other.alike)


@dataclass(frozen=True)
class Assigned:
    """Where everything goes.

    Attributes:
        origin: The source's own split that each split is taken from.
        rows: Items of each split, int64[n] in the order of the records; with ``up`` some repeat.
        repeats: Of each of the source's splits: items that look like an earlier one in it.
        removed: Of each split: items left out since a held-out split has what they look like.
        held_out: Sorted hashes of all that is held out, which no copy may look like.
    """

    origin: dict[str, str] = field(default_factory=dict)
    rows: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    repeats: dict[str, Likeness] = field(default_factory=dict)
    removed: dict[str, Likeness] = field(default_factory=dict)
    held_out: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))


def assign(
    items: dict[str, Items],
    wanted: Iterable[str],
    *,
    validation: int | None,
    named: NDArray[np.int64] | None = None,
    limit: int | None,
    balance: str,
    likeness: bool,
    seed: int,
    where: str,
) -> Assigned:
    """Share the items out.

    A validation split that the source lacks is held out of its training split. What looks like an
    item of the test split leaves the others, and what looks like one of the validation split leaves
    the training split; look-alikes inside a split stay together. Then the training split is
    balanced, then each is cut to the limit.

    Args:
        items: The items of each split of the source that matters.
        wanted: The splits to make; ``validation`` may be one that the source lacks.
        validation: How many to hold out for it then, 0 for no such split; None for a tenth, 2,000
            at most.
        named: Rows of the training split to hold out in place of so many; those that look like
            a test item are left out all the same.
        limit: At most so many items a split; None for all.
        balance: One of ``BALANCES``, of the training split.
        likeness: Whether look-alikes count.
        seed: Of every choice.
        where: What an error calls the source.

    Raises:
        DatasetError: There are too few training items to hold out so many.
    """
    wanted = list(wanted)
    held_out = validation != 0 and "train" in items and "validation" not in items
    rows = {split: np.flatnonzero(found.codes != UNUSABLE) for split, found in items.items()}
    origin = {split: split for split in items}
    removed: dict[str, Likeness] = {}
    if likeness and "test" in items:
        for split in rows:
            if split != "test":
                rows[split], removed[split] = _without(
                    items[split], rows[split], items["test"], rows["test"]
                )
    if held_out and named is not None:
        chosen = np.intersect1d(rows["train"], named)
        if "train" in removed:
            usable = named[items["train"].codes[named] != UNUSABLE]
            _, removed["validation"] = _without(items["train"], usable, items["test"], rows["test"])
            removed["train"] -= removed["validation"]
        rest = np.setdiff1d(rows["train"], chosen, assume_unique=True)
        rows["validation"], origin["validation"] = chosen, "train"
        rows["train"] = rest
        if likeness:
            rows["train"], found = _without(items["train"], rest, items["train"], chosen)
            removed["train"] = removed.get("train", Likeness()) + found
    elif held_out:
        train, own = items["train"], rows["train"]
        if validation is None:
            validation = min(VALIDATION, max(1, len(own) // 10))
        if validation >= len(own):
            raise DatasetError(
                f"{where}: cannot hold {validation} of {len(own)} training pictures out for "
                "validation; lower --validation"
            )
        groups = train.alike[own] if likeness else own.astype(np.uint64)
        chosen = own[stratified_groups(train.codes[own], groups, validation, seed)]
        if not len(chosen):
            raise DatasetError(
                f"{where}: all training pictures look so much alike that none can be held out "
                "for validation; give --validation 0 or --keep-duplicates"
            )
        rows["validation"], origin["validation"] = chosen, "train"
        rows["train"] = np.setdiff1d(own, chosen, assume_unique=True)
    elif likeness and "train" in items and "validation" in items:
        rest, found = _without(
            items["train"], rows["train"], items["validation"], rows["validation"]
        )
        rows["train"] = rest
        removed["train"] = removed.get("train", Likeness()) + found
    held = [split for split in _HELD_OUT if split in rows] if likeness else []
    looks = [items[origin[split]].alike[rows[split]] for split in held]
    if "train" in wanted and balance != "none":
        pick = balanced_down if balance == "down" else balanced_up
        rows["train"] = rows["train"][pick(items["train"].codes[rows["train"]], seed)]
    if limit is not None:
        for split in wanted:
            codes = items[origin[split]].codes[rows[split]]
            rows[split] = rows[split][stratified_sample(codes, limit, seed)]
    return Assigned(
        {split: origin[split] for split in wanted},
        {split: rows[split] for split in wanted},
        {split: _repeats(found) for split, found in items.items()} if likeness else {},
        {split: removed[split] for split in wanted if split in removed},
        np.unique(np.concatenate([Assigned().held_out, *looks])),
    )


def _without(
    items: Items, rows: NDArray[np.int64], other: Items, other_rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Likeness]:
    """Those of ``rows`` that look like none of the other's, and how many do."""
    alike = np.isin(items.alike[rows], other.alike[other_rows])
    same = int(np.isin(items.exact[rows], other.exact[other_rows]).sum())
    return rows[~alike], Likeness(same, int(alike.sum()) - same)


def _repeats(items: Items) -> Likeness:
    usable = items.codes != UNUSABLE
    count = int(usable.sum())
    same = count - len(np.unique(items.exact[usable]))
    return Likeness(same, count - len(np.unique(items.alike[usable])) - same)
