import json
import re
import shlex
import shutil
import struct
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.cli.dataset import measuring_command
from glyphsight.dataset import load_dataset
from glyphsight.errors import DatasetError
from glyphsight.extras import MissingPackageError


def dataset(*arguments):
    return CliRunner().invoke(app, ["dataset", *map(str, arguments)])


def test_bundled_digits_are_built_and_checked(glyphsight, tmp_path):
    built = glyphsight("dataset", "build", "--source", "bundled", "--limit", 50, "--out", "digits")
    assert built.returncode == 0
    assert built.stdout.decode().splitlines() == [
        f"digits/{split}.json: 50 records, 10 labels" for split in ("train", "validation", "test")
    ]
    assert sorted(path.name for path in (tmp_path / "digits").glob("*.json")) == [
        "manifest.json",
        "test.json",
        "train.json",
        "validation.json",
    ]
    checked = glyphsight("dataset", "check", "digits")
    assert (checked.returncode, checked.stderr) == (0, b"")
    assert checked.stdout.decode().splitlines() == [
        f"digits/{split}.json: 50 ok" for split in ("train", "validation", "test")
    ]


def test_another_dataset_is_replaced_only_when_it_is_said(tmp_path):
    out = tmp_path / "digits"
    build = ["build", "--source", "bundled", "--out", out, "--split", "test", "--limit"]
    assert dataset(*build, 20).exit_code == 0
    refused = dataset(*build, 10)
    assert isinstance(refused.exception, DatasetError)
    assert str(refused.exception) == (
        f"{out}: holds another dataset (20 test; limit 20, now 10); "
        "choose another --out, or replace it with --force"
    )
    assert len(load_dataset(out, "test")) == 20
    assert dataset(*build, 10, "--force").exit_code == 0
    assert len(load_dataset(out, "test")) == 10


def test_build_prints_one_json_document_and_nothing_else(tmp_path):
    out = tmp_path / "digits"
    result = dataset("build", "--source", "bundled", "--limit", 10, "--out", out, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["records"] == {"train": 10, "validation": 10, "test": 10}
    assert document["files"]["test"] == str(out / "test.json")


@pytest.fixture
def spoilt(digits, tmp_path):
    """Real digits with two records spoilt in one split."""
    shutil.copytree(digits, tmp_path / "spoilt")
    path = tmp_path / "spoilt" / "test.json"
    records = json.loads(path.read_bytes())
    records[4]["size"] = 20
    records[9]["Response"] = ""
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def test_check_names_what_is_wrong_where(spoilt):
    result = dataset("check", spoilt.parent)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{spoilt}: record 5: 'size' is a number, must be a string; quote it",
        f"{spoilt}: record 10: 'Response' is empty",
    ]
    assert result.stdout.splitlines()[-1] == f"{spoilt}: 60 records, 2 with problems"


