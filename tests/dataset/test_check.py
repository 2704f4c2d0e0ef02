import json

import pytest

from glyphsight.dataset import Problem, check_dataset
from glyphsight.errors import DatasetError


@pytest.fixture
def good(golden):
    return json.loads((golden / "five.json").read_bytes())[0]


def check_one(tmp_path, record):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([record]), encoding="utf-8")
    problems, counts = check_dataset(path)
    assert counts == {str(path): 1}
    return problems


def test_a_good_dataset_has_no_problems(digits, golden):
    problems, counts = check_dataset(digits)
    assert problems == []
    assert counts == {
        str(digits / "train.json"): 120,
        str(digits / "validation.json"): 60,
        str(digits / "test.json"): 60,
    }
    for name in ("five.json", "as-published.json"):
        assert check_dataset(golden / name) == ([], {str(golden / name): 1})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": 20}, "'size' is a number, must be a string; quote it"),
        ({"size": "21"}, "'size' says '21', the rows are 20 glyphs wide"),
        ({"size": "020"}, "'size' says '020', the rows are 20 glyphs wide"),
        ({"Response": None}, "'Response' is null, must be a string; quote it"),
        ({"Response": " "}, "'Response' is empty"),
        ({"ASCII_image": ["row"]}, "'ASCII_image' is an array, must be a string; quote it"),
        ({"ASCII_image": ""}, "'ASCII_image' the text is empty; "),
        ({"ASCII_image": "five"}, "'ASCII_image' line 1: column 5: the last line does not end"),
        (
            {"ASCII_image": "<row:2>█</row:2>\n"},
            "'ASCII_image' line 1: column 6: row tags say 2 and 2",
        ),
        (
            {"ASCII_image": "<row:1>x</row:1>\n"},
            "'ASCII_image' line 1: column 8: glyph 'x' is not in",
        ),
        ({"id": "1"}, "keys are size, ASCII_image, Response, id; the format has exactly"),
    ],
)
def test_each_kind_of_problem_is_found(tmp_path, good, change, reason):
    (problem,) = check_one(tmp_path, good | change)
    assert problem.record == 1
    assert problem.file == str(tmp_path / "x.json")
    assert problem.reason.startswith(reason)
    assert str(problem) == f"{tmp_path / 'x.json'}: record 1: {problem.reason}"


@pytest.mark.parametrize("key", ["size", "ASCII_image", "Response"])
def test_a_missing_key_is_found(tmp_path, good, key):
    del good[key]
    assert [problem.reason for problem in check_one(tmp_path, good)] == [f"key {key!r} is missing"]


def test_keys_in_another_order_are_found(tmp_path, good):
    turned = dict(reversed(good.items()))
    (problem,) = check_one(tmp_path, turned)
    assert problem.reason.startswith("keys are Response, ASCII_image, size; the format has exactly")


@pytest.mark.parametrize("record", [None, 5, "text", [], True])
def test_a_record_that_is_no_object_is_found(tmp_path, record):
    (problem,) = check_one(tmp_path, record)
    assert "where an object with the keys size, ASCII_image, Response belongs" in problem.reason


def test_every_problem_of_every_record_is_told_with_its_number(tmp_path, good):
    path = tmp_path / "x.json"
    both = good | {"size": "1", "Response": ""}
    path.write_text(json.dumps([good, both, good, None]), encoding="utf-8")
    problems, counts = check_dataset(path)
    assert [problem.record for problem in problems] == [2, 2, 4]
    assert counts == {str(path): 4}


def test_one_spoilt_split_does_not_hide_the_others(tmp_path, good):
    (tmp_path / "train.json").write_bytes(b"\xff")
    (tmp_path / "validation.json").write_text("[]", encoding="utf-8")
    (tmp_path / "test.json").write_text(json.dumps([good, 1]), encoding="utf-8")
    problems, counts = check_dataset(tmp_path)
    assert problems[:2] == [
        Problem(str(tmp_path / "train.json"), 0, "not UTF-8 at byte 0; save it as UTF-8"),
        Problem(str(tmp_path / "validation.json"), 0, "holds no record"),
    ]
    assert str(problems[0]).startswith(f"{tmp_path / 'train.json'}: not UTF-8")
    assert (problems[2].file, problems[2].record) == (str(tmp_path / "test.json"), 2)
    assert counts == {str(tmp_path / "validation.json"): 0, str(tmp_path / "test.json"): 2}


def test_nothing_to_check_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="nowhere: no such file or directory"):
        check_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"holds none of train\.json, validation\.json"):
        check_dataset(tmp_path)
