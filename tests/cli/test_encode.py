import json
import os
import resource
import struct
import zlib

import pytest
from PIL import Image
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.codec import Profile, encode_batch, parse
from glyphsight.errors import GlyphsightError
from glyphsight.media.picture import load_picture
from glyphsight.models.tokens import count_tokens, largest_grid, load_tokenizer
from glyphsight.settings import settings_of


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
    said = b"glyphsight: <stdin>: not a picture in any format Pillow reads; save it again as PNG\n"
    assert done.stderr == said


def test_out_writes_a_file_a_picture_and_prints_nothing(picture, five, tmp_path):
    result = encode(picture, "-", "--out", tmp_path / "texts", stdin=picture.read_bytes())
    assert (result.exit_code, result.output) == (0, "")
    written = {path.name: path.read_bytes() for path in (tmp_path / "texts").glob("[!.]*")}
    assert written == {"five.txt": five, "stdin.txt": five}


def test_out_never_writes_two_pictures_over_each_other(picture, five, tmp_path):
    other = tmp_path / "five.bmp"
    Image.new("L", (28, 28)).save(other)
    result = encode(picture, other, "--out", tmp_path / "texts")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"glyphsight: {other}: would overwrite ")
    assert (tmp_path / "texts" / "five.txt").read_bytes() == five


def test_out_with_the_name_of_a_text_is_refused_before_a_folder_has_it(picture, tmp_path):
    result = encode(picture, "--out", tmp_path / "five.txt")
    assert result.exit_code == 2
    assert "is a file's name; give a directory" in " ".join(result.stderr.split())
    assert not list(tmp_path.glob("five.txt"))