def test_check_prints_one_json_document_and_nothing_else(spoilt, digits):
    result = dataset("check", spoilt, "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    document = json.loads(result.stdout)
    assert document["records"] == {str(spoilt): 60}
    assert document["problems"][1] == {
        "file": str(spoilt),
        "record": 10,
        "reason": "'Response' is empty",
        "kind": "answer",
    }
    assert document["found"] == {"record": 1, "answer": 1}
    assert document["spoilt"] == {str(spoilt): 2}
    assert document["ok"] is False
    good = dataset("check", digits, "--json")
    assert good.exit_code == 0
    document = json.loads(good.stdout)
    assert (document["problems"], document["ok"]) == ([], True)


def test_check_shows_as_many_problems_as_asked_for(spoilt):
    lines = dataset("check", spoilt, "--show", 1).stderr.splitlines()
    assert len(lines) == 2
    assert lines[1] == "... 2 problems in all (record 1, answer 1); --show N shows more"


def test_check_takes_labels_from_the_line_or_a_file(digits, tmp_path):
    assert dataset("check", digits, "--labels", "0,1,2,3,4,5,6,7,8,9").exit_code == 0
    file = tmp_path / "labels.txt"
    file.write_text("".join(f"{n}\n" for n in range(9)))
    result = dataset("check", digits / "test.json", "--labels", file)
    assert result.exit_code == 1
    assert "'Response' '9' is none of the labels given" in result.stderr
    file.write_bytes(b"\xff")
    assert f"{file}: not UTF-8" in str(dataset("check", digits, "--labels", file).exception)


def test_check_notes_what_is_no_problem_unless_it_is_strict(digits, tmp_path):
    path = tmp_path / "x.json"
    records = json.loads((digits / "test.json").read_bytes())
    path.write_text(json.dumps([*records, records[0]]), encoding="utf-8")
    result = dataset("check", path)
    assert result.exit_code == 0
    note = f"{path}: record 61: repeats the picture and answer of record 1"
    assert result.stderr.splitlines() == [f"note: {note}"]
    assert result.stdout.splitlines() == [f"{path}: 61 ok"]
    strict = dataset("check", path, "--strict")
    assert strict.exit_code == 1
    assert strict.stderr.splitlines() == [note]


def test_check_says_what_a_models_window_does_not_take(tmp_path, golden):
    record = json.loads((golden / "five.json").read_bytes())[0]
    tall = "".join(f"<row:{row}>{'█' * 20}</row:{row}>\n" for row in range(1, 301))
    path = tmp_path / "x.json"
    path.write_text(json.dumps([record, record | {"ASCII_image": tall}]), encoding="utf-8")
    assert dataset("check", path, "--model", "smollm2-135m").exit_code == 0
    result = dataset("check", path, "--model", "nano")
    assert result.exit_code == 1
    assert f"{path}: record 2: " in result.stderr
    assert "tokens, nano takes 2048; its answer would be cut" in result.stderr
    assert "does not say how long" in str(dataset("check", path, "--model", tmp_path).exception)


def test_check_reads_another_format_as_it_is_told(golden, tmp_path):
    path = tmp_path / "x.json"
    row = {"size": "2", "ASCII_image": ".#\n#.\n", "Response": "a"}
    path.write_text(json.dumps([row]), encoding="utf-8")
    assert dataset("check", path).exit_code == 1
    assert dataset("check", path, "--format", "plain", "--palette", ".#").exit_code == 0
    assert "format is 'x'; give one of seed, plain" in str(
        dataset("check", path, "--format", "x").exception
    )


def test_show_prints_records_side_by_side_in_a_pipe_of_80_columns(glyphsight, digits):
    done = glyphsight("dataset", "show", digits, "--number", 5, "--split", "test", COLUMNS="")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2 * (11 + 4) + 1  # answer, number, and where from in two lines
    assert max(map(len, lines)) <= 80
    numbers = re.findall(r"test\.json (\d+)", done.stdout.decode())
    assert numbers == sorted(numbers, key=int)
    assert len(numbers) == 5


def test_show_prints_the_record_that_was_asked_for(digits):
    record = load_dataset(digits, "test")[6]
    shown = dataset("show", digits, "--split", "test", "--index", 7, "--raw").stdout
    assert shown == f"{record.picture}{record.answer}\ntest.json 7\n{record.source}\n"
    label = dataset("show", digits / "test.json", "--label", "3", "--number", 60).stdout
    answers = [r["Response"] for r in json.loads((digits / "test.json").read_bytes())]
    assert label.count("test.json") == answers.count("3")


def test_stats_print_a_table_or_json_and_write_a_page(digits, tmp_path):
    page = tmp_path / "pages" / "x.html"
    result = dataset("stats", digits, "--html", page, "--model", "nano")
    assert (result.exit_code, result.stderr) == (0, f"page: {page}\n")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["train", "validation", "test"]
    assert ["records", "120", "60", "60"] in lines
    assert ["grids", "20x11", "20x11", "20x11"] in lines
    assert [line[:2] for line in lines if line[0] == "answer"] == [
        ["answer", str(n)] for n in range(10)
    ]
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    document = json.loads(dataset("stats", digits, "--json").stdout)
    assert document["splits"]["train"]["records"] == 120
    assert document["tokenizer"] == "smollm2-135m"
    assert document["splits"]["test"]["tokens"]["most"] > 100


def test_the_published_example_is_ok(golden):
    for name in ("five.json", "as-published.json"):
        assert dataset("check", golden / name).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("build", "--source", "mnist", "--out", "x"),
            "mnist: unknown source; give one of bundled",
        ),
        (("build", "--source", "idx:nowhere", "--out", "x"), "idx:nowhere: no such directory"),
        (
            ("build", "--source", "bundled", "--split", "dev", "--out", "x"),
            "bundled: has no split 'dev'; give one of test, train, validation",
        ),
        (("check", "nowhere"), "nowhere: no such file or directory"),
        (("show", "nowhere"), "nowhere: no such file or directory"),
        (("stats", "nowhere", "--html", "x.html"), "nowhere: no such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_left(
    tmp_path, monkeypatch, arguments, complaint
):
    monkeypatch.chdir(tmp_path)
    result = dataset(*arguments)
    assert isinstance(result.exception, DatasetError)
    assert str(result.exception).startswith(complaint)
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_one_line_and_status_1(glyphsight):
    done = glyphsight("dataset", "check", "nowhere")
    assert (done.returncode, done.stdout) == (1, b"")
    assert (
        done.stderr
        == b"glyphsight: nowhere: no such file or directory; give a dataset's directory or file\n"
    )


