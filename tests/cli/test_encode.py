import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.codec import parse
from glyphsight.errors import FormatError


@pytest.fixture
def five(golden):
    return (golden / "five.txt").read_bytes()


@pytest.fixture
def picture(golden):
    return golden / "five.png"


def encode(*arguments, stdin=None):
    return CliRunner().invoke(app, ["encode", *map(str, arguments)], input=stdin)


def test_the_published_picture_prints_the_published_text(glyphsight, picture, five):
    done = glyphsight("encode", picture)
    assert (done.returncode, done.stdout, done.stderr) == (0, five, b"")


def test_standard_input_is_read(glyphsight, picture, five):
    done = glyphsight("encode", "-", stdin=picture.read_bytes())
    assert (done.returncode, done.stdout, done.stderr) == (0, five, b"")


def test_the_text_is_utf_8_whatever_the_locale(glyphsight, picture, five):
    assert glyphsight("encode", picture, PYTHONIOENCODING="ascii").stdout == five


def test_bad_pictures_are_named_and_the_good_ones_still_done(glyphsight, picture, five, tmp_path):
    (tmp_path / "text.png").write_text("hello\n", encoding="utf-8")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(picture.read_bytes()[:-80])
    (tmp_path / "folder.png").mkdir()
    Image.new("L", (1, 20_000)).save(tmp_path / "strip.png")
    bad = ["missing.png", "text.png", "empty.png", "cut.png", "folder.png", "strip.png"]
    done = glyphsight("encode", bad[0], picture, *bad[1:], "", picture)
    assert done.returncode == 1
    assert done.stdout == five * 2
    lines = done.stderr.decode().splitlines()
    for name, line in zip([*bad, "''"], lines, strict=True):
        assert line.startswith(f"glyphsight: {name}: ")


def test_one_pixel_is_encoded(tmp_path):
    Image.new("L", (1, 1), 255).save(tmp_path / "one.png")
    result = encode(tmp_path / "one.png")
    assert result.exit_code == 0
    assert (parse(result.stdout) == 2).all()


def test_what_is_no_picture_on_standard_input_is_one_line(glyphsight):
    done = glyphsight("encode", "-", stdin=b"hello")
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr == b"glyphsight: <stdin>: not a picture in any format Pillow reads\n"


def test_out_writes_a_file_a_picture_and_prints_nothing(picture, five, tmp_path):
    result = encode(picture, "-", "--out", tmp_path / "texts", stdin=picture.read_bytes())
    assert (result.exit_code, result.output) == (0, "")
    written = {path.name: path.read_bytes() for path in (tmp_path / "texts").iterdir()}
    assert written == {"five.txt": five, "stdin.txt": five}


def test_out_never_writes_two_pictures_over_each_other(picture, five, tmp_path):
    other = tmp_path / "five.bmp"
    Image.new("L", (28, 28)).save(other)
    result = encode(picture, other, "--out", tmp_path / "texts")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"glyphsight: {other}: would overwrite ")
    assert (tmp_path / "texts" / "five.txt").read_bytes() == five


def test_out_that_is_a_file_is_named(picture, tmp_path):
    (tmp_path / "texts").write_text("x", encoding="utf-8")
    result = encode(picture, "--out", tmp_path / "texts")
    assert result.exit_code == 1
    assert f"{tmp_path / 'texts'} is not a directory" in result.stderr
    assert result.stderr.count("\n") == 1


def test_jsonl_prints_an_object_a_picture_and_nothing_else(picture, five, tmp_path):
    result = encode(picture, tmp_path / "missing.png", picture, "--jsonl")
    assert result.exit_code == 1
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    expected = {"path": str(picture), "size": "20", "ASCII_image": five.decode()}
    assert documents == [expected, expected]
    assert list(documents[0]) == ["path", "size", "ASCII_image"]


def test_width_and_palette_change_the_text(picture):
    result = encode(picture, "--width", 40, "--palette", "01234567")
    assert result.exit_code == 0
    assert parse(result.stdout, "01234567").shape == (22, 40)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--width", 0), "width must be at least 1, not 0"),
        (("--palette", "aa"), "palette 'aa' repeats a glyph"),
        (("--palette", ""), "a palette has 2 to 16 glyphs"),
    ],
)
def test_a_setting_that_cannot_be_is_said_once_for_all_pictures(picture, options, complaint):
    result = encode(picture, picture, *options)
    assert (result.exit_code, result.output) == (1, "")
    assert isinstance(result.exception, FormatError)
    assert str(result.exception).startswith(complaint)


def test_a_result_too_large_for_memory_is_one_line(glyphsight, picture):
    done = glyphsight("encode", picture, "--width", 10**9)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(f"glyphsight: {picture}: 28x28 pixels would become")
    assert done.stderr.count(b"\n") == 1
