import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyphsight.dataset import BuildSettings
from glyphsight.dataset.build.assign import UNUSABLE, Items, Likeness, assign
from glyphsight.errors import DatasetError
from glyphsight.sampling import balanced, stratified_sample


def items(codes, alike=None, exact=None):
    """Items by class number and look; without a look each its own."""
    alike = np.arange(len(codes)) if alike is None else np.array(alike)
    exact = np.arange(len(codes)) if exact is None else np.array(exact)
    return Items(np.array(codes, np.int32), exact.astype(np.uint64), alike.astype(np.uint64))


def shared(found, wanted=("train", "validation", "test"), **options):
    named, likeness = options.pop("named", None), options.pop("likeness", True)
    held_out = {"validation"} if options.get("validation") else set()
    own = [split for split in wanted if split in found.keys() | held_out]
    how = BuildSettings(keep_duplicates=not likeness, **({"validation": 0} | options))
    return assign(found, own, how, "idx:x", named)


classes = st.lists(st.integers(0, 3), min_size=2, max_size=60)


@settings(deadline=None)
@given(classes, st.data())
def test_no_look_is_in_two_splits_and_nothing_else_is_lost(codes, data):
    looks = st.lists(st.integers(0, 30), min_size=len(codes), max_size=len(codes))
    train = items(codes, data.draw(looks))
    test = items([0, 1, 2], data.draw(st.lists(st.integers(0, 30), min_size=3, max_size=3)))
    count = data.draw(st.integers(1, len(codes)))
    try:
        done = shared({"train": train, "test": test}, validation=count)
    except DatasetError as error:
        assert "held out" in str(error) or "cannot hold" in str(error)  # noqa: PT017
        return
    looked = {
        split: set((test if split == "test" else train).alike[rows].tolist())
        for split, rows in done.rows.items()
    }
    assert not looked["train"] & looked["validation"]
    assert not (looked["train"] | looked["validation"]) & looked["test"]
    assert done.rows["test"].tolist() == [0, 1, 2]
    assert 0 < len(done.rows["validation"]) <= count
    removed = done.removed["train"]
    kept = len(done.rows["train"]) + len(done.rows["validation"])
    assert kept + removed.same + removed.alike == len(codes)


@given(classes, st.integers(1, 50), st.integers(0, 5))
def test_without_look_alikes_the_held_out_choice_is_the_stratified_one(codes, count, seed):
    labels, own = np.array(codes, np.int32), np.arange(len(codes), dtype=np.uint64)
    grouped = stratified_sample(labels, count, seed, own)
    assert grouped.tolist() == stratified_sample([f"{c}" for c in codes], count, seed).tolist()


def test_the_order_of_a_group_or_its_number_changes_nothing():
    codes = np.array([0, 1] * 20, np.int32)
    looks = np.arange(40) // 2
    first = stratified_sample(codes, 10, 0, looks.astype(np.uint64))
    second = stratified_sample(codes, 10, 0, (1000 - looks).astype(np.uint64))
    assert first.tolist() == second.tolist()
    assert len(first) == 10


def test_test_keeps_what_validation_has_too_and_validation_what_train_has():
    done = shared(
        {
            "train": items([0] * 6, [1, 2, 3, 4, 5, 6], [1, 2, 30, 4, 5, 6]),
            "validation": items([0] * 3, [1, 3, 9], [10, 31, 9]),
            "test": items([0] * 2, [1, 2], [1, 20]),
        }
    )
    assert {split: rows.tolist() for split, rows in done.rows.items()} == {
        "train": [3, 4, 5],
        "validation": [1, 2],
        "test": [0, 1],
    }
    assert done.removed == {"train": Likeness(1, 2), "validation": Likeness(0, 1)}
    assert done.origin == {split: split for split in done.rows}


def test_what_repeats_inside_a_split_stays_and_is_counted():
    done = shared({"train": items([0, 0, 1, 1], [7, 7, 7, 8], [1, 1, 2, 3])})
    assert done.rows["train"].tolist() == [0, 1, 2, 3]
    assert done.repeats == {"train": Likeness(1, 1)}


def test_look_alikes_stay_where_they_are_when_they_may():
    done = shared({"train": items([0], [1]), "test": items([0], [1])}, likeness=False)
    assert [rows.tolist() for rows in done.rows.values()] == [[0], [0]]
    assert done.removed == done.repeats == {}


def test_what_cannot_be_encoded_is_in_no_split():
    done = shared({"train": items([0, UNUSABLE, 0, 0, UNUSABLE, 0])}, validation=2)
    assert sorted([*done.rows["train"], *done.rows["validation"]]) == [0, 2, 3, 5]


def test_all_alike_cannot_be_held_out():
    with pytest.raises(DatasetError, match=r"idx:x: all training pictures look so much alike"):
        shared({"train": items([0] * 9, [1] * 9)}, validation=3)


def test_balance_changes_the_training_split_alone_and_comes_before_the_limit():
    found = {"train": items([0] * 50 + [1] * 10 + [2] * 5), "test": items([0] * 9 + [1])}
    found["test"] = Items(found["test"].codes, found["test"].exact + 100, found["test"].alike + 100)
    for balance, each in (("down", 5), ("up", 50)):
        done = shared(found, balance=balance)
        assert np.bincount(found["train"].codes[done.rows["train"]]).tolist() == [each] * 3
        assert len(done.rows["test"]) == 10
    done = shared(found, balance="up", limit=30)
    assert np.bincount(found["train"].codes[done.rows["train"]]).tolist() == [10] * 3


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 5))
def test_balanced_classes_are_equal_and_repeat_evenly(codes, seed):
    labels = np.array(codes, np.int32)
    down, up = (balanced(labels, seed, up=up) for up in (False, True))
    counts = np.bincount(labels)
    for rows, each in ((down, counts[counts > 0].min()), (up, counts.max())):
        assert set(np.bincount(labels[rows])[counts > 0]) == {each}
        assert (np.diff(rows) >= 0).all()
    assert len(np.unique(down)) == len(down)
    times = np.bincount(up, minlength=len(codes))
    for code in set(codes):
        assert np.ptp(times[labels == code]) <= 1


def test_nothing_to_balance_is_nothing():
    for up in (False, True):
        assert balanced(np.zeros(0, np.int32), 0, up=up).tolist() == []