@pytest.mark.parametrize(
    "options",
    [("--limit", 0), ("--seed", -1), ("--copies", -1), ("--validation", -1), ("--limit", "many")],
)
def test_a_number_out_of_range_is_wrong_usage(tmp_path, options):
    result = dataset("build", "--source", "bundled", "--out", tmp_path / "x", *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr


def test_check_refuses_a_palette_that_cannot_be(golden):
    result = dataset("check", golden / "five.json", "--palette", "")
    assert "glyphs; give 2 to 16" in str(result.exception)


def test_a_build_in_another_profile_names_the_settings_that_differ_alone(tmp_path):
    build = ("build", "--source", f"idx:{_idx(tmp_path)}", "--out", tmp_path / "x")
    assert dataset(*build).exit_code == 0
    refused = str(dataset(*build, "--width", 9, "--test", 0).exception)
    assert "(36 train, 4 validation; profile.width 20, now 9)" in refused


@pytest.mark.parametrize("output", ["parquet", "hub"])
def test_a_layout_whose_package_is_missing_fails_before_anything_is_read(
    tmp_path, monkeypatch, output
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    out = tmp_path / "x"
    refused = dataset("build", "--source", "bundled", "--out", out, "--output", output)
    assert isinstance(refused.exception, MissingPackageError)
    assert "glyphsight[data]" in str(refused.exception)
    assert not out.exists()


def test_the_command_that_measures_works_whatever_splits_there_are(tmp_path, digits):
    spaced = tmp_path / "my digits"
    for options, split in (
        (["--test", 5], None),
        ([], "validation"),
        (["--validation", 0], "train"),
    ):
        source = f"idx:{_idx(tmp_path)}"
        built = dataset("build", "--source", source, "--out", spaced, "--force", *options)
        assert built.exit_code == 0, built.exception
        words = shlex.split(measuring_command("nano-digits", spaced))
        assert words[words.index("--data") + 1] == str(spaced)
        assert ("--split" in words, words[-1]) == ((True, split) if split else (False, words[-1]))
        result = CliRunner().invoke(app, [*words[1:], "--limit", "2"])
        assert result.exit_code == 0, result.exception


def _idx(folder):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 28, 28), np.uint8).tobytes()
    head = struct.pack(">4B3I", 0, 0, 8, 3, 40, 28, 28)
    (folder / "train-images-idx3-ubyte").write_bytes(head + pixels)
    labels = bytes(number % 4 for number in range(40))
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 40) + labels)
    return folder


