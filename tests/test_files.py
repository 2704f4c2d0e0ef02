import pytest

from glyphsight.errors import GlyphsightError
from glyphsight.files import replacing


def write(path, text):
    with replacing(path) as stream:
        stream.write(text)


def test_the_file_is_replaced_when_the_block_ends_well(tmp_path):
    path = tmp_path / "x.txt"
    write(path, "old")
    write(path, "▓\n")
    assert path.read_bytes() == "▓\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_are_written_as_they_are(tmp_path):
    with replacing(tmp_path / "x", "wb") as stream:
        stream.write(b"\r\n\xff")
    assert (tmp_path / "x").read_bytes() == b"\r\n\xff"


def interrupt(path):
    with replacing(path) as stream:
        stream.write("new")
        stream.flush()
        raise KeyboardInterrupt


def test_the_old_file_stays_and_nothing_is_left_when_the_block_raises(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        interrupt(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_appears_when_the_block_raises(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path / "x.txt")
    assert list(tmp_path.iterdir()) == []


def test_missing_directories_are_made(tmp_path):
    write(tmp_path / "a" / "b" / "x.txt", "x")
    assert (tmp_path / "a" / "b" / "x.txt").read_text(encoding="utf-8") == "x"


def test_the_file_has_the_rights_a_plain_one_would_have(tmp_path):
    write(tmp_path / "x.txt", "x")
    (tmp_path / "plain.txt").write_text("x", encoding="utf-8")
    assert (tmp_path / "x.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_a_place_where_nothing_can_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(GlyphsightError, match=r"x\.txt: .*file is not a directory"):
        write(tmp_path / "file" / "x.txt", "x")
    with pytest.raises(GlyphsightError, match=r"x\.txt: .*file.deeper is not a directory"):
        write(tmp_path / "file" / "deeper" / "x.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(GlyphsightError, match="folder: cannot be written"):
        write(tmp_path / "folder", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
