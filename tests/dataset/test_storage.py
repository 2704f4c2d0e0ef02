import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import glyphsight
from glyphsight.dataset import Prompt, Record, load_dataset, write_records
from glyphsight.dataset.layouts import get_output
from glyphsight.dataset.storage import read_info, to_record
from glyphsight.errors import DatasetError

GOOD = '{"size": "1", "ASCII_image": "<row:1>█</row:1>\\n", "Response": "1"}'


def test_the_example_is_read_as_it_was_published(golden):
    (record,) = load_dataset(golden / "as-published.json")
    five = (golden / "five.txt").read_text(encoding="utf-8")
    assert record == Record((five,), "5", size="20")


def test_written_back_it_is_the_mended_file_byte_for_byte(golden, tmp_path):
    records = load_dataset(golden / "as-published.json")
    assert write_records(records, tmp_path / "five.json") == 1
    assert (tmp_path / "five.json").read_bytes() == (golden / "five.json").read_bytes()
    assert load_dataset(golden / "five.json") == records


def test_a_record_made_from_the_picture_is_the_published_one(golden, tmp_path):
    record = Record(glyphsight.encode(golden / "five.png"), "5", size="20")
    write_records([record], tmp_path / "five.json")
    assert (tmp_path / "five.json").read_bytes() == (golden / "five.json").read_bytes()