def test_a_missing_split_is_named_with_those_there_are_and_the_option(tmp_path):
    source = f"idx:{_idx(tmp_path)}"
    assert dataset("build", "--source", source, "--out", tmp_path / "x").exit_code == 0
    for data in (source, str(tmp_path / "x")):
        asked = ["evaluate", "--model", "nano-digits", "--data", data]
        error = CliRunner().invoke(app, asked).exception
        assert isinstance(error, DatasetError)
        assert f"{data}: has no split 'test'; it has train" in str(error)
        assert "--split validation" in str(error) or data == source
        assert "--test N" in str(error)


def test_statistics_say_that_polarity_is_mixed(tmp_path):
    for name, paper, ink in (("light", 255, 0), ("dark", 0, 255)):
        for number in range(4):
            pixels = np.full((20, 20), paper, np.uint8)
            pixels[5:15, 3 * number : 3 * number + 4] = ink
            (tmp_path / "s" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "s" / name / f"{number}.png")
    for invert, mixed in (("no", True), ("auto", False)):
        out = tmp_path / invert
        build = ["--source", f"folder:{tmp_path / 's'}", "--out", out, "--invert", invert]
        assert dataset("build", *build, "--validation", 0, "--keep-duplicates").exit_code == 0
        said = dataset("stats", out, "--html", tmp_path / "page.html").stdout
        page = (tmp_path / "page.html").read_text()
        assert ("--invert auto" in said, "--invert auto" in page) == (mixed, mixed)
        assert re.search(r"dark on light +%s %%" % (50 if mixed else 0), said)


def test_progress_is_counted_in_whole_numbers_and_plural_units(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)  # where a bar is drawn
    said = dataset("build", "--source", f"idx:{_idx(tmp_path)}", "--out", tmp_path / "x").stderr
    assert re.search(r"scan: 100%.* 1/1 .* parts/s", said)
    assert re.search(r"write train: 100%.* 36/36 .* records/s", said)


@pytest.mark.parametrize("kind", ["folder", "webdataset"])
def test_build_has_the_option_that_raises_the_limit_of_pixels(tmp_path, golden, kind):
    picture = golden / "five.png"
    (tmp_path / "s" / "five").mkdir(parents=True)
    spec = f"folder:{tmp_path / 's'}"
    if kind == "folder":
        for number in range(2):
            shutil.copy(picture, tmp_path / "s" / "five" / f"{number}.png")
    else:
        (tmp_path / "five.cls").write_text("5")
        with tarfile.open(tmp_path / "x.tar", "w") as archive:
            archive.add(picture, "a.png")
            archive.add(tmp_path / "five.cls", "a.cls")
        spec = f"webdataset:{tmp_path / 'x.tar'}"
    build = ["--source", spec, "--out", tmp_path / "x", "--validation", 0, "--max-pixels"]
    said = str(dataset("build", *build, 783).exception)
    assert "784 pixels, the limit is 783" in said
    assert said.endswith("--max-pixels 784")
    assert dataset("build", *build, 784).exit_code == 0
    manifest = json.loads((tmp_path / "x" / "manifest.json").read_text())
    assert manifest["command"].endswith("--max-pixels 784")
    asked = ["evaluate", "--model", "nano-digits", "--data", spec, "--split", "train"]
    for limit, code in ((783, 1), (784, 0)):
        done = CliRunner().invoke(app, [*asked, "--max-pixels", str(limit)])
        assert done.exit_code == code, done.output
        assert code == 0 or str(done.exception).endswith("--max-pixels 784")
