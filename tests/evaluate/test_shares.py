import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from glyphsight.dataset import Prompt
from glyphsight.errors import DatasetError
from glyphsight.evaluate.statistics import (
    calibrate,
    mcnemar,
    paired,
    per_class,
    sort_replies,
)
from glyphsight.evaluate.tasks import Item
from glyphsight.evaluate.tasks.base import as_written, read_reply
from glyphsight.sampling import wilson_interval


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    # Reference values from statsmodels' proportion_confint(method="wilson").
    [(81, 263, 0.255288, 0.366213), (0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0)],
)
def test_the_interval_is_wilsons(right, total, low, high):
    assert wilson_interval(right, total) == pytest.approx((low, high), abs=1e-5)


def test_precision_and_recall_come_from_the_confusion_matrix():
    matrix = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    a, b, c, d = per_class(matrix, ["a", "b", "c", "d"])
    assert (a.n, a.precision, a.recall) == (2, 0.5, 0.5)
    assert (b.n, b.precision, b.recall) == (1, 0.5, 1.0)
    assert (c.n, c.precision, c.recall) == (1, None, 0.0)
    assert (d.n, d.precision, d.recall) == (0, None, None)


answers = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def test_the_error_is_the_gap_of_each_bin_weighed_by_its_answers():
    # 0.95 and 0.97 lie in (14/15, 1], half of them right; 0.5 in (7/15, 8/15], right.
    found = calibrate([0.95, 0.97, 0.5], [True, False, True])
    assert found.error == pytest.approx((2 * abs(0.5 - 0.96) + abs(1 - 0.5)) / 3)
    middle, top = found.bins
    assert (middle.n, middle.confidence, middle.accuracy) == (1, 0.5, 1.0)
    assert (top.n, top.confidence, top.accuracy) == (2, pytest.approx(0.96), 0.5)
    assert (top.low, top.high) == (14 / 15, 1.0)


def test_a_bin_holds_its_upper_edge_and_the_lowest_holds_zero():
    found = calibrate([0.0, 0.2, 0.4, 0.40001], [True] * 4, bins=5)
    assert [(b.low, b.high, b.n) for b in found.bins] == [
        (0.0, 0.2, 2),
        (0.2, 0.4, 1),
        (0.4, 0.6, 1),
    ]


def test_always_sure_and_always_wrong_is_an_error_of_one():
    assert calibrate([1.0] * 7, [False] * 7).error == 1.0
    assert calibrate([1.0] * 7, [True] * 7).error == 0.0


def test_answers_that_are_right_as_often_as_they_are_sure_have_a_small_error():
    rng = np.random.default_rng(0)
    sure = rng.uniform(size=100_000)
    assert calibrate(sure, rng.uniform(size=len(sure)) < sure).error < 0.01
    assert calibrate(sure, rng.uniform(size=len(sure)) < sure**3).error > 0.2


@given(answers)
def test_the_bins_hold_every_answer_and_their_gaps_are_the_error(pairs):
    found = calibrate([sure for sure, _ in pairs], [right for _, right in pairs])
    assert sum(b.n for b in found.bins) == len(pairs)
    assert all(b.low <= b.confidence + 1e-12 and b.confidence <= b.high + 1e-12 for b in found.bins)
    gaps = sum(b.n * abs(b.confidence - b.accuracy) for b in found.bins)
    assert found.error == pytest.approx(gaps / len(pairs), abs=1e-12)
    assert 0 <= found.error <= 1


@given(answers)
def test_one_bin_compares_the_means(pairs):
    sure, right = zip(*pairs, strict=True)
    assert calibrate(sure, right, bins=1).error == pytest.approx(
        abs(np.mean(sure) - np.mean(right)), abs=1e-12
    )


def test_float32_rounding_above_one_is_taken():
    assert calibrate([float(np.float32(1.0000001))], [True]).error == 0.0


@pytest.mark.parametrize(
    ("sure", "right", "said"),
    [
        ([0.5, 1.5], [True, True], "answer 2: confidence 1.5"),
        ([float("nan")], [True], "answer 1: confidence nan"),
    ],
)
def test_what_cannot_be_judged_is_said(sure, right, said):
    with pytest.raises(DatasetError, match=said):
        calibrate(sure, right)


def test_without_an_answer_there_is_no_bin():
    found = calibrate([], [])
    assert (found.error, found.bins) == (0.0, [])


def outcomes(both, first, second, neither):
    """Items of each outcome, as the answers of two models."""
    a = [True] * (both + first) + [False] * (second + neither)
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    return a, b


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    # 2 * sum of C(n, i) / 2^n over i up to the smaller, at most 1; by hand
    [(0, 0, 1.0), (5, 0, 2 / 32), (1, 5, 2 * 7 / 64), (3, 3, 1.0), (2, 8, 2 * 56 / 1024)],
)
def test_mcnemars_test_is_exact(only_first, only_second, p_value):
    assert mcnemar(only_first, only_second) == pytest.approx(p_value, rel=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_test_is_the_binomial_sum_and_symmetric(only_first, only_second):
    n, least = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, i) for i in range(least + 1)) / 2**n
    assert mcnemar(only_first, only_second) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert mcnemar(only_first, only_second) == mcnemar(only_second, only_first)