@given(st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]))] * 3)))
def test_whatever_is_written_is_read_back(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("records") / "x.json"
    records = [Record((picture,), answer, size=size) for size, picture, answer in values]
    assert write_records(iter(records), path) == len(records)
    assert load_dataset(path) == records


@pytest.mark.parametrize(
    "text",
    [
        f"[{GOOD},]",
        f"[{GOOD},\n]\n\n",
        f"\ufeff[{GOOD}]",
        f"  [\r\n{GOOD}\r\n]",
        f'[{GOOD[:-1]}, "note": "a further key"}}]',
    ],
    ids=["comma", "comma and lines", "BOM", "CRLF", "further key"],
)
def test_small_slips_are_forgiven(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_bytes(text.encode())
    assert load_dataset(path) == [Record("<row:1>█</row:1>\n", "1", size="1")]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "not JSON at line 1 column 1 (Expecting value)"),
        (b"\0\0", "not JSON at line 1 column 1"),
        (b'[\n  {"size": "20",}\n]', "not JSON at line 2 column 17"),
        (b"[1,,]", "not JSON at line 1 column 4"),
        (f"[{GOOD}".encode(), "not JSON at line 1"),
        (f"[{GOOD}]".encode("utf-16"), "not UTF-8 at byte 0; give a text file, in UTF-8"),
        ('["é"]'.encode("latin-1"), "not UTF-8 at byte 2; give a text file, in UTF-8"),
        (
            '["é"]'.encode()[:3],
            "ends inside a character, at byte 2: it was cut off; write it again",
        ),
        (b"[" * 100_000, "nested too deeply for a dataset; make records flat"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply for a dataset"),
        (b'{"a":' * 100_000, "nested too deeply for a dataset"),
        (b"[" + b"1" * 5000 + b"]", "a number too long to read; quote it"),
        (GOOD.encode(), "holds an object, a dataset is an array"),
        (b'"text"', "holds a string, a dataset is an array"),
        (b"20", "holds a number, a dataset is an array"),
        (b"null", "holds null, a dataset is an array"),
        (b"true", "holds a boolean, a dataset is an array"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_dataset_gives_one_clear_line(tmp_path, data, complaint):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (
            "[]",
            "record 2: an array in place of an object; give one with the keys size, ",
        ),
        ("null", "record 2: null in place of an object"),
        ('{"size": "20"}', "record 2: key 'ASCII_image' is missing"),
        (GOOD.replace('"1",', "1,"), "record 2: 'size' is a number, must be a string; quote it"),
        (GOOD.replace('"1"}', "null}"), "record 2: 'Response' is null, must be a string"),
        (GOOD.replace('"1"}', '["1"]}'), "record 2: 'Response' is an array, must be a string"),
        (GOOD.replace('"1",', "[1],"), "record 2: 'size' holds a number, must hold strings"),
        (GOOD[:-1] + ', "Question": 1}', "record 2: 'Question' is a number, must be a string"),
    ],
)
def test_a_wrong_record_is_named_by_its_number(tmp_path, record, complaint):
    path = tmp_path / "x.json"
    path.write_text(f"[{GOOD}, {record}]", encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(f"{path}: {complaint}")


def test_a_directory_gives_the_split_that_is_asked_for(digits):
    assert load_dataset(digits) == load_dataset(digits, "train")
    assert load_dataset(digits, "test") == load_dataset(digits / "test.json")
    with pytest.raises(DatasetError, match=r"train\.json: a file has no splits; .* 'test'"):
        load_dataset(digits / "train.json", "test")
    assert load_dataset(str(digits)) == glyphsight.load_dataset(digits)


def test_what_is_not_there_is_named(digits, tmp_path):
    with pytest.raises(DatasetError, match=r"nothing\.json: no such file"):
        load_dataset(tmp_path / "nothing.json")
    with pytest.raises(DatasetError, match="has no dataset in it; make it with glyphsight dataset"):
        load_dataset(tmp_path)
    with pytest.raises(DatasetError, match="has no split 'x'; it has train, validation, test"):
        load_dataset(digits, "x")


def test_an_unfinished_build_is_no_dataset(tmp_path):
    (tmp_path / "train.json").write_text(f"[{GOOD}]", "utf-8")
    (tmp_path / "manifest.json").write_text("{}", "utf-8")
    (tmp_path / ".build").mkdir()
    (tmp_path / ".build" / "plan.json").write_text('"a hash"', "utf-8")
    assert len(load_dataset(tmp_path)) == 1  # the rebuild has not begun to write
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(DatasetError, match="an unfinished build; give the same dataset build"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path / "train.json")) == 1


@pytest.mark.parametrize("layout", ["jsonl", "chat"])
def test_a_record_is_read_in_the_wording_it_was_written_in(tmp_path, layout):
    wordings = [Prompt(answer=" {Response}"), Prompt(answer=" {Response}.")]
    picture = "<row:1>█</row:1>\n"
    records = [Record(picture, f"A cat, {number}.", size="1") for number in range(7)]
    output = get_output(layout)
    with (tmp_path / "train.jsonl").open("wb") as stream:
        output.write(records, stream, wordings)
    manifest = {
        "glyphsight": "1",
        "wordings": [vars(wording) for wording in wordings],
        "files": {
            "train": [
                {"name": "train.jsonl", "records": 7},
                {"name": "train.sources.txt", "records": 7},
            ]
        },
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert load_dataset(tmp_path) == load_dataset(tmp_path / "train.jsonl") == records
    manifest["files"] = {"train": [{"name": 1}]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(DatasetError, match="files in its manifest: damaged"):
        load_dataset(tmp_path)


def test_the_wordings_take_turns_from_shard_to_shard(tmp_path):
    first, second = Prompt(answer=" {Response}"), Prompt(answer=" {Response}.")
    names = [f"data/train-{number:05}-of-00002.tabs" for number in range(2)]
    manifest = {
        "glyphsight": "1",
        "wordings": [vars(first), vars(second)],
        "files": {"train": [{"name": name, "records": 3} for name in names]},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    info = read_info(tmp_path)
    said = {"prompt": "<row:1>█</row:1>\nResponse:", "completion": " A cat."}
    read = [
        to_record(said, "", info.wordings_of(tmp_path / name, number)).answer
        for name in names
        for number in (1, 2, 3)
    ]
    assert read == ["A cat.", "A cat"] * 3
