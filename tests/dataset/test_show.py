from dataclasses import replace

import numpy as np
import pytest
from layouts import LAYOUTS, asking, pictures, records, write_layout

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import get_format
from glyphsight.console import printable
from glyphsight.dataset.inspect.show import (
    caption_lines,
    choose_items,
    columns_of,
    picture_lines,
    show_lines,
    side_by_side,
)
from glyphsight.errors import DatasetError


@pytest.fixture
def made():
    return records(pictures(np.random.default_rng(0), 40), ["a", "b"] * 20)


def numbers(items):
    return [item.number for item in items]


def test_a_draw_is_random_in_order_and_the_same_for_the_same_seed(tmp_path, made):
    path = write_layout(tmp_path, "json", {"train": made, "test": made[:3]})
    drawn = numbers(choose_items(path, number=10))
    assert drawn == sorted(drawn)
    assert len(set(drawn)) == 10
    assert drawn == numbers(choose_items(path, number=10))
    assert drawn != numbers(choose_items(path, number=10, seed=1))
    often = [n for seed in range(200) for n in numbers(choose_items(path, number=10, seed=seed))]
    assert {often.count(n) for n in range(1, 41)} <= set(range(25, 76))
    assert numbers(choose_items(path, split="test")) == [1, 2, 3]
    assert all(n % 2 == 0 for n in numbers(choose_items(path, label="b")))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_record_is_found_by_its_number_in_any_layout(tmp_path, made, layout):
    path = write_layout(tmp_path, layout, {"train": made}, shard=15)
    (item,) = choose_items(path, index=33)
    assert item.record.picture == made[32].picture
    assert item.record.answer == made[32].answer
    sharded = layout in ("parquet", "hub")
    assert item.number == (3 if sharded else 33)
    assert item.record.source == ("made:32" if sharded else "")
    lines = list(show_lines([item], PUBLISHED, 80))
    captions = ["a"] + ([*("train-00002-of-0", "0003.parquet 3"), "made:32"] * sharded)
    assert lines[6:] == (captions if sharded else ["a", f"{item.file.name} 33"])


def test_the_source_is_read_from_the_file_beside_the_data(tmp_path, made):
    path = write_layout(tmp_path, "json", {"train": made})
    (path / "train.sources.txt").write_text("".join(f"{record.source}\n" for record in made))
    assert choose_items(path, index=5)[0].record.source == "made:4"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"index": 41}, "split train: has 40 records, there is no number 41"),
        ({"label": "c"}, "split train: holds no record that answers 'c'"),
        ({"split": "dev"}, "has no split 'dev'"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, made, options, complaint):
    path = write_layout(tmp_path, "json", {"train": made})
    with pytest.raises(DatasetError, match=complaint):
        choose_items(path, **options)


def test_an_empty_file_holds_nothing_to_show(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"x\.json: holds no record"):
        choose_items(tmp_path / "x.json")


@pytest.mark.parametrize("palette", [" ▓█", "⬛🟫⬜", "0123", " .漢"])
@pytest.mark.parametrize("width", [1, 40, 80, 200])
def test_pictures_stand_side_by_side_within_the_terminal(tmp_path, palette, width):
    grids = pictures(np.random.default_rng(1), 9, levels=len(palette))
    some = records(grids, ["answer"] * 9, palette=palette)
    path = write_layout(tmp_path, "json", {"train": some}, profile=Profile(8, palette))
    items = choose_items(path, number=9)
    lines = list(show_lines(items, Profile(8, palette), width))
    rows_of = [row for grid in grids for row in grid.tolist()]
    rows_wide = [columns_of("".join(palette[level] for level in row)) for row in rows_of]
    block = max(len("train.json 1"), *rows_wide)
    across = max(1, (width + 3) // (block + 3))
    assert max(map(columns_of, lines)) <= max(width, block)
    rows = -(-9 // across)
    assert len(lines) == rows * (6 + 2) + rows - 1
    answers = [line for line in lines if "answer" in line]
    assert sum(line.count("answer") for line in answers) == 9
    assert answers[0] == (" " * (block - 3)).join(["answer"] * min(across, 9))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_picture_and_the_question_of_a_record_are_shown(tmp_path, layout):
    made = asking(np.random.default_rng(0), 3)
    path = write_layout(tmp_path, layout, {"train": made})
    one, two, none = choose_items(path)
    assert [len(picture_lines(item, PUBLISHED)) for item in (one, two, none)] == [6, 13, 0]
    assert picture_lines(two, PUBLISHED)[6] == ""
    assert caption_lines(none, 40)[:2] == ["Question 2?", "answer number 2"]
    raw = picture_lines(two, PUBLISHED, raw=True)
    assert raw[7].startswith("<row:1>")


def test_formats_are_shown_as_pictures_and_with_raw_as_they_are(made, tmp_path):
    grid = np.array([[0, 1], [2, 0]], dtype=np.uint8)
    text = get_format("coords").render_batch(grid[None], " ▓█")[0]
    profile = Profile(2, format="coords")
    some = [replace(made[0], pictures=text, size="2")]
    path = write_layout(tmp_path, "json", {"train": some}, profile=profile)
    items = choose_items(path)
    assert list(show_lines(items, profile, 80))[:2] == [" ▓", "█"]
    assert list(show_lines(items, profile, 80, raw=True))[:3] == ["2x2", "1: 1,0", "2: 0,1"]


def test_what_cannot_be_read_is_shown_with_the_reason(tmp_path, made):
    path = tmp_path / "x.json"
    path.write_text(
        '[{"size": "2", "ASCII_image": "x\\u001b[2Jy", "Response": "a"}, {"size": "2"}]'
    )
    text = "\n".join(show_lines(choose_items(path), PUBLISHED, 200))
    assert "x\\x1b[2Jy" in text
    assert "[line 1: column 7: the last line does no" in text
    assert "[key 'ASCII_image' is missing; add it]" in text
    assert "(no record)" in text
    assert "\x1b" not in text


def test_long_answers_are_folded_and_control_characters_written_out(tmp_path, made):
    long = replace(made[0], answer="word " * 40, source="")
    odd = replace(made[1], answer="\x1b[31m\n漢字" + "漢" * 10, source="a/\x07b.png")
    path = write_layout(tmp_path, "parquet", {"train": [long, odd]})
    first, second = choose_items(path)
    lines = caption_lines(first, 20)
    assert len(lines) == 4 + 2
    assert lines[3].endswith("…")
    lines = caption_lines(second, 16)
    assert "".join(lines).startswith("\\x1b[31m\\n漢字漢漢")
    assert lines[-1] == "a/\\x07b.png"
    assert all(columns_of(line) <= 16 for line in lines)


def test_layout_of_blocks():
    blocks = [(["ab", "c"], ["1"]), (["d"], ["2", "two"]), (["⬛"], ["3"]), (["", "e"], [""])]
    assert list(side_by_side(blocks, 9)) == [
        *("ab    d", "c", "1     2", "      two", ""),
        *("⬛", "      e", "3"),
    ]
    alone = ["ab", "c", "1", "", "d", "2", "two", "", "⬛", "3", "", "", "e", ""]
    assert list(side_by_side(blocks, 1)) == alone
    assert list(side_by_side([], 80)) == []


def test_columns_and_what_a_terminal_may_see():
    assert columns_of("e\u0301漢") == 3
    assert printable("a\tb\ud800é漢") == "a\\tb\\ud800é漢"
