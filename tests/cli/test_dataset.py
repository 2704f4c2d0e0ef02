import json
import shutil

import pytest
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.errors import DatasetError


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
    }
    good = dataset("check", digits, "--json")
    assert good.exit_code == 0
    assert json.loads(good.stdout)["problems"] == []


def test_check_shows_as_many_problems_as_asked_for(spoilt):
    lines = dataset("check", spoilt, "--show", 1).stderr.splitlines()
    assert len(lines) == 2
    assert lines[1] == "... 2 problems in all; --show N shows more"


def test_the_published_example_is_ok(golden):
    for name in ("five.json", "as-published.json"):
        assert dataset("check", golden / name).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("build", "--source", "mnist", "--out", "x"), "mnist: unknown source; there is bundled"),
        (("build", "--source", "idx:nowhere", "--out", "x"), "idx:nowhere: no such directory"),
        (
            ("build", "--source", "bundled", "--split", "dev", "--out", "x"),
            "bundled: has no split 'dev'; it gives test, train, validation",
        ),
        (("check", "nowhere"), "nowhere: no such file or directory"),
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
    assert done.stderr == b"glyphsight: nowhere: no such file or directory\n"


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
    assert "a palette has 2 to 16 glyphs" in str(result.exception)
