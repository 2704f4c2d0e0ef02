import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from layouts import LAYOUTS, asking, pictures, records, write_layout

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import get_format
from glyphsight.dataset import Prompt
from glyphsight.dataset.inspect.statistics import (
    MAX_MEANS,
    Spread,
    collect_statistics,
    natural,
    spread_text,
)
from glyphsight.dataset.inspect.statistics_page import write_page
from glyphsight.errors import DatasetError, GlyphsightError


@pytest.fixture
def grids():
    return pictures(np.random.default_rng(0), 40)


@pytest.fixture
def made(grids):
    return records(grids, ["a", "b"] * 20)


def count(pairs):
    return [len(prompt) + len(completion) for prompt, completion in pairs]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_figure_in_every_layout(tmp_path, grids, made, layout):
    train, test = made[:30], made[30:]
    train[3] = train[1]
    test[0] = replace(train[0])
    test[1] = replace(train[1], answer="a")
    test[2] = replace(test[2], pictures="nothing")
    path = write_layout(
        tmp_path, layout, {"train": train, "test": test}, profile=Profile(8), shard=7
    )
    found = collect_statistics(path, PUBLISHED, tokens=count, tokenizer="letters")
    first, second = found.splits["train"], found.splits["test"]
    assert (first.records, first.unreadable, first.duplicates, first.leaks) == (30, 0, 1, 0)
    assert (second.records, second.unreadable) == (10, 1)
    assert (second.duplicates, second.contradictions, second.leaks) == (0, 1, 1)
    assert first.answers == {"a": 15, "b": 15}
    assert list(second.answers.items()) == [("a", 6), ("b", 4)]
    shown = grids[[0, 1, 2, 1, *range(4, 30)]]
    assert first.ink == pytest.approx(shown.mean() / 2)
    assert first.sizes == {"8x6": 30}
    length = len(made[0].picture)
    assert first.characters == Spread(length, length, length, length)
    assert second.characters.least == len("nothing")
    assert first.tokens.most == length + len("Response: a")
    assert (first.token_records, found.tokenizer) == (30, "letters")
    assert json.loads(json.dumps(found.as_json()))["splits"]["test"]["leaks"] == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_questions_and_any_number_of_pictures_are_counted(tmp_path, layout):
    made = asking(np.random.default_rng(0), 30)
    train, test = made[:24], [replace(made[3], answer="otherwise"), made[4], *made[24:]]
    path = write_layout(tmp_path, layout, {"train": train, "test": test})
    found = collect_statistics(path, PUBLISHED, tokens=count, tokenizer="letters")
    first, second = found.splits["train"], found.splits["test"]
    assert (first.records, first.unreadable, first.questions) == (24, 0, 24)
    assert first.sizes == {"8x6": 24}  # eight records of one, eight of two, eight of none
    assert (first.characters.least, first.characters.most) == (0, len(made[1].picture))
    assert (second.contradictions, second.leaks) == (1, 1)
    assert all("answer number" in answer or answer == "otherwise" for answer in found.means)
    write_page(found, tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "Question 4?" in text or "Question 3?" in text
    assert "different questions" in text
    assert "unreadable</span>" not in text


def test_the_mean_picture_of_an_answer_is_of_all_splits(tmp_path, grids, made):
    path = write_layout(tmp_path, "json", {"train": made[:31], "test": made[31:]})
    means = collect_statistics(path, PUBLISHED).means
    assert list(means) == ["a", "b"]
    assert means["a"] == pytest.approx(grids[::2].mean(axis=0) / 2)
    assert means["b"] == pytest.approx(grids[1::2].mean(axis=0) / 2)


def test_pictures_of_other_sizes_are_stretched_into_the_mean(tmp_path):
    small = np.array([[[0, 2], [2, 0]]], dtype=np.uint8)
    large = small.repeat(3, axis=1).repeat(2, axis=2)
    some = records(small, ["a"]) + records(large, ["a"])
    found = collect_statistics(write_layout(tmp_path, "json", {"train": some}), PUBLISHED)
    assert found.means["a"].tolist() == [[0, 1], [1, 0]]
    assert found.splits["train"].sizes == {"2x2": 1, "4x6": 1}


def test_only_so_many_answers_have_a_mean_picture(tmp_path):
    many = MAX_MEANS + 30
    some = records(pictures(np.random.default_rng(1), many), [f"{n:03}" for n in range(many)])
    path = write_layout(tmp_path, "json", {"train": some})
    found = collect_statistics(path, PUBLISHED)
    assert list(found.means) == [f"{n:03}" for n in range(MAX_MEANS)]
    assert len(found.splits["train"].answers) == many


def test_empty_and_broken_splits(tmp_path, made):
    path = write_layout(tmp_path, "json", {"train": made, "test": []})
    empty = collect_statistics(path, PUBLISHED, tokens=count).splits["test"]
    assert (empty.records, empty.ink, empty.characters, empty.tokens) == (0, None, None, None)
    assert spread_text(empty.tokens) == "–"
    (path / "test.json").write_text("[1, {}]")
    assert collect_statistics(path, PUBLISHED).splits["test"].unreadable == 2
    (path / "test.json").write_text("[")
    with pytest.raises(DatasetError, match=r"test\.json: not JSON"):
        collect_statistics(path, PUBLISHED)


def test_a_block_format_counts_its_cells(tmp_path):
    grids = pictures(np.random.default_rng(1), 4, rows=8, columns=6, levels=2)
    texts = get_format("braille").render_batch(grids, " #")
    some = [
        replace(record, pictures=text, size="3")
        for record, text in zip(records(grids, ["a"] * 4), texts, strict=True)
    ]
    profile = Profile(3, " #", "braille")
    path = write_layout(tmp_path, "json", {"train": some}, profile=profile)
    found = collect_statistics(path, profile)
    assert found.splits["train"].sizes == {"6x8": 4}
    assert found.splits["train"].ink == pytest.approx(grids.mean())


@pytest.mark.parametrize(
    "answers", [["a", "b"] * 20, [f"<b>{n} & -->" for n in range(40)], ["漢字", "\x1b[2J"] * 20]
)
def test_the_page_holds_all_it_needs_and_escapes_what_it_shows(tmp_path, grids, answers):
    made = records(grids, answers, source="<script>alert(1)</script>")
    made[5] = replace(made[5], pictures="<script>")
    path = write_layout(
        tmp_path,
        "json",
        {"train": made[:25], "validation": made[25:30], "test": made[30:]},
        wordings=(Prompt("{ASCII_image}?", " {Response}"),),
    )
    (path / "train.sources.txt").write_text("".join(f"{r.source}\n" for r in made[:25]))
    found = collect_statistics(path, PUBLISHED, tokens=count, tokenizer="letters")
    page = tmp_path / "stats.html"
    write_page(found, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    assert "http://" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    assert "<script" not in text
    assert "\x1b" not in text
    assert text.count('alt="mean picture"') == len({*answers[:5], *answers[6:]})
    assert text.count("<svg") == 1
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    again = tmp_path / "again.html"
    write_page(found, again)
    assert again.read_bytes() == page.read_bytes()


def test_a_page_of_one_file_without_tokens(tmp_path, golden):
    found = collect_statistics(golden / "five.json", PUBLISHED)
    write_page(found, tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "the file" in text
    assert "<svg" not in text


def test_a_page_of_many_answers_says_what_it_leaves_out(tmp_path):
    many = 90
    some = records(pictures(np.random.default_rng(1), many), [f"answer {n}" for n in range(many)])
    found = collect_statistics(write_layout(tmp_path, "json", {"train": some}), PUBLISHED)
    write_page(found, tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert text.count('class="answer"') == 40
    assert "50 more are not shown" in text
    assert f"Of the first {MAX_MEANS} answers alone, of {many}." in text


def test_answers_stand_in_the_order_people_count():
    answers = ["b", "10", "9", "a2", "a10", "", "²", "9" * 5000]
    assert sorted(answers, key=natural) == ["", "9", "10", "9" * 5000, "a2", "a10", "b", "²"]


def test_without_the_packages_of_pages_the_extra_is_named(tmp_path, golden, monkeypatch):
    found = collect_statistics(golden / "five.json", PUBLISHED)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(GlyphsightError, match=r"not installed: jinja2.*glyphsight\[train\]"):
        write_page(found, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()