def test_out_that_is_a_file_is_named(picture, tmp_path):
    (tmp_path / "texts").write_text("x", encoding="utf-8")
    result = encode(picture, "--out", tmp_path / "texts")
    assert result.exit_code == 1
    assert isinstance(result.exception, GlyphsightError)
    assert f"{tmp_path / 'texts'} is not a directory" in str(result.exception)


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
        (("--width", 0), "--width: width is 0; give a whole number, at least 1"),
        (("--palette", "aa"), "palette 'aa' repeats a glyph"),
        (("--palette", ""), "glyphs; give 2 to 16"),
        (("--levels", 17), "levels is 17; give a whole number, 2 to 16"),
        (("--format", "nonsense"), "--format: format is 'nonsense'; give one of seed, plain, trim"),
        (("--filter", "nonsense"), "--filter: filter is 'nonsense'; give one of nearest, box"),
        (("--threshold", "9"), "do not fit 3 levels; give 2"),
    ],
)
def test_a_setting_that_cannot_be_is_wrong_usage_said_once_for_all_pictures(
    picture, options, complaint
):
    result = encode(picture, picture, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count(complaint) == 1


def test_a_result_too_large_for_memory_is_one_line(glyphsight, picture):
    done = glyphsight("encode", picture, "--width", 10**9)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(f"glyphsight: {picture}: 28x28 pixels would become")
    assert done.stderr.count(b"\n") == 1


def checkerboard_png(path, side):
    """A 1-bit PNG of ``side`` squared pixels: a small file, a large picture."""
    row = b"\0" + b"\xaa" * (side // 8)
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(row * 1000) for _ in range(side // 1000)) + packer.flush()
    data = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">2I5B", side, side, 1, 0, 0, 0, 0)
    for kind, chunk in [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]:
        data += struct.pack(">I", len(chunk)) + kind + chunk
        data += struct.pack(">I", zlib.crc32(kind + chunk))
    path.write_bytes(data)


@pytest.fixture
def folder(picture, tmp_path):
    """20 good pictures in two folders, 5 corrupt ones and one of 400 million pixels."""
    folder = tmp_path / "pictures"
    whole = picture.read_bytes()
    for number in range(20):
        place = folder / ("a" if number % 2 else "b/deeper") / f"good{number // 2}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(whole)
    bad = {
        "empty.png": b"",
        "text.jpg": b"hello",
        "cut.png": whole[:-80],
        "garbled.png": whole[:60] + bytes(40) + whole[100:],
        "head.gif": b"GIF89a",
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    checkerboard_png(folder / "huge.png", 20_000)
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    return folder


BAD = {
    "cut.png": "damaged or cut off",
    "empty.png": "an empty file; save the picture again",
    "garbled.png": "damaged or cut off",
    "head.gif": "not a picture",
    "huge.png": "400,000,000 pixels, the limit is 89,478,485; shrink it",
    "text.jpg": "not a picture",
}


@pytest.mark.parametrize("workers", [(), ("--workers", 2)])
def test_a_folder_is_done_but_for_the_bad_ones_which_are_named(glyphsight, folder, five, workers):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = glyphsight("encode", folder, "--out", "texts", *workers)
    assert done.returncode == 1
    said, *lines = done.stderr.decode().splitlines()
    assert "neither picture nor sound by its name" in said
    for (name, reason), line in zip(BAD.items(), lines, strict=True):
        assert line.startswith(f"glyphsight: {folder / name}: ")
        assert reason in line
    texts = sorted(folder.parent.glob("texts/**/*.txt"))
    assert len(texts) == 20
    assert all(text.read_bytes() == five for text in texts)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert max(most - before, 0) < 300_000  # KiB; the large picture alone would take 400 MB


def test_workers_keep_the_order_of_the_pictures(glyphsight, folder, picture):
    arguments = "encode", folder, picture, folder / "a" / "good1.png", "--jsonl"
    alone = glyphsight(*arguments, "--workers", 1)
    together = glyphsight(*arguments, "--workers", 3)
    assert (alone.stdout, alone.stderr) == (together.stdout, together.stderr)
    paths = [json.loads(line)["path"] for line in alone.stdout.splitlines()]
    assert len(paths) == 22
    assert paths[:-2] == sorted(paths[:-2])


def test_a_second_call_goes_on_where_the_first_ended(picture, five, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.png").write_bytes(picture.read_bytes())
    assert encode(folder / "a.png", folder / "b.png", "--out", out).output == ""
    again = encode(folder, "--out", out)
    assert again.stderr == "glyphsight: 2 of 3 texts were there already; --force redoes them\n"
    (out / "a.txt").write_text("spoilt", encoding="utf-8")
    assert "3 of 3 texts" in encode(folder, "--out", out).stderr
    assert encode(folder, "--out", out, "--force").stderr == ""
    assert (out / "a.txt").read_bytes() == five


def test_texts_of_other_settings_or_of_an_older_picture_are_not_kept(picture, five, tmp_path):
    source, out = tmp_path / "x.png", tmp_path / "out"
    source.write_bytes(picture.read_bytes())
    assert encode(source, "--out", out, "--width", 10).exit_code == 0
    assert encode(source, "--out", out).stderr == ""
    assert (out / "x.txt").read_bytes() == five
    Image.new("L", (28, 28)).save(source)
    os.utime(source, (0, 0))  # as cp -p leaves an older picture
    assert encode(source, "--out", out).stderr == ""
    assert (out / "x.txt").read_bytes() != five
    assert "1 of 1 texts" in encode(source, "--out", out).stderr


def test_a_text_that_another_wrote_stays(picture, five, tmp_path):
    notes = tmp_path / "out" / f"{picture.stem}.txt"
    notes.parent.mkdir()
    notes.write_text("mine", encoding="utf-8")
    refused = encode(picture, "--out", notes.parent)
    assert (refused.exit_code, notes.read_text()) == (1, "mine")
    assert f"{notes} is there and no text of this command" in refused.stderr
    assert encode(picture, "--out", notes.parent, "--force").exit_code == 0
    assert notes.read_bytes() == five
    (notes.parent / ".glyphsight-encode.jsonl").unlink()  # as a kill before its line leaves it
    assert encode(picture, "--out", notes.parent).exit_code == 0


def test_files_of_a_folder_that_are_no_pictures_are_said(picture, tmp_path):
    (tmp_path / "a.png").write_bytes(picture.read_bytes())
    for name in ("b.heic", "c"):
        (tmp_path / name).write_bytes(b"")
    done = encode(tmp_path)
    assert done.exit_code == 0
    assert (
        "left out what is neither picture nor sound by its name: b.heic and 1 more" in done.stderr
    )


def test_globs_are_expanded_and_their_folders_kept(folder, tmp_path):
    result = encode(f"{folder}/**/good*.png", "--out", tmp_path / "texts")
    assert (result.exit_code, result.output) == (0, "")
    names = {str(p.relative_to(tmp_path / "texts")) for p in tmp_path.glob("texts/**/*.txt")}
    assert {"a/good1.txt", "b/deeper/good0.txt"} <= names
    assert len(names) == 20
    nothing = encode(f"{folder}/*.bmp")
    assert (nothing.exit_code, nothing.stderr.count("matches no file")) == (1, 1)


def test_every_setting_reaches_the_text(picture, five):
    given = [
        ("--height", 5), ("--aspect", 1.0), ("--levels", 4), ("--palette", "blocks"),
        ("--invert", "yes"), ("--crop", 0.1), ("--contrast",), ("--threshold", "20,40"),
        ("--threshold", "adaptive"), ("--dither", "ordered"), ("--dither", "floyd-steinberg"),
        ("--edges", "sobel"), ("--edges", "dog"),
    ]  # fmt: skip
    for options in given:
        result = encode(picture, *options)
        assert result.exit_code == 0, options
        assert result.stdout_bytes != five, options
    assert encode(picture, "--levels", 3, "--invert", "auto").stdout_bytes == five


def test_the_help_has_an_option_for_every_setting_with_its_values():
    said = " ".join(encode("--help").output.split())
    for name, one in settings_of(Profile).items():
        assert f"--{name} " in said
        assert one.line() in said


def test_a_token_budget_picks_the_largest_grid_of_each_picture(picture, tmp_path):
    Image.new("L", (40, 10), 255).save(tmp_path / "wide.png")
    result = encode(picture, tmp_path / "wide.png", "--tokens", 60, "--format", "plain", "--jsonl")
    assert result.exit_code == 0
    tokenizer = load_tokenizer()
    for line in map(json.loads, result.stdout.splitlines()):
        width = int(line["size"])
        pixels = load_picture(line["path"])
        plain = Profile(format="plain")
        assert largest_grid(pixels[None], plain, 60, [tokenizer]).width == width
        assert (
            line["ASCII_image"]
            == encode_batch(pixels[None], Profile(width=width, format="plain"))[0]
        )
        assert count_tokens([line["ASCII_image"]], tokenizer)[0] <= 60


def test_a_changed_token_budget_makes_texts_anew(picture, tmp_path):
    assert encode(picture, "--tokens", 60, "--out", tmp_path).exit_code == 0
    small = (tmp_path / "five.txt").read_text(encoding="utf-8")
    assert encode(picture, "--tokens", 300, "--out", tmp_path).exit_code == 0
    assert len((tmp_path / "five.txt").read_text(encoding="utf-8")) > len(small)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--tokens", 2], "one column of format seed costs 11 tokens, more than the 2 allowed"),
        (["--tokens", 9, "--tokenizer", "nope"], "nope: cannot be read"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_an_error(picture, glyphsight, options, complaint):
    done = glyphsight("encode", picture, *options)
    assert done.returncode == 1
    assert complaint in done.stderr.decode()


@pytest.mark.parametrize("other", [["--width", 20], ["--fast-jpeg"]])
def test_a_budget_excludes_what_it_decides(picture, other):
    result = encode(picture, "--tokens", 60, *other)
    assert result.exit_code == 2
    assert f"give {other[0]} or --tokens, not both" in result.stderr
