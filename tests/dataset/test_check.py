import json
from dataclasses import replace

import numpy as np
import pytest
from layouts import LAYOUTS, asking, pictures, records, write_layout

from glyphsight.codec import Profile
from glyphsight.codec.formats import get_format
from glyphsight.dataset import CheckReport, Problem, Prompt, check_dataset
from glyphsight.dataset.inspect.check import Window
from glyphsight.errors import DatasetError

WORDINGS = (Prompt(), Prompt("Which?\n{ASCII_image}", "It is {Response}.", "You read pictures."))


@pytest.fixture
def good(golden):
    return json.loads((golden / "five.json").read_bytes())[0]


@pytest.fixture
def made():
    """Forty records of random pictures with the answers a and b."""
    return records(pictures(np.random.default_rng(0), 40), ["a", "b"] * 20)


def check_one(tmp_path, record):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([record]), encoding="utf-8")
    report = check_dataset(path)
    assert report.records == {str(path): 1}
    assert report.spoilt == ({str(path): 1} if report.problems else {})
    return report.problems


def kinds(report):
    """Split and number of the records at fault, by kind."""
    found = {}
    for problem in report.problems:
        name = problem.file.rsplit("/", 1)[-1].split(".")[0].split("-")[0]
        found.setdefault(problem.kind, []).append((name, problem.record))
    return found


def test_a_good_dataset_has_no_problems(digits, golden):
    assert check_dataset(digits) == CheckReport(
        records={
            str(digits / "train.json"): 120,
            str(digits / "validation.json"): 60,
            str(digits / "test.json"): 60,
        }
    )
    for name in ("five.json", "as-published.json"):
        assert check_dataset(golden / name) == CheckReport(records={str(golden / name): 1})


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"size": 20}, "record", "'size' is a number, must be a string; quote it"),
        ({"size": "21"}, "size", "'size' says '21', the rows are 20 glyphs wide"),
        ({"size": "020"}, "size", "'size' says '020', the rows are 20 glyphs wide"),
        ({"Response": None}, "record", "'Response' is null, must be a string; quote it"),
        ({"Response": " "}, "answer", "'Response' is empty"),
        ({"Response": "\ud800"}, "record", "holds U+D800, which is no character; write it again"),
        ({"ASCII_image": [1]}, "record", "'ASCII_image' holds a number, must hold strings"),
        ({"ASCII_image": ""}, "picture", "'ASCII_image' the text is empty; "),
        ({"ASCII_image": "five"}, "picture", "'ASCII_image' line 1: column 5: the last line does"),
        (
            {"ASCII_image": "<row:2>█</row:2>\n"},
            "picture",
            "'ASCII_image' line 1: column 1: not a <row:1>...</row:1> line: '<row:2>",
        ),
        (
            {"ASCII_image": "<row:1>x</row:1>\n"},
            "picture",
            "'ASCII_image' line 1: column 8: glyph 'x' is not one of",
        ),
        (
            {"ASCII_image": "<row:1>█</row:1>\n<row:2>██</row:2>\n"},
            "picture",
            "'ASCII_image' line 2: column 9: 2 glyphs in the row, expected 1",
        ),
        ({"id": "1"}, "record", "keys are size, ASCII_image, Response, id; the format has exactly"),
    ],
)
def test_each_kind_of_problem_is_found(tmp_path, good, change, kind, reason):
    (problem,) = check_one(tmp_path, good | change)
    assert (problem.record, problem.kind) == (1, kind)
    assert problem.file == str(tmp_path / "x.json")
    assert problem.reason.startswith(reason)
    assert str(problem) == f"{tmp_path / 'x.json'}: record 1: {problem.reason}"


@pytest.mark.parametrize("key", ["size", "ASCII_image", "Response"])
def test_a_missing_key_is_found(tmp_path, good, key):
    del good[key]
    assert [problem.reason for problem in check_one(tmp_path, good)] == [
        f"key {key!r} is missing; add it"
    ]


def test_keys_in_another_order_are_found(tmp_path, good):
    turned = dict(reversed(good.items()))
    (problem,) = check_one(tmp_path, turned)
    assert problem.reason.startswith("keys are Response, ASCII_image, size; the format has exactly")


@pytest.mark.parametrize("record", [None, 5, "text", [], True])
def test_a_record_that_is_no_object_is_found(tmp_path, record):
    (problem,) = check_one(tmp_path, record)
    assert "give one with the keys size, ASCII_image, Response" in problem.reason


def test_every_problem_of_every_record_is_told_with_its_number(tmp_path, good):
    path = tmp_path / "x.json"
    both = good | {"size": "1", "Response": ""}
    path.write_text(json.dumps([both, good, None]), encoding="utf-8")
    report = check_dataset(path)
    assert [(problem.kind, problem.record) for problem in report.problems] == [
        ("answer", 1),
        ("size", 1),
        ("record", 3),
        ("contradiction", 2),
    ]
    assert report.records == {str(path): 3}
    assert report.spoilt == {str(path): 3}


