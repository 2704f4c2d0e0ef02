"""Items of the source shared out to splits: pure functions of the scan and the seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glyphsight.dataset.build.settings import BuildSettings
from glyphsight.errors import DatasetError
from glyphsight.sampling import balanced, stratified_sample

UNUSABLE = -1  # class number of an item that cannot be encoded

VALIDATION = 2000  # the most that are held out for validation unless a number is given

_NONE = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class Items:
    """The items of a split, in their order."""

    codes: NDArray[np.int32]  # [N], number of the answer among all in sorted order, or UNUSABLE
    exact: NDArray[np.uint64]  # [N], equal where the level grids are
    alike: NDArray[np.uint64]  # [N], equal where they nearly are; empty where that does not count

    @property
    def usable(self) -> NDArray[np.int64]:
        """Rows of the items that can be encoded."""
        return np.flatnonzero(self.codes != UNUSABLE)

    def likeness(
        self, rows: NDArray[np.int64], other: Items, others: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Likeness]:
        """Find the ``rows`` that look like none of the ``others``; count those that do."""
        alike = np.isin(self.alike[rows], other.alike[others])
        same = int(np.isin(self.exact[rows], other.exact[others]).sum())
        return rows[~alike], Likeness(same, int(alike.sum()) - same)

    def repeats(self) -> Likeness:
        """Count the items that look like an earlier one."""
        rows = self.usable
        same = len(rows) - len(np.unique(self.exact[rows]))
        return Likeness(same, len(rows) - len(np.unique(self.alike[rows])) - same)


@dataclass(frozen=True)
class Likeness:
    """Numbers of items of a split that look like others."""

    same: int = 0  # items whose level grid is another's
    alike: int = 0  # items that only nearly are another's, by the perceptual hash

    def __add__(self, other: Likeness) -> Likeness:
        return Likeness(self.same + other.same, self.alike + other.alike)

    def __sub__(self, other: Likeness) -> Likeness:
        return Likeness(self.same - other.same, self.alike - other.alike)


@dataclass(frozen=True)
class Assigned:
    """The items of each split."""

    origin: dict[str, str] = field(default_factory=dict)  # the source's split it is taken from
    rows: dict[str, NDArray[np.int64]] = field(default_factory=dict)  # with ``up`` some repeat
    repeats: dict[str, Likeness] = field(default_factory=dict)  # inside the source's splits
    removed: dict[str, Likeness] = field(default_factory=dict)  # look-alikes of what is held out
    held_out: NDArray[np.uint64] = field(default_factory=lambda: _NONE)  # sorted hashes of that


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
    rows = {split: found.usable for split, found in items.items()}
    origin = {split: split for split in items}
    removed: dict[str, Likeness] = {}

    def hold_out(split: str, chosen: NDArray[np.int64]) -> None:
        origin[split], rows[split] = "train", chosen
        rows["train"] = np.setdiff1d(rows["train"], chosen, assume_unique=True)

    def remove(split: str, other: str) -> None:
        rows[split], found = items[origin[split]].likeness(
            rows[split], items[origin[other]], rows[other]
        )
        removed[split] = removed.get(split, Likeness()) + found

    if settings.test and "train" in items and "test" not in items:
        hold_out("test", _chosen(items["train"], rows["train"], "test", settings, spec))
    if likeness and "test" in rows:
        for split in rows.keys() - {"test"}:
            remove(split, "test")
    if settings.validation != 0 and "train" in items and "validation" not in items:
        own, train = rows["train"], items["train"]
        if named is None:
            hold_out("validation", _chosen(train, own, "validation", settings, spec))
        else:
            hold_out("validation", np.intersect1d(own, named))
            if "train" in removed:  # of the named ones too
                usable = named[train.codes[named] != UNUSABLE]
                _, lost = train.likeness(usable, items[origin["test"]], rows["test"])
                removed["validation"], removed["train"] = lost, removed["train"] - lost
    whole_groups = origin.get("validation") == "train" and named is None  # look-alikes together
    if likeness and {"train", "validation"} <= rows.keys() and not whole_groups:
        remove("train", "validation")
    held = [split for split in ("test", "validation") if split in rows and likeness]
    looks = [items[origin[split]].alike[rows[split]] for split in held]
    if "train" in wanted and settings.balance != "none":
        codes, up = items["train"].codes[rows["train"]], settings.balance == "up"
        rows["train"] = rows["train"][balanced(codes, settings.seed, up=up)]
    if settings.limit is not None:
        for split in wanted:
            codes = items[origin[split]].codes[rows[split]]
            rows[split] = rows[split][stratified_sample(codes, settings.limit, settings.seed)]
    return Assigned(
        {split: origin[split] for split in wanted},
        {split: rows[split] for split in wanted},
        {split: found.repeats() for split, found in items.items()} if likeness else {},
        {split: removed[split] for split in wanted if split in removed},
        np.unique(np.concatenate([_NONE, *looks])),
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
    groups = None if settings.keep_duplicates else train.alike[own]
    chosen = own[stratified_sample(train.codes[own], count, settings.seed, groups)]
    if not len(chosen):
        raise DatasetError(
            f"{spec}: all training pictures look so much alike that none can be held out for "
            f"{split}; give --{split} 0 or --keep-duplicates"
        )
    return chosen