def test_the_counts_and_the_difference_are_those_of_the_items():
    found = paired(*outcomes(both=900, first=60, second=20, neither=20))
    assert (found.n, found.only_first, found.only_second) == (1000, 60, 20)
    assert found.difference == pytest.approx(0.04)
    # normal approximation: sqrt((60 + 20) / n - 0.04^2) / sqrt(n) = 0.00885 a standard error
    assert found.interval == pytest.approx((0.04 - 0.01734, 0.04 + 0.01734), abs=0.002)
    assert found.p_value < 0.001


def test_the_interval_is_that_of_resampling_the_items_themselves():
    a, b = map(np.array, outcomes(both=150, first=30, second=12, neither=8))
    rng = np.random.default_rng(1)
    rows = rng.integers(0, len(a), (10_000, len(a)))
    low, high = np.percentile(a[rows].mean(axis=1) - b[rows].mean(axis=1), [2.5, 97.5])
    assert paired(a, b).interval == pytest.approx((low, high), abs=0.011)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_swapping_the_models_turns_the_sign(both, first, second, neither):
    a, b = outcomes(both, first, second, neither)
    one, other = paired(a, b), paired(b, a)
    assert one.difference == -other.difference
    assert one.p_value == other.p_value
    assert one.interval[0] <= one.interval[1]


def test_equal_models_differ_by_nothing_as_far_as_so_few_items_tell():
    right = [True, False, True]
    low, high = paired(right, right).interval
    # As sure as a binomial can be that fewer items than that tell them apart.
    assert binomtest(0, len(right)).proportion_ci(0.95).high == pytest.approx(high)
    assert low == -high
    assert paired(right, right).p_value == 1.0


def test_the_seed_decides_the_interval():
    a, b = outcomes(50, 9, 4, 7)
    assert paired(a, b, seed=3) == paired(a, b, seed=3)
    assert paired(a, b, seed=3).interval[0] == pytest.approx(
        paired(a, b, seed=4).interval[0], abs=0.05
    )


def test_a_million_items_cost_what_a_thousand_do():
    rng = np.random.default_rng(0)
    found = paired(rng.random(1_000_000) < 0.9, rng.random(1_000_000) < 0.9)
    assert found.interval[0] < 0 < found.interval[1]
    assert found.interval[1] - found.interval[0] < 0.002


LABELS = ["cat", "dog", "7"]


def kind(reply, truth="cat", labels=LABELS):
    counts = sort_replies([reply], [truth], labels)
    return next(
        name for name in ("right", "wrong", "refused", "malformed") if getattr(counts, name)
    )


@pytest.mark.parametrize("reply", ["cat", " cat", "cat\n"])
def test_the_label_itself_is_right(reply):
    assert kind(reply) == "right"


@pytest.mark.parametrize(
    ("reply", "truth"), [("e\u0301te\u0301", "été"), ("été", " e\u0301te\u0301")]
)
def test_composed_and_decomposed_letters_are_one_answer(reply, truth):
    assert kind(reply, truth, [truth, "hiver"]) == "right"
    assert kind(reply, "hiver", [truth, "hiver"]) == "wrong"
    item = Item("", (truth,), (truth, "hiver"))
    assert as_written(reply, item) == read_reply(f" {reply}.\n", item) == truth


def test_another_label_is_wrong():
    assert kind("dog") == "wrong"


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry",
        "I am unable to see pictures.",
        "As an AI language model, I do not see.",
        "I don't know",
        "I cannot",
        "Sorry, no.",
        "I apologize for the confusion",
        "We can not tell what this is",
        "NOT SURE",
    ],
)
def test_declining_is_a_refusal(reply):
    assert kind(reply) == "refused"


@pytest.mark.parametrize(
    "reply",
    ["", "  ", "Cat", "cat.", "cat dog", "77", "<row:1>", "a cannon", "canton", "I see a cat"],
)
def test_anything_else_is_malformed(reply):
    assert kind(reply) == "malformed"


def test_a_label_that_reads_like_a_refusal_is_a_label():
    labels = ["sure", "I don't know"]
    assert kind("I don't know", "I don't know", labels) == "right"
    assert kind("I don't know", "sure", labels) == "wrong"


def test_examples_are_different_few_and_short():
    replies = [f"odd {n % 15}" for n in range(60)] + ["x" * 999]
    counts = sort_replies(replies, ["cat"] * 61, LABELS)
    assert counts.examples == [f"odd {n}" for n in range(10)]
    assert sort_replies(["x" * 999, "cat"], ["cat"] * 2, LABELS).examples == ["x" * 200 + "…"]


@given(
    st.lists(st.tuples(st.sampled_from([*LABELS, "I cannot", "", "?"]), st.sampled_from(LABELS)))
)
def test_every_reply_is_counted_once_as_generation_is_scored(pairs):
    prompt = Prompt(answer=" It is {Response}!")
    replies = [prompt.read_reply(prompt.reply(said)) for said, _ in pairs]
    counts = sort_replies(replies, [truth for _, truth in pairs], LABELS)
    assert counts.right == sum(said == truth for said, truth in pairs)
    assert counts.refused + counts.malformed == sum(said not in LABELS for said, _ in pairs)
    assert counts.right + counts.wrong + counts.refused + counts.malformed == len(pairs)
