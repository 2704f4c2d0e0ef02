import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glyphsight.dataset.inspect.repeats import Traces, find_repeats, likenesses
from glyphsight.errors import FormatError
from glyphsight.files import hash64


def traced(splits):
    """Traces of records (text, answer, likeness) by split; None for what is no record."""
    traces = Traces()
    for split, found in splits.items():
        traces.start(split)
        for record in found:
            if record is None:
                traces.skip()
            else:
                traces.add(*record)
    return traces


def repeats_of(splits):
    found = find_repeats(traced(splits))
    return {kind: pairs.tolist() for kind, pairs in found.items() if len(pairs)}


def test_each_kind_of_repeat_is_told_apart():
    splits = {
        "train": [("x", "1", 10), ("y", "1", 11), ("x", "1", 10), ("z", "2", 12)],
        "validation": [("y", "1", 11), ("v", "1", 13)],
        "test": [("x", "2", 10), ("v", "1", 13), ("z+", "2", 12), ("w", "1", 99)],
    }
    assert repeats_of(splits) == {
        "duplicates": [[2, 0]],
        "leaks": [[4, 1], [7, 5]],
        "contradictions": [[6, 0]],
        "lookalikes": [[8, 3]],
    }


def test_a_leak_is_found_where_the_picture_has_two_answers_already():
    splits = {
        "train": [("p", "x", 1), ("p", "y", 1), ("p", "y", 1)],
        "test": [("p", "y", 1)],
    }
    assert repeats_of(splits) == {
        "contradictions": [[1, 0], [2, 0], [3, 0]],
        "duplicates": [[2, 1]],
        "leaks": [[3, 1]],
    }


def test_what_is_no_record_is_like_nothing():
    assert repeats_of({"train": [None, None], "test": [None]}) == {}


def test_an_empty_dataset_repeats_nothing():
    assert repeats_of({}) == {}
    assert repeats_of({"train": [], "test": []}) == {}


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("abcd"), st.sampled_from("12"), st.integers(0, 3)), max_size=8
        ),
        max_size=3,
    )
)
def test_as_a_search_through_all_before_finds_it(splits):
    named = {str(number): split for number, split in enumerate(splits)}
    flat = [(split, *record) for split, found in named.items() for record in found]
    expected = {"contradictions": [], "leaks": [], "duplicates": [], "lookalikes": []}
    for index, (split, text, answer, likeness) in enumerate(flat):
        first = next(i for i in range(len(flat)) if flat[i][1] == text)
        same = next(i for i in range(len(flat)) if flat[i][1:3] == (text, answer))
        alike = next(i for i in range(len(flat)) if flat[i][3] == likeness)
        if flat[first][2] != answer:
            expected["contradictions"].append([index, first])
        if same != index:
            expected["duplicates" if flat[same][0] == split else "leaks"].append([index, same])
        leaked = first != index and flat[first][0] != split
        if flat[alike][0] != split and not leaked:
            expected["lookalikes"].append([index, alike])
    assert repeats_of(named) == {kind: pairs for kind, pairs in expected.items() if pairs}


def test_likeness_is_of_the_grid_and_of_the_text_where_there_is_none():
    small, large = np.eye(4, dtype=np.uint8), np.eye(8, dtype=np.uint8)
    bad = FormatError("no picture")
    found = likenesses([small, bad, large, small, bad], ["s", "b", "l", "s", "b"])
    assert found[0] == found[3] != found[2]
    assert found[1] == found[4] == hash64("b")
    assert likenesses([], []) == []


def test_a_digest_is_eight_bytes_and_takes_any_text():
    assert hash64("five") == hash64("five") != hash64("fire")
    assert 0 <= hash64("\ud800 half a pair") < 2**64
