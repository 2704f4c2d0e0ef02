"""Items of the source shared out to splits: pure functions of the scan and the seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glyphsight.dataset.build.settings import BuildSettings
from glyphsight.errors import DatasetError
from glyphsight.sampling import (
    balanced_down,
    balanced_up,
    stratified_groups,
    stratified_sample,
)

UNUSABLE = -1
"""Class number of an item that cannot be encoded."""

VALIDATION = 2000
"""The most that are held out for validation unless a number is given."""

_HELD_OUT = ("test", "validation")


@dataclass(frozen=True)
class Items:
    """The items of a split, in their order.

    Attributes:
        codes: int32[N], number of the answer among all answers in sorted order, or ``UNUSABLE``.
        exact: uint64[N], equal where the level grids are.
        alike: uint64[N], equal where they are nearly so; empty where likeness does not count.
    """

    codes: NDArray[np.int32]
    exact: NDArray[np.uint64]
    alike: NDArray[np.uint64]


@dataclass(frozen=True)
class Likeness:
    """Numbers of items of a split that look like others.

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
    """The items of each split.

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
    settings: BuildSettings,
    spec: str,
    named: NDArray[np.int64] | None = None,
) -> Assigned:
    """Share the items out to splits.

    A test or validation split that the source lacks is held out of its training split. Items that
    look like one of the test split leave the others, and items that look like one of the validation
    split leave the training split; look-alikes inside a split stay together. Then the training
    split is balanced, then each is reduced to the limit.

    Args:
        items: The items of each split of the source that matters.
        wanted: The splits to make; the source may lack ``test`` and ``validation``.
        settings: Settings of the build.
        spec: Name of the source, for errors.
        named: int64[n], rows of the training split to hold out in place of a number; those that
            look like a test item are left out all the same.

    Raises:
        DatasetError: There are too few training items to hold out a number of them.
    """
    wanted = list(wanted)
    likeness = not settings.keep_duplicates
    rows = {split: np.flatnonzero(found.codes != UNUSABLE) for split, found in items.items()}
    origin = {split: split for split in items}
    removed: dict[str, Likeness] = {}
    if settings.test and "train" in items and "test" not in items:
        origin["test"] = "train"
        rows["test"] = _chosen(items["train"], rows["train"], "test", settings, spec)
        rows["train"] = np.setdiff1d(rows["train"], rows["test"], assume_unique=True)
    if likeness and "test" in rows:
        for split in rows.keys() - {"test"}:
            rows[split], removed[split] = _without(
                items[split], rows[split], items[origin["test"]], rows["test"]
            )
    held_out = settings.validation != 0 and "train" in items and "validation" not in items
    if held_out:
        own, train = rows["train"], items["train"]
        origin["validation"] = "train"
        if named is None:
            rows["validation"] = _chosen(train, own, "validation", settings, spec)
        else:
            rows["validation"] = np.intersect1d(own, named)
            if "train" in removed:  # of the named ones too
                usable = named[train.codes[named] != UNUSABLE]
                _, lost = _without(train, usable, items["test"], rows["test"])
                removed["validation"], removed["train"] = lost, removed["train"] - lost
        rows["train"] = np.setdiff1d(own, rows["validation"], assume_unique=True)
    whole_groups = held_out and named is None  # look-alikes were held out together
    if likeness and {"train", "validation"} <= rows.keys() and not whole_groups:
        other = items[origin["validation"]]
        rows["train"], found = _without(items["train"], rows["train"], other, rows["validation"])
        removed["train"] = removed.get("train", Likeness()) + found
    held = [split for split in _HELD_OUT if split in rows] if likeness else []
    looks = [items[origin[split]].alike[rows[split]] for split in held]
    if "train" in wanted and settings.balance != "none":
        pick = balanced_down if settings.balance == "down" else balanced_up
        rows["train"] = rows["train"][pick(items["train"].codes[rows["train"]], settings.seed)]
    if settings.limit is not None:
        for split in wanted:
            codes = items[origin[split]].codes[rows[split]]
            rows[split] = rows[split][stratified_sample(codes, settings.limit, settings.seed)]
    return Assigned(
        {split: origin[split] for split in wanted},
        {split: rows[split] for split in wanted},
        {split: _repeats(found) for split, found in items.items()} if likeness else {},
        {split: removed[split] for split in wanted if split in removed},
        np.unique(np.concatenate([Assigned().held_out, *looks])),
    )


def _chosen(
    train: Items, own: NDArray[np.int64], split: str, settings: BuildSettings, spec: str
) -> NDArray[np.int64]:
    """Choose the items of a held-out split among the usable training items ``own``."""
    count = settings.test if split == "test" else settings.validation
    if count is None:
        count = min(VALIDATION, max(1, len(own) // 10))
    if count >= len(own):
        raise DatasetError(
            f"{spec}: cannot hold {count} of {len(own)} training pictures out for {split}; "
            f"lower --{split}"
        )
    groups = own.astype(np.uint64) if settings.keep_duplicates else train.alike[own]
    chosen = own[stratified_groups(train.codes[own], groups, count, settings.seed)]
    if not len(chosen):
        raise DatasetError(
            f"{spec}: all training pictures look so much alike that none can be held out for "
            f"{split}; give --{split} 0 or --keep-duplicates"
        )
    return chosen


def _without(
    items: Items, rows: NDArray[np.int64], other: Items, other_rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Likeness]:
    """Return the ``rows`` that look like none of the other's, and the number that do."""
    alike = np.isin(items.alike[rows], other.alike[other_rows])
    same = int(np.isin(items.exact[rows], other.exact[other_rows]).sum())
    return rows[~alike], Likeness(same, int(alike.sum()) - same)


def _repeats(items: Items) -> Likeness:
    usable = items.codes != UNUSABLE
    count = int(usable.sum())
    same = count - len(np.unique(items.exact[usable]))
    return Likeness(same, count - len(np.unique(items.alike[usable])) - same)
