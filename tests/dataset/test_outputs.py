import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glyphsight
from glyphsight.codec import Profile
from glyphsight.dataset import Prompt, Record, load_dataset, write_records
from glyphsight.dataset.layouts import LAYOUTS, get_output, join
from glyphsight.dataset.prompt import wordings_from_json
from glyphsight.dataset.record import record_from_json
from glyphsight.dataset.storage import read_records, sources_file, split_files, write_sources
from glyphsight.errors import DatasetError, GlyphsightError

WORDINGS = (
    Prompt(),
    Prompt("What digit is this?\n{ASCII_image}", "It is {Response}.", "You read ASCII pictures."),
    Prompt("{ASCII_image}Answer:", " {Response}\n"),
)
OWN = ["json", "jsonl", "chat", "parquet", "hub"]
SINGLE = ["json", "jsonl", "chat"]


def some(count):
    """Records of made-up pictures, each with its source."""
    pictures = [f"<row:1>{'█' * (i % 3)} ▓</row:1>\n" for i in range(count)]
    return [
        Record(picture, str(i % 10), size=str(i % 3 + 2), source=f"made:{i}")
        for i, picture in enumerate(pictures)
    ]


def write_split(directory, name, records, *, split="train", wordings=WORDINGS[:1], shard=1000):
    """A split as a build writes it: in pieces, joined or not, its wordings in the manifest."""
    directory.mkdir(parents=True, exist_ok=True)
    output = get_output(name)
    pieces = [records[start : start + shard] for start in range(0, len(records), shard)]
    places = []
    for number, piece in enumerate(pieces):
        stem = f"data/{split}-{number:05}-of-{len(pieces):05}" if output.sharded else f"p{number}"
        path = directory / f"{stem}{output.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            wrote = output.write(iter(piece), stream, wordings, number * shard)
        assert wrote == len(piece)
        places.append(path)
    if not output.sharded:
        with (directory / f"{split}{output.suffix}").open("wb") as stream:
            join(output, places, stream)
        for place in places:
            place.unlink()
        if not output.sourced:
            with sources_file(directory / f"{split}{output.suffix}").open("wb") as stream:
                write_sources(records, stream)
    manifest = {"wordings": [vars(wording) for wording in wordings]}
    (directory / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return directory


def rows_of(file):
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_the_projects_own_outputs_have_names_and_a_line_of_help():
    assert LAYOUTS.names()[:5] == OWN
    assert [line.split(":")[0] for line in LAYOUTS.help().splitlines()][:5] == OWN
    with pytest.raises(DatasetError, match="unknown output 'csv'; give one of json, jsonl, chat"):
        get_output("csv")


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_split_written_in_pieces_has_the_bytes_of_one_written_at_once(tmp_path, name, count):
    records = some(count)
    files = []
    for shard in (1, 3, 1000):
        write_split(tmp_path / str(shard), name, records, wordings=WORDINGS, shard=shard)
        files += [(tmp_path / str(shard) / f"train{get_output(name).suffix}").read_bytes()]
    assert files[0] == files[1] == files[2]
    if name == "json":
        write_records(records, tmp_path / "whole.json")
        assert (tmp_path / "whole.json").read_bytes() == files[0]


def test_pieces_without_a_record_do_not_show(tmp_path):
    output = get_output("json")
    for name, records in (("a", some(1)), ("b", []), ("c", some(2)[1:])):
        with (tmp_path / name).open("wb") as stream:
            output.write(records, stream, WORDINGS)
    whole = io.BytesIO()
    join(output, [tmp_path / name for name in "bacb"], whole)
    assert json.loads(whole.getvalue()) == [record.as_json() for record in some(2)]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("wordings", [WORDINGS[:1], WORDINGS], ids=["one", "mixed"])
def test_what_a_layout_was_written_from_is_read_back(tmp_path, name, wordings):
    records = some(20)
    write_split(tmp_path, name, records, wordings=wordings, shard=6)
    write_split(tmp_path, name, records[:4], split="test", wordings=wordings)
    assert load_dataset(tmp_path) == records
    assert load_dataset(tmp_path, "test") == records[:4]
    assert list(split_files(tmp_path)) == ["train", "test"]
    assert len(split_files(tmp_path)["train"]) == (4 if get_output(name).sharded else 1)


@pytest.mark.parametrize("name", OWN)
@settings(deadline=None)
@given(
    st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=20)] * 2),
        max_size=4,
    )
)
def test_any_answer_and_source_survive_every_layout(tmp_path_factory, name, values):
    path = tmp_path_factory.mktemp("any")
    records = [
        Record("<row:1>█</row:1>\n", answer, size="1", source=source) for answer, source in values
    ]
    write_split(path, name, records, wordings=(Prompt(answer="{Response}"),), shard=10)
    if records or name == "json":
        assert load_dataset(path) == records


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
any_record = st.builds(
    lambda pictures, **others: (
        Record(tuple(p for p, _ in pictures), **others)
        if len(pictures) == 1
        else Record(tuple(p for p, _ in pictures), size=" ".join(w for _, w in pictures), **others)
    ),
    st.lists(st.tuples(text, st.integers(1, 99).map(str)), max_size=3),
    answer=text,
    question=text,
    source=text,
)


