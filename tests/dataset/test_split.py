from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphsight.sampling import stratified_sample

labels = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=200)
seeds = st.integers(0, 2**32)


@given(labels, st.integers(0, 250), seeds)
def test_a_sample_is_ascending_without_repeats_and_of_the_wanted_size(labels, count, seed):
    chosen = stratified_sample(labels, count, seed)
    assert len(chosen) == min(count, len(labels))
    assert sorted(set(chosen.tolist())) == chosen.tolist()
    assert all(0 <= index < len(labels) for index in chosen)


@given(labels, st.integers(0, 250), seeds)
def test_each_class_has_its_share_to_within_one(labels, count, seed):
    chosen = stratified_sample(labels, count, seed)
    share = len(chosen) / len(labels)
    picked = Counter(labels[index] for index in chosen)
    for label, n in Counter(labels).items():
        assert abs(picked[label] - n * share) < 1


@given(labels, st.integers(0, 250), seeds)
def test_the_same_seed_chooses_the_same(labels, count, seed):
    first = stratified_sample(labels, count, seed)
    assert first.tolist() == stratified_sample(list(labels), count, seed).tolist()


def test_another_seed_chooses_others():
    labels = list("ab") * 100
    chosen = {tuple(stratified_sample(labels, 20, seed).tolist()) for seed in range(10)}
    assert len(chosen) == 10


@pytest.mark.parametrize("count", [1, 3])
def test_no_labels_give_an_empty_sample(count):
    assert stratified_sample([], count, 0).tolist() == []
