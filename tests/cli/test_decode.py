import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import glyphsight as package
from glyphsight.cli.app import app
from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import get_format
from glyphsight.errors import GlyphsightError


def decode(*arguments, stdin=None):
    return CliRunner().invoke(app, ["decode", *map(str, arguments)], input=stdin)


def test_the_picture_of_a_text_encodes_to_the_same_text(glyphsight, golden, tmp_path):
    done = glyphsight("decode", golden / "five.txt", "--out", "five.png")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    five = (golden / "five.txt").read_text(encoding="utf-8")
    assert package.encode(tmp_path / "five.png") == five
    with Image.open(tmp_path / "five.png") as image:
        assert image.size == (160, 160)  # as square as the digit was


def test_pictures_of_digits_encode_to_the_same_texts(validation, tmp_path):
    same = 0
    for text in package.encode_batch(validation.pixels[:60]):
        assert decode("-", "--out", tmp_path / "x.png", stdin=text).exit_code == 0
        same += package.encode(tmp_path / "x.png") == text
    assert same >= 58  # resampling may push a gray cell among bright ones over its level


@pytest.mark.parametrize("scale", [1, 2, 8, 13])
@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (11, 20), (22, 7), (30, 30)])
def test_the_picture_gives_as_many_rows_and_columns_again(tmp_path, shape, scale):
    grid = np.zeros(shape, dtype=np.uint8)
    [text] = get_format("seed").render_batch(grid[None], PUBLISHED.palette)
    result = decode("-", "--out", tmp_path / "x.png", "--scale", scale, stdin=text)
    assert result.exit_code == 0
    text = package.encode(tmp_path / "x.png", Profile(width=shape[1]))
    assert package.parse(text).shape == shape


def test_another_palette_is_read(tmp_path):
    text = "<row:1>0011</row:1>\n"
    assert decode("-", "--out", tmp_path / "x.png", "--palette", "01", stdin=text).exit_code == 0
    with Image.open(tmp_path / "x.png") as image:
        assert image.getextrema() == (0, 255)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "x.txt: the text is empty"),
        (b"hello\n", "x.txt: no <row:N>...</row:N> with N from 1 to 4096 in 'hello'"),
        (b"\xff\xfe", "x.txt: not UTF-8 at byte 0"),
        ("<row:1>█</row:1>\n<row:2>█?</row:2>\n".encode(), "x.txt: row 2: glyph '?', cell 2"),
    ],
)
def test_a_file_that_is_no_ascii_image_is_named(tmp_path, data, complaint):
    (tmp_path / "x.txt").write_bytes(data)
    result = decode(tmp_path / "x.txt", "--out", tmp_path / "x.png")
    assert isinstance(result.exception, GlyphsightError)
    assert str(result.exception).startswith(f"{tmp_path}/{complaint}")
    assert not (tmp_path / "x.png").exists()


def test_an_error_is_one_line_and_status_1(glyphsight):
    done = glyphsight("decode", "-", "--out", "x.png", "--strict", stdin=b"hello\n")
    assert (done.returncode, done.stdout) == (1, b"")
    [line] = done.stderr.decode().splitlines()
    assert line.startswith(
        "glyphsight: -: line 1: column 1: not a <row:1>...</row:1> line: 'hello'; "
    )


def test_what_was_repaired_is_said_and_the_rest_is_done(glyphsight, golden, tmp_path):
    published = golden / "as-published.json"
    done = glyphsight("decode", published, "--out", "five.png")
    assert (done.returncode, done.stdout) == (0, b"")
    taken = f"glyphsight: {published}: ASCII_image taken out of a JSON record\n"
    assert done.stderr.decode() == taken
    assert package.encode(tmp_path / "five.png") == (golden / "five.txt").read_text("utf-8")


def test_strict_names_line_and_column(tmp_path):
    text = "<row:1>██</row:1>\n<row:2>█</row:2>\n"
    result = decode("-", "--levels", "--strict", stdin=text)
    said = "-: line 2: column 9: 1 glyphs in the row, expected 2; make all rows as wide"
    assert (result.stdout, str(result.exception)) == ("", said)
    assert decode("-", "--levels", stdin=text).stdout == "22\n20\n"


def test_without_a_place_to_write_to_it_is_wrong_usage(golden):
    assert decode(golden / "five.txt").exit_code == 2


@pytest.mark.parametrize("name", ["plain", "digits", "rle", "braille", "quadrant", "half"])
def test_pictures_of_other_formats_encode_to_the_same_text(golden, tmp_path, name):
    profile = Profile(palette=" █", format=name)
    text = package.encode(golden / "five.png", profile)
    result = decode(
        *("-", "--out", tmp_path / "x.png", "--palette", " █", "--format", name), stdin=text
    )
    assert result.exit_code == 0
    assert package.encode(tmp_path / "x.png", profile) == text


def test_a_picture_too_large_is_refused(tmp_path):
    text = f"<row:4096>{'█' * 4000}</row:4096>"
    result = decode("-", "--out", tmp_path / "x.png", stdin=text)
    assert "pixels; lower --scale" in str(result.exception)


@pytest.mark.parametrize(
    ("name", "complaint"), [("missing.txt", "no such file"), (".", "cannot be read")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, complaint):
    result = decode(name, "--out", tmp_path / "x.png")
    assert str(result.exception).startswith(f"{name}: {complaint}")


@pytest.mark.parametrize("name", ["x", "x.txt", "x.psd"])
def test_a_place_that_names_no_picture_format_is_refused(golden, tmp_path, name):
    result = decode(golden / "five.txt", "--out", tmp_path / name)
    assert "names no picture format to write; use .png" in str(result.exception)


@pytest.mark.parametrize("scale", [0, -1, 10**6])
def test_an_impossible_scale_is_wrong_usage(golden, scale):
    assert decode(golden / "five.txt", "--out", "x.png", "--scale", scale).exit_code == 2


def test_a_byte_order_mark_is_no_flaw(tmp_path, golden):
    data = b"\xef\xbb\xbf" + (golden / "five.txt").read_bytes()
    (tmp_path / "x.txt").write_bytes(data)
    done = decode(tmp_path / "x.txt", "--out", tmp_path / "x.png", "--strict")
    assert (done.exit_code, done.stderr) == (0, "")
    assert decode("-", "--levels", "--strict", stdin=data).exit_code == 0