@pytest.mark.parametrize("name", OWN)
@settings(deadline=None)
@given(st.lists(any_record, min_size=1, max_size=4))
def test_questions_and_any_number_of_pictures_survive_every_layout(tmp_path_factory, name, records):
    path = tmp_path_factory.mktemp("any")
    # A record that the words alone must tell has a picture whose width can be read.
    records = [
        replace(one, pictures=("<row:1>█</row:1>\n",), size="1") if len(one.pictures) == 1 else one
        for one in records
    ]
    write_split(path, name, records, wordings=WORDINGS[1:2], shard=10)
    assert load_dataset(path) == records


def test_a_record_with_more_than_a_picture_has_further_keys(tmp_path):
    picture = "<row:1>█</row:1>\n"
    records = [
        Record(picture, "7", size="1"),
        Record(picture, "yes", "Is it even?", "1"),
        Record((picture, picture), "14", "Their sum?", "1 1"),
        Record((), picture, "Draw a 7."),
    ]
    parts = [
        {"size": "1", "ASCII_image": picture, "Response": "7"},
        {"size": "1", "ASCII_image": picture, "Response": "yes", "Question": "Is it even?"},
        {
            "size": ["1", "1"],
            "ASCII_image": [picture, picture],
            "Response": "14",
            "Question": "Their sum?",
        },
        {"size": [], "ASCII_image": [], "Response": picture, "Question": "Draw a 7."},
    ]
    write_records(records, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == parts
    write_split(tmp_path, "jsonl", records)
    pairs = [{"prompt": asked, "completion": said} for asked, said in map(Prompt().pair, records)]
    assert rows_of(tmp_path / "train.jsonl") == [
        pairs[0],
        *(pair | part for pair, part in zip(pairs[1:], parts[1:], strict=True)),
    ]


@pytest.mark.parametrize("form", ["plain", "trim", "digits", "rle"])
def test_pictures_of_another_format_are_read_with_the_width_of_the_manifest(tmp_path, golden, form):
    text = glyphsight.encode(golden / "five.png", profile=Profile(format=form))
    write_split(tmp_path, "jsonl", [Record(text, "5", size="20")])
    with pytest.raises(DatasetError, match=r"record 1: its picture has no <row:1>.*\"width\": 20"):
        load_dataset(tmp_path)
    (tmp_path / "manifest.json").write_text('{"profile": {"width": 20}}', "utf-8")
    assert load_dataset(tmp_path) == [Record(text, "5", size="20")]
    assert load_dataset(tmp_path / "train.jsonl") == [Record(text, "5", size="20")]


@pytest.mark.parametrize("name", OWN)
def test_text_that_is_not_utf_8_is_named(tmp_path, name):
    records = [*some(2), Record("<row:1>█</row:1>\n", "caf\udce9", size="1")]
    with pytest.raises(DatasetError, match=r"record 8: .*caf\\udce9.* not UTF-8; rename it"):
        get_output(name).write(records, io.BytesIO(), WORDINGS, 5)


def test_sources_are_left_out_where_they_are_not_of_these_records(tmp_path):
    write_split(tmp_path, "json", some(3))
    sources_file(tmp_path / "train.json").write_text("made:0\n", "utf-8")
    assert load_dataset(tmp_path) == [replace(record, source="") for record in some(3)]


def test_a_line_of_jsonl_is_prompt_and_completion_and_nothing_else(tmp_path):
    write_split(tmp_path, "jsonl", some(3), wordings=WORDINGS)
    assert rows_of(tmp_path / "train.jsonl") == [
        {"prompt": "<row:1> ▓</row:1>\nResponse:", "completion": " 0"},
        {
            "prompt": "You read ASCII pictures.\nWhat digit is this?\n<row:1>█ ▓</row:1>\n",
            "completion": "It is 1.",
        },
        {"prompt": "<row:1>██ ▓</row:1>\nAnswer:", "completion": " 2\n"},
    ]


def test_a_chat_line_has_the_shape_the_openai_api_takes(tmp_path):
    write_split(tmp_path, "chat", some(20), wordings=WORDINGS)
    rows = rows_of(tmp_path / "train.jsonl")
    assert len(rows) == 20
    for number, row in enumerate(rows):
        assert list(row) == ["messages"]
        roles = [message["role"] for message in row["messages"]]
        assert roles == (["system"] if number % 3 == 1 else []) + ["user", "assistant"]
        for message in row["messages"]:
            assert list(message) == ["role", "content"]
            assert isinstance(message["content"], str)
            assert message["content"]
    assert rows[0]["messages"] == [
        {"role": "user", "content": "<row:1> ▓</row:1>\nResponse:"},
        {"role": "assistant", "content": "0"},
    ]
    assert rows[1]["messages"] == [
        {"role": "system", "content": "You read ASCII pictures."},
        {"role": "user", "content": "What digit is this?\n<row:1>█ ▓</row:1>\n"},
        {"role": "assistant", "content": "It is 1."},
    ]
    assert not (tmp_path / "train.jsonl").read_bytes().startswith(b"\xef\xbb\xbf")


def test_words_that_are_not_known_are_asked_for(tmp_path):
    write_split(tmp_path, "jsonl", some(3), wordings=WORDINGS[2:])
    words = (tmp_path / "manifest.json").read_text("utf-8")
    for name, rows in (("jsonl", "prompt and completion"), ("chat", "messages")):
        write_split(tmp_path, name, some(3), wordings=WORDINGS[1:2])
        (tmp_path / "manifest.json").unlink()
        with pytest.raises(DatasetError) as caught:
            load_dataset(tmp_path)
        said = str(caught.value)
        assert said.startswith(f"{tmp_path / 'train.jsonl'}: record 1: its words are none"), rows
        assert 'name them in manifest.json beside it: {"wordings": [{"question": "' in said
        assert "\n" not in said
        (tmp_path / "manifest.json").write_text(words, "utf-8")
        with pytest.raises(DatasetError, match="Answer:"):
            load_dataset(tmp_path)


def test_of_two_wordings_that_fit_the_one_with_more_words_is_meant(tmp_path):
    wordings = (Prompt(), Prompt("Look: {ASCII_image}Response:"))
    write_split(tmp_path, "jsonl", some(4), wordings=wordings)
    assert load_dataset(tmp_path) == some(4)


@pytest.mark.parametrize("name", ["json", "jsonl", "chat", "parquet", "hub"])
def test_datasets_loads_every_row_as_it_was_written(tmp_path, name, monkeypatch):
    datasets = pytest.importorskip("datasets")
    records = some(10)
    write_split(tmp_path, name, records, wordings=WORDINGS, shard=4)
    output = get_output(name)
    loader = "parquet" if output.sharded else "json"
    files = [str(file) for file in split_files(tmp_path)["train"]]
    loaded = datasets.load_dataset(
        loader, data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == 10
    pairs = [WORDINGS[i % 3].pair(record) for i, record in enumerate(records)]
    if name == "json":
        assert list(loaded) == [record.as_json() for record in records]
    elif name == "chat":
        expected = [WORDINGS[i % 3].messages(record) for i, record in enumerate(records)]
        assert list(loaded["messages"]) == expected
    else:
        assert list(zip(loaded["prompt"], loaded["completion"], strict=True)) == pairs
    if output.sharded:
        assert loaded.column_names == [
            "size",
            "ASCII_image",
            "Response",
            "Question",
            "ASCII_images",
            "prompt",
            "completion",
            "source",
        ]
        assert [(row["Response"], row["source"]) for row in loaded] == [
            (record.answer, record.source) for record in records
        ]


@pytest.mark.parametrize(
    ("layout", "columns"),
    [
        ("prompt", {"prompt": ["<row:1>█</row:1>\nResponse:"], "completion": [" 5"]}),
        (
            "chat",
            {
                "messages": [
                    [
                        {"role": "user", "content": "<row:1>█</row:1>\nResponse:"},
                        {"role": "assistant", "content": "5"},
                    ]
                ]
            },
        ),
        (
            "published",
            {
                "note": [1],
                "Response": ["5"],
                "size": ["1"],
                "ASCII_image": ["<row:1>█</row:1>\n"],
            },
        ),
    ],
)
def test_parquet_of_others_is_read_whatever_layout_its_columns_are_in(tmp_path, layout, columns):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    assert load_dataset(tmp_path / "x.parquet") == [Record("<row:1>█</row:1>\n", "5", size="1")]


def test_the_published_keys_are_read_from_lines_and_messages_from_an_array(tmp_path):
    record = some(1)[0]
    lines = tmp_path / "x.jsonl"
    lines.write_text(json.dumps(record.as_json() | {"source": "made:0", "n": 1}) + "\n\n", "utf-8")
    assert load_dataset(lines) == [record]
    array = tmp_path / "x.json"
    array.write_text(json.dumps([{"messages": Prompt().messages(record)}]), "utf-8")
    assert load_dataset(array) == [replace(record, source="")]


def test_lines_and_parquet_are_read_one_at_a_time(tmp_path):
    write_split(tmp_path, "parquet", some(5000))
    file = split_files(tmp_path)["train"][0]
    assert next(read_records(file)) == some(1)[0]
    lines = tmp_path / "x.jsonl"
    lines.write_text(json.dumps(some(1)[0].as_json()) + "\nnot JSON\n", "utf-8")
    values = read_records(lines)
    assert next(values).answer == "0"
    with pytest.raises(DatasetError, match="line 2"):
        next(values)


GOOD_LINE = b'{"prompt": "<row:1>x</row:1>\\nResponse:", "completion": " 1"}\n'


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty, a dataset has a record per line"),
        (b"\n \n", "is empty, a dataset has a record per line"),
        (b"\0\0", "not JSON at line 1 column 1"),
        (GOOD_LINE * 6 + b"{'prompt': 1}\n" + GOOD_LINE, "not JSON at line 7 column 2"),
        (GOOD_LINE * 6 + b'{"prompt": "\xff"}\n', "not UTF-8 at byte 12 of line 7; give a text"),
        (GOOD_LINE * 6 + GOOD_LINE[:30], "not JSON at line 7 column"),
        (GOOD_LINE * 6 + b"[" * 100_000, "line 7: nested too deeply for a dataset"),
        (GOOD_LINE * 6 + b"1" * 5000, "line 7: a number too long to read"),
        (GOOD_LINE * 6 + b"[1]\n", "record 7: an array in place of an object"),
        (b'{"prompt": 1, "completion": " 1"}\n', "record 1: 'prompt' is a number, must be a"),
        (b'{"text": "x"}\n', "record 1: has the keys text; give it size, ASCII_image"),
        (b"{}\n", "record 1: has the keys none; give it"),
        (b'{"messages": "x"}\n', "record 1: 'messages' is a string, must be an array"),
        (b'{"messages": []}\n', "record 1: the messages are of nobody; give one of"),
        (b'{"messages": ["x"]}\n', "record 1: message 1 must have role and content, as strings"),
        (
            b'{"messages": [{"role": "user", "content": "x"}]}\n',
            "record 1: the messages are of user; give one of user",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_lines_that_are_no_records_give_one_clear_line(tmp_path, data, complaint):
    path = tmp_path / "x.jsonl"
    path.write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(f"{path}: {complaint}")
    assert "\n" not in str(caught.value)


def test_parquet_that_is_no_dataset_gives_one_clear_line(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def complaint(data=None, columns=None):
        path = tmp_path / "x.parquet"
        if columns is None:
            path.write_bytes(data)
        else:
            parquet.write_table(pyarrow.table(columns), path)
        with pytest.raises(DatasetError) as caught:
            load_dataset(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"{path}: ")
        return str(caught.value).removeprefix(f"{path}: ")

    write_split(tmp_path, "parquet", some(3000))
    whole = split_files(tmp_path)["train"][0].read_bytes()
    assert "no whole Parquet file" in complaint(whole[: len(whole) // 2])
    assert "no whole Parquet file" in complaint(b"")
    assert "no whole Parquet file" in complaint(b"PAR1")
    middle = len(whole) // 3
    garbled = whole[:1000] + bytes(255 - byte for byte in whole[1000:middle]) + whole[middle:]
    assert "no whole Parquet file" in complaint(garbled)
    assert "has the columns image, label; give size and ASCII_image" in complaint(
        columns={"image": [b"x"], "label": [1]}
    )
    keys = {"size": [20], "ASCII_image": ["x"], "Response": ["1"]}
    assert "record 1: 'size' is a number, must be a string" in complaint(columns=keys)
    keys = {"size": ["20"], "ASCII_image": [b"x"], "Response": ["1"]}
    assert "record 1: 'ASCII_image' is no text, must be a string" in complaint(columns=keys)
    invalid = pyarrow.array([b"\xff"]).cast(pyarrow.binary()).view(pyarrow.string())
    keys = {"size": ["20"], "ASCII_image": ["x"], "Response": invalid}
    assert "holds text that is not UTF-8" in complaint(columns=keys)


def test_a_directory_that_is_not_whole_or_ambiguous_is_refused(tmp_path):
    write_split(tmp_path, "hub", some(5), shard=2)
    second = tmp_path / "data" / "train-00001-of-00003.parquet"
    held = second.read_bytes()
    second.unlink()
    with pytest.raises(DatasetError, match=r"train-00001-of-00003\.parquet: no such file; get it"):
        load_dataset(tmp_path)
    second.write_bytes(held)
    shutil.copy(second, tmp_path / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(DatasetError, match=r"holds .*of-00001.* and .*of-00003.*; keep one"):
        load_dataset(tmp_path)
    (tmp_path / "data" / "train-00000-of-00001.parquet").unlink()
    write_records(some(2), tmp_path / "train.json")
    with pytest.raises(DatasetError, match=r"holds .*train\.json and .*; keep one layout"):
        split_files(tmp_path)


def test_a_split_by_another_name_is_found(tmp_path):
    write_split(tmp_path, "hub", some(2), split="dev")
    write_split(tmp_path, "jsonl", some(3), split="extra")
    assert list(split_files(tmp_path)) == ["dev"]
    assert load_dataset(tmp_path, "dev") == some(2)
    assert load_dataset(tmp_path, "extra") == some(3)
    with pytest.raises(DatasetError, match="has no split 'train'; it has dev"):
        load_dataset(tmp_path)


class Tabs:
    """Tab-separated: size, picture with its line ends escaped, answer."""

    name = "tabs"
    suffix = ".tsv"
    sharded = sourced = card = False
    head = between = tail = b""

    def write(self, records, stream, wordings, first=0):
        held = list(records)
        for record in held:
            stream.write("\t".join(map(json.dumps, record.as_json().values())).encode() + b"\n")
        return len(held)

    def read(self, file):
        for line in file.read_text("utf-8").splitlines():
            values = map(json.loads, line.split("\t"))
            yield dict(zip(("size", "ASCII_image", "Response"), values, strict=True))


@pytest.fixture
def installed(monkeypatch):
    """Makes objects look like outputs of installed packages."""

    def install(**loaders):
        class Point:
            dist = None

            def __init__(self, name, load):
                self.name, self.value, self.load = name, f"package:{name}", load

        points = [Point(name, load) for name, load in loaders.items()]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
        get_output.cache_clear()

    yield install
    get_output.cache_clear()


def test_a_users_output_is_written_and_read_like_the_projects_own(tmp_path, installed):
    installed(tabs=lambda: Tabs, json=lambda: Tabs)
    assert LAYOUTS.names() == [*OWN, "tabs"]
    assert LAYOUTS.help().endswith("tabs: From package:tabs.")
    assert get_output("json").suffix == ".json"  # a name of the project's own is never taken
    write_split(tmp_path, "tabs", some(7), shard=3)
    assert load_dataset(tmp_path) == some(7)


def test_a_users_output_that_does_not_work_is_named(installed, tmp_path):
    def broken():
        raise ImportError("no module")

    installed(broken=broken, hollow=lambda: object)
    with pytest.raises(DatasetError, match="output 'broken' of package:broken cannot be loaded"):
        get_output("broken")
    with pytest.raises(DatasetError, match="'hollow' of package:hollow has no name, suffix, shard"):
        get_output("hollow")
    write_split(tmp_path, "jsonl", some(2))
    assert load_dataset(tmp_path) == some(2)  # another's package does not stand in the way


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    write_split(tmp_path, "parquet", some(2))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(GlyphsightError, match=r"pip install 'glyphsight\[data\]'"):
        load_dataset(tmp_path)


def test_the_settings_in_the_documentation_name_the_columns_that_are_written(tmp_path):
    docs = Path(__file__).parents[2] / "docs" / "datasets.md"
    blocks = re.findall(r"```json\n(.*?)```", docs.read_text("utf-8"), re.DOTALL)
    shown, wordings, factory, manifest = map(json.loads, blocks)
    assert [record_from_json(one, "docs").as_json() for one in shown] == shown
    assert wordings_from_json(wordings, "docs")[0] == Prompt()
    assert wordings_from_json(manifest["wordings"], "docs")
    for entry, name in (("digits", "jsonl"), ("digits_chat", "chat"), ("digits_hub", "hub")):
        write_split(tmp_path / name, name, some(1))
        [row] = get_output(name).read(split_files(tmp_path / name)["train"][0])
        if name == "hub":
            row |= {"prompt": "", "completion": ""}  # read leaves them out
        assert set(factory[entry]["columns"].values()) <= set(row)
    for key, value in factory["digits_chat"]["tags"].items():
        message = Prompt(instruction="Look.").messages(some(1)[0])
        roles = [each["role"] for each in message]
        assert value in (roles if key not in ("role_tag", "content_tag") else message[0])
