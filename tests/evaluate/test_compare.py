"""Evaluations side by side, and item by item where they judged the same items."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from outcomes import answers, evaluation, some_digits

from glyphsight.errors import DatasetError
from glyphsight.evaluate.compare import compare
from glyphsight.evaluate.report import record_study, write_comparison
from glyphsight.evaluate.statistics import paired
from glyphsight.evaluate.study import describe

COUNT = 60


@pytest.fixture(scope="module")
def items(validation):
    return some_digits(validation, COUNT)


def write(directory, texts, truth, wrong, limit=None, items=None, **other):
    labels = sorted(set(truth))
    made = evaluation(texts, truth, answers(truth, wrong, labels), **other)
    found = describe(made, limit=limit)
    found = replace(found, selection=replace(found.selection, items_sha256=items))
    record_study(found, directory, run=None)
    return directory


@pytest.fixture(scope="module")
def runs(items, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    good = write(place / "good", *items, {1, 2})
    poor = write(place / "poor", *items, {2, *range(10, 30)})
    return [good, poor]


def right_but(wrong):
    return [place not in wrong for place in range(COUNT)]


def test_two_runs_on_the_same_items_are_paired(runs):
    found = compare(runs)
    assert [entry.share.n for entry in found.entries] == [COUNT, COUNT]
    assert found.entries[0].share.accuracy == 58 / 60
    [pair] = found.pairs
    assert (pair.first, pair.second, pair.matched) == ("good", "poor", "order")
    assert pair.found == paired(right_but({1, 2}), right_but({2, *range(10, 30)}))


def test_records_in_another_order_are_found_by_text_and_answer(runs, items, tmp_path):
    texts, truth = items
    order = np.random.default_rng(0).permutation(COUNT)[:40].tolist()
    wrong = {place for place, row in enumerate(order) if row in {1, 5, 9}}
    mixed = write(
        tmp_path / "mixed",
        [texts[row] for row in order],
        [truth[row] for row in order],
        wrong,
        data="elsewhere",
    )
    [pair] = compare([runs[0], mixed]).pairs
    assert pair.matched == "text"
    rows = sorted(order)
    assert pair.found == paired(
        [row not in {1, 2} for row in rows], [row not in {1, 5, 9} for row in rows]
    )


def test_like_records_meet_one_another_once_each(tmp_path):
    texts, truth = ["same"] * 4 + ["other"], ["a", "a", "b", "a", "b"]
    first = write(tmp_path / "x", texts, truth, {0}, data="x")
    second = write(tmp_path / "y", texts[::-1], truth[::-1], {0}, data="y")
    [pair] = compare([first, second]).pairs
    assert pair.found.n == 5


def test_other_texts_are_paired_by_order_of_the_same_selection_alone(runs, items, tmp_path):
    texts, truth = items
    plain = [re.sub("<.*?>", "", text) for text in texts]
    same = write(tmp_path / "plain", plain, truth, {3})
    [pair] = compare([runs[0], same]).pairs
    assert pair.matched == "order"
    assert pair.found == paired(right_but({1, 2}), right_but({3}))

    other = write(tmp_path / "limited", plain, truth, {3}, limit=COUNT, data="elsewhere")
    [pair] = compare([runs[0], other]).pairs
    assert pair.found is None
    assert pair.refused == (
        "no record of the one has text and right answer of one of the other, and they did not "
        "judge the same selection (other data, limit)"
    )
    assert pair.as_json()["refused"] == pair.refused


def test_two_builds_of_the_same_pictures_are_paired_wherever_they_lie(items, tmp_path):
    texts, truth = items
    plain = [re.sub("<.*?>", "", text) for text in texts]
    first = write(tmp_path / "seed", *items, {1}, items="a", data="one")
    second = write(tmp_path / "plain", plain, truth, {2}, items="a", data="two", split=None)
    [pair] = compare([first, second]).pairs
    assert (pair.matched, pair.found.n) == ("order", COUNT)


def test_other_pictures_under_the_same_name_are_not_paired(items, tmp_path):
    texts, truth = items
    plain = [re.sub("<.*?>", "", text) for text in texts]
    first = write(tmp_path / "first", *items, {1}, items="a")
    [pair] = compare([first, write(tmp_path / "second", plain, truth, {2}, items="b")]).pairs
    assert pair.found is None
    assert pair.refused.endswith("same selection (other pictures they were made of)")


def test_disagreements_are_those_that_one_has_right_alone(runs, items):
    found = compare(runs).disagreements
    assert len(found) == 12
    for one in found:
        (mine, _), (other, _) = one.answers["good"], one.answers["poor"]
        assert (mine == one.sample.truth) != (other == one.sample.truth)
    surest = [one.sample.ascii_image for one in found]
    assert surest == [items[0][row] for row in range(29, 17, -1)]


def test_a_run_directory_stands_for_the_evaluation_in_it(runs, items, tmp_path):
    write(tmp_path / "a" / "evaluation", *items, {1})
    write(tmp_path / "b" / "evaluation", *items, {2})
    found = compare([tmp_path / "a", tmp_path / "b" / "evaluation"])
    assert [entry.name for entry in found.entries] == ["a", "b"]
    assert found.entries[0].directory == tmp_path / "a" / "evaluation"


def test_runs_called_alike_are_told_apart(items, tmp_path):
    for folder in "ab":
        write(tmp_path / folder / "run", *items, {1})
    names = [entry.name for entry in compare([tmp_path / "a/run", tmp_path / "b/run"]).entries]
    assert names == [str(tmp_path / "a/run"), str(tmp_path / "b/run")]
    again = compare([tmp_path / "a/run", tmp_path / "a/run"])
    assert len({entry.name for entry in again.entries}) == 2


def test_what_is_no_evaluation_is_named_with_the_fix(runs, items, tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere: no such directory; give what glyphsight"):
        compare([runs[0], tmp_path / "nowhere"])
    with pytest.raises(
        DatasetError, match=r"metrics\.json: no such file; make it with: glyphsight evaluate"
    ):
        compare([runs[0], tmp_path])
    damaged = write(tmp_path / "damaged", *items, {1})
    (damaged / "samples.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"samples\.jsonl: no such file; make it with"):
        compare([runs[0], damaged])
    (damaged / "metrics.json").write_text("{")
    (damaged / "samples.jsonl").write_text("")
    with pytest.raises(DatasetError, match=r"metrics\.json: damaged"):
        compare([runs[0], damaged])


def test_samples_that_are_not_all_there_are_refused(runs, items, tmp_path):
    short = write(tmp_path / "short", *items, {1})
    lines = (short / "samples.jsonl").read_text("utf-8").splitlines(keepends=True)
    (short / "samples.jsonl").write_text("".join(lines[:-1]), "utf-8")
    with pytest.raises(DatasetError, match=r"59 records where metrics\.json tells of 60"):
        compare([runs[0], short])


def test_figures_without_a_selection_are_paired_by_text(runs, tmp_path, items):
    old = write(tmp_path / "old", *items, {4})
    metrics = json.loads((old / "metrics.json").read_text())
    for key in ("selection", "profile", "tokens", "calibration"):
        del metrics[key]
    (old / "metrics.json").write_text(json.dumps(metrics))
    found = compare([runs[0], old])
    assert found.pairs[0].matched == "text"
    write_comparison(found, tmp_path / "compare.html")


@pytest.mark.parametrize(("count", "caption"), [(8, ""), (9, ", the first 8 runs")])
def test_every_run_has_a_colour_of_its_own_or_the_page_says_so(runs, tmp_path, count, caption):
    write_comparison(compare([runs[0]] * count), tmp_path / "compare.html")
    page = (tmp_path / "compare.html").read_text("utf-8")
    assert f"<figcaption>right answers by probability{caption}</figcaption>" in page
    key = re.findall(r'<i class="(\w+)">', page)
    assert len(set(key[:8])) == 8
    for name in key:
        assert f".key .{name} {{" in page
        assert f"var(--{name}, #" in page


def test_the_page_is_one_file_that_loads_nothing(runs, tmp_path):
    found = compare(runs)
    write_comparison(found, tmp_path / "compare.html")
    page = (tmp_path / "compare.html").read_text("utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)|url\((?!#)|@import', page)
    assert page.count('class="card"') == 12
    assert page.count('<svg class="plot"') == 2
    assert f"{100 * found.entries[1].share.accuracy:.2f} %" in page
    assert json.loads(json.dumps(found.as_json()))["pairs"][0]["n"] == COUNT


def test_an_unfinished_evaluation_is_named(runs, items, tmp_path):
    begun = write(tmp_path / "begun", *items, {1})
    (begun / "metrics.json").unlink()
    with pytest.raises(DatasetError, match="begun: an unfinished evaluation; give the same"):
        compare([runs[0], begun])