def test_only_so_many_problems_are_kept_and_all_are_counted(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([None] * 5000), encoding="utf-8")
    report = check_dataset(path, keep=3)
    assert [problem.record for problem in report.problems] == [1, 2, 3]
    assert report.found == {"record": 5000}
    assert report.spoilt == {str(path): 5000}


def test_one_spoilt_split_does_not_hide_the_others(tmp_path, good):
    (tmp_path / "train.json").write_bytes(b"\xff")
    (tmp_path / "validation.json").write_text("[]", encoding="utf-8")
    (tmp_path / "test.json").write_text(json.dumps([good, 1]), encoding="utf-8")
    report = check_dataset(tmp_path)
    assert report.problems[:2] == [
        Problem(
            str(tmp_path / "train.json"),
            0,
            "not UTF-8 at byte 0; give a text file, in UTF-8",
            "file",
        ),
        Problem(str(tmp_path / "validation.json"), 0, "holds no record", "file"),
    ]
    assert str(report.problems[0]).startswith(f"{tmp_path / 'train.json'}: not UTF-8")
    last = report.problems[2]
    assert (last.file, last.record) == (str(tmp_path / "test.json"), 2)
    assert report.records == {str(tmp_path / "validation.json"): 0, str(tmp_path / "test.json"): 2}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.json", b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        ("x.json", b'{"a": 1}', "holds an object, a dataset is an array"),
        ("x.json", b"", "not JSON at line 1 column 1"),
        ("x.json", b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8 at byte 0"),
        ("x.json", b"[1e]", "not JSON at line 1"),
        ("x.json", b"[" + b"9" * 5000 + b"]", "a number too long to read"),
        ("x.jsonl", b"", "is empty"),
        ("x.jsonl", b'{"prompt": "\xff"}\n', "not UTF-8 at byte 12 of line 1"),
        ("x.jsonl", b'{"a": ' * 100_000 + b"1\n", "line 1: nested too deeply"),
        ("x.parquet", b"PAR1 no more", "no whole Parquet file"),
        ("x.parquet", b"", "no whole Parquet file"),
        ("x.txt", b"five", "not JSON at line 1 column 1"),
    ],
)
def test_a_broken_file_is_one_problem(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    (problem,) = check_dataset(path).problems
    assert (problem.file, problem.record, problem.kind) == (str(path), 0, "file")
    assert reason in problem.reason
    assert "\n" not in str(problem)


def test_what_comes_before_a_break_is_checked_and_the_rest_is_not_passed_over(tmp_path, made):
    write_layout(tmp_path, "jsonl", {"train": made})
    path = tmp_path / "train.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([b"7\n", *lines[1:3], b"{\n", *lines[4:]]))
    first, second = check_dataset(path).problems
    assert first.record == 1
    assert second.reason.startswith("not JSON at line 4 column")
    assert second.reason.endswith("; nothing after record 3 was looked at")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_checked_alike(tmp_path, made, layout):
    train, test = made[:30], made[30:]
    path = write_layout(
        tmp_path, layout, {"train": train, "test": test}, wordings=WORDINGS, shard=8
    )
    report = check_dataset(path)
    assert (report.problems, report.notes) == ([], [])
    assert sum(report.records.values()) == 40
    torn = replace(train[9], pictures=train[9].picture.replace("</row:2>", "</row:3>"))
    test[3] = replace(test[3], answer=" ")
    test[4] = replace(test[4], answer="c")
    test[5] = replace(train[20], source="again")
    test[6] = replace(train[21], answer="a")
    train[9] = torn
    write_layout(path, layout, {"train": train, "test": test}, wordings=WORDINGS, shard=8)
    report = check_dataset(path)
    sharded = layout in ("parquet", "hub")
    assert kinds(report) == {
        "picture": [("train", 2 if sharded else 10)],
        "answer": [("test", 4), ("test", 5)],
        "contradiction": [("test", 7)],
        "leak": [("test", 6)],
    }
    if sharded:
        assert report.problems[0].file.endswith("data/train-00001-of-00004.parquet")
        where = "train-00002-of-00004.parquet: record 5"
    else:
        where = f"train.{'json' if layout == 'json' else 'jsonl'}: record 21"
    leak = next(problem for problem in report.problems if problem.kind == "leak")
    assert f"{where} of split train has the same picture and answer" in leak.reason


@pytest.mark.parametrize("layout", LAYOUTS)
def test_questions_and_any_number_of_pictures_are_checked_alike(tmp_path, layout):
    made = asking(np.random.default_rng(0), 30)
    path = write_layout(tmp_path, layout, {"train": made[:20], "test": made[20:]})
    report = check_dataset(path)
    assert (report.problems, report.notes) == ([], [])
    second = made[4].pictures[1].replace("</row:2>", "</row:3>")
    made[4] = replace(made[4], pictures=(made[4].pictures[0], second))
    made[7] = replace(made[7], size="8 9")
    made[22] = replace(made[3], answer="otherwise")  # the same picture and question
    made[23] = replace(made[3], question="Another question?", answer="otherwise")
    made[24] = replace(made[5], source="again")  # without a picture, as "Draw a 7" is
    made[25] = replace(made[5], answer="another drawing of it")
    write_layout(path, layout, {"train": made[:20], "test": made[20:]})
    assert kinds(check_dataset(path)) == {
        "picture": [("train", 5)],
        "size": [("train", 8)],
        "contradiction": [("test", 3)],
        "leak": [("test", 5)],
    }
    [problem] = [one for one in check_dataset(path).problems if one.kind == "picture"]
    assert problem.reason.startswith("'ASCII_image' picture 2 line 2: column")


def test_two_open_answers_to_one_picture_are_a_note(tmp_path, made):
    told = [replace(record, answer=f"a drawing of {n}") for n, record in enumerate(made)]
    told[7] = replace(told[2], answer="another text on it")
    path = write_layout(tmp_path, "json", {"train": told})
    report = check_dataset(path)
    assert report.problems == []
    assert [(note.record, note.kind, note.reason) for note in report.notes] == [
        (8, "contradiction", "answers otherwise than record 3")
    ]
    assert check_dataset(path, strict=True).found == {"contradiction": 1}


def test_records_of_the_wrong_form_are_told_in_every_layout(tmp_path, made):
    rows = [
        {"prompt": 1, "completion": " a"},
        {"prompt": "no picture in it", "completion": " a"},
        {"messages": "hello"},
        {"messages": [{"role": "user", "content": "x"}]},
        {"other": 1},
        {"prompt": "<row:1>x</row:1>\nResponse:", "completion": " a"},
        {"prompt": "plain\nResponse:", "completion": " a"},
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    problems = check_dataset(tmp_path).problems
    assert [problem.record for problem in problems] == [1, 2, 3, 4, 5, 6, 7]
    for problem, reason in zip(
        problems,
        [
            "'prompt' is a number, must be a string",
            "its words are none of the known wordings",
            "'messages' is a string, must be an array",
            "the messages are of user; give one of user, then one of assistant",
            "has the keys other; give it size, ASCII_image, Response",
            "the picture line 1: column 8: glyph 'x' is not one of",
            "the picture line 1: column 1: not a <row:1>",
        ],
        strict=True,
    ):
        assert problem.reason.startswith(reason)


@pytest.mark.parametrize(
    ("form", "palette"), [("plain", " .:#"), ("rle", " abc"), ("braille", " #"), ("hex", " .:#")]
)
def test_any_format_and_palette_is_read_as_the_manifest_or_the_caller_says(tmp_path, form, palette):
    grids = pictures(np.random.default_rng(1), 12, rows=8, levels=len(palette))
    texts = get_format(form).render_batch(grids, palette)
    width = 4 if form == "braille" else 8
    some = [
        replace(record, pictures=text, size=str(width))
        for record, text in zip(records(grids * 0, ["a", "b"] * 6), texts, strict=True)
    ]
    profile = Profile(width=width, palette=palette, format=form)
    path = write_layout(tmp_path, "json", {"train": some}, profile=profile)
    assert check_dataset(path).problems == []
    assert check_dataset(path / "train.json").problems == []
    (path / "manifest.json").unlink()
    assert check_dataset(path, profile).problems == []
    assert check_dataset(path).found["picture"] == 12


def test_given_labels_are_all_that_may_be_answered(tmp_path, made):
    path = write_layout(tmp_path, "json", {"train": made[:4], "test": made[4:6]})
    assert check_dataset(path, labels=["a", "b", "c"]).problems == []
    report = check_dataset(path, labels=["a"])
    assert kinds(report) == {"answer": [("train", 2), ("train", 4), ("test", 2)]}
    assert report.problems[0].reason == "'Response' 'b' is none of the labels given"


def test_free_text_need_not_be_answered_in_training(tmp_path, made):
    told = [replace(record, answer=f"picture {n}") for n, record in enumerate(made)]
    path = write_layout(tmp_path, "json", {"train": told[:20], "test": told[20:]})
    assert check_dataset(path).problems == []


def test_copies_and_repeats_do_not_make_free_text_into_labels(tmp_path, made):
    told = [replace(record, answer=f"picture {n}") for n, record in enumerate(made)]
    other = records(pictures(np.random.default_rng(1), 10), [r.answer for r in told[:10]])
    copies = [
        replace(copy, source=f"{record.source} copy 1")
        for copy, record in zip(other, told, strict=False)
    ]
    for name, train in (("copied", told[:10] + copies), ("repeated", told[:10] * 2)):
        path = tmp_path / name
        path.mkdir()
        write_layout(path, "parquet", {"train": train, "test": told[30:]})
        assert check_dataset(path).problems == []


def test_an_unreadable_training_split_says_nothing_of_its_answers(tmp_path, made):
    path = write_layout(tmp_path, "jsonl", {"train": made[:20], "test": made[20:]})
    with (path / "train.jsonl").open("ab") as stream:
        stream.write(b"{\n")
    (path / "test.jsonl").write_bytes((path / "test.jsonl").read_bytes().replace(b'" a"', b'" x"'))
    assert list(check_dataset(path).found) == ["file"]


def test_one_picture_with_two_answers_is_a_problem_within_a_split_too(tmp_path, made):
    made[7] = replace(made[2], answer="b")
    path = write_layout(tmp_path, "json", {"train": made})
    (problem,) = check_dataset(path).problems
    assert (problem.kind, problem.record) == ("contradiction", 8)
    assert problem.reason == "answers 'b', the same picture in record 3 answers 'a'"


def test_repeats_within_a_split_are_a_note_and_with_strict_problems(tmp_path, made):
    made[7], made[9], made[11] = made[1], made[1], made[3]
    path = write_layout(tmp_path, "json", {"train": made})
    report = check_dataset(path)
    assert report.problems == []
    (note,) = report.notes
    assert (note.kind, note.record) == ("duplicate", 8)
    assert note.reason == (
        "repeats the picture and answer of record 2; "
        "3 records of split train repeat one before them"
    )
    strict = check_dataset(path, strict=True)
    assert strict.notes == []
    assert [(p.record, p.reason.split()[-1]) for p in strict.problems] == [
        (8, "2"),
        (10, "2"),
        (12, "4"),
    ]
    assert strict.found == {"duplicate": 3}
    assert strict.spoilt == {str(path / "train.json"): 3}


def test_a_picture_that_looks_like_one_of_another_split_is_a_note(tmp_path):
    grids = np.zeros((4, 24, 24), dtype=np.uint8)
    for number, grid in enumerate(grids):
        grid[4 * number : 4 * number + 6, 6 + number : 18] = 2
    train, near = records(grids, ["a", "b"] * 2), records(grids[2:3] // 2, ["a"])
    path = write_layout(tmp_path, "json", {"train": train, "test": near})
    report = check_dataset(path)
    assert report.problems == []
    (note,) = report.notes
    assert note.kind == "look-alike"
    assert note.reason == f"looks like {path / 'train.json'}: record 3"
    assert check_dataset(path, strict=True).found == {"look-alike": 1}


def test_grids_of_several_sizes_are_a_note(tmp_path, made):
    other = records(pictures(np.random.default_rng(2), 3, rows=4, columns=5), ["a"] * 3)
    path = write_layout(tmp_path, "json", {"train": [*made, *other]})
    (note,) = check_dataset(path).notes
    assert (note.kind, note.reason) == (
        "sizes",
        "grids of 2 sizes, most often 8x6 (40), 5x4 (3)",
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_records_longer_than_a_models_window_are_found(tmp_path, made, layout):
    large = records(pictures(np.random.default_rng(3), 1, rows=20, columns=40), ["a"])
    path = write_layout(tmp_path, layout, {"train": [*made, *large]})
    seen = []

    def count(pairs):
        seen.extend(pairs)
        return [sum(map(len, pair)) for pair in pairs]

    report = check_dataset(path, window=Window("toy", 900, count))
    (problem,) = report.problems
    assert (problem.kind, problem.record) == ("window", 41)
    length = len(large[0].picture) + len("Response: a")
    assert problem.reason.startswith(f"{length} tokens, toy takes 900; its answer would be cut")
    assert seen == [Prompt().pair(large[0])]  # what is short in bytes is not counted


def test_a_list_of_sources_of_another_length_is_a_problem(tmp_path, made):
    path = write_layout(tmp_path, "json", {"train": made})
    (path / "train.sources.txt").write_text("one\ntwo\n")
    (problem,) = check_dataset(path).problems
    assert problem.reason == "train.sources.txt has 2 lines for 40 records"


def test_nothing_to_check_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="nowhere: no such file or directory"):
        check_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="has no dataset in it"):
        check_dataset(tmp_path)


@pytest.mark.parametrize(
    "manifest", ["{", "[]", '{"profile": 3}', '{"profile": {"width": 0}}', '{"profile": {"x": 1}}']
)
def test_a_damaged_manifest_is_named(tmp_path, made, manifest):
    path = write_layout(tmp_path, "json", {"train": made})
    (path / "manifest.json").write_text(manifest)
    with pytest.raises(DatasetError, match="manifest"):
        check_dataset(path)
