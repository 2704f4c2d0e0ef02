import errno
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import glyphsight
from glyphsight.errors import GlyphsightError
from glyphsight.files import JsonLog, cached, hash64, matching, replacing, walk


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


def test_the_file_has_the_rights_a_plain_one_would_have(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "umask")  # setting it opens the files of other threads to all
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


def test_a_long_name_is_written(tmp_path):
    write(tmp_path / ("x" * 255), "x")
    assert (tmp_path / ("x" * 255)).read_text(encoding="utf-8") == "x"


def test_a_full_disk_is_said_to_be_full(tmp_path):
    with (
        pytest.raises(GlyphsightError, match=r"x\.txt: .*No space left.*free some space"),
        replacing(tmp_path / "x.txt"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_log_that_cannot_grow_says_so_when_it_is_closed_too(tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = JsonLog(tmp_path / "log", {})
    log.append([1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        for write in (partial(log.append, ["x" * 20]), log.close):
            with pytest.raises(GlyphsightError, match=r"log: cannot be written .*another path"):
                write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with JsonLog(tmp_path / "log", {}) as log:
        assert list(log) == [1]


def test_what_is_cached_is_made_once(tmp_path):
    made = []

    def make(path):
        made.append(path)
        path.write_text("x", encoding="utf-8")

    for _ in range(2):
        assert cached(tmp_path / "a" / "x.txt", make) == tmp_path / "a" / "x.txt"
    assert len(made) == 1
    assert (tmp_path / "a" / "x.txt").read_text(encoding="utf-8") == "x"


def test_a_cached_directory_that_is_damaged_is_made_again(tmp_path):
    def make(path):
        path.mkdir()
        (path / "whole").write_text("", encoding="utf-8")

    target = tmp_path / "x"
    target.mkdir()
    (target / "half").write_text("", encoding="utf-8")
    cached(target, make, lambda path: (path / "whole").exists())
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_nothing_is_cached_where_making_it_failed(tmp_path):
    def make(path):
        path.write_text("half", encoding="utf-8")
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        cached(tmp_path / "x", make)
    assert [path.name for path in tmp_path.iterdir()] == [".x.lock"]


MAKERS = """
import sys, time
from pathlib import Path
from glyphsight.files import cached

def make(path):
    time.sleep(0.3)
    path.write_text("x")
    print("made")

cached(Path(sys.argv[1]), make)
"""


def test_processes_that_want_the_same_wait_for_one_another(tmp_path):
    home = str(Path(glyphsight.__file__).parents[1])
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", MAKERS, tmp_path / "x"],
            env=os.environ | {"PYTHONPATH": home},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert sorted(run.communicate()[0] for run in runs) == ["", "", "made\n"]
    assert not any(run.returncode for run in runs)


def test_a_link_keeps_leading_to_the_file_that_is_replaced(tmp_path):
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    with replacing(tmp_path / "link") as stream:
        stream.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GlyphsightError, match="is no file but a device or a pipe"):
        write(tmp_path / "pipe", "1")
    assert (tmp_path / "pipe").is_fifo()


def test_a_log_of_the_same_settings_is_resumed_and_a_torn_line_dropped(tmp_path):
    path = tmp_path / "a" / "log.jsonl"
    with JsonLog(path, {"seed": 1}) as log:
        assert log.count == 0
        log.append([{"n": 0}, "▓"])
        log.append(["\udcff"], sync=False)
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"n": ')
    with JsonLog(path, {"seed": 1}) as log:
        assert log.count == 3
        log.append([4])
        assert list(log) == [{"n": 0}, "▓", "\udcff", 4]
    assert path.read_text(encoding="utf-8").splitlines()[:2] == ['{"n": 0}', '"▓"']


def test_settings_of_a_log_may_hold_bytes_that_are_not_utf8(tmp_path):
    settings = {"model": "run-\udcff"}
    with JsonLog(tmp_path / "log", settings) as log:
        log.append([1])
    with JsonLog(tmp_path / "log", settings) as log:
        assert list(log) == [1]


def test_lines_of_a_log_can_be_cut_to_whole_chunks(tmp_path):
    with JsonLog(tmp_path / "log", {}) as log:
        log.append(range(7))
        log.truncate(5)
        assert (log.count, list(log)) == (5, [0, 1, 2, 3, 4])
        log.append(["x"])
        assert list(log)[4:] == [4, "x"]


def test_a_log_of_other_settings_is_refused_or_started_again(tmp_path):
    path = tmp_path / "log.jsonl"
    with JsonLog(path, {"seed": 1, "name": (1, 2)}) as log:
        log.append([1])
    with pytest.raises(GlyphsightError, match=r"was written with seed 1, now 2; choose"):
        JsonLog(path, {"seed": 2, "name": (1, 2)})
    with JsonLog(path, {"seed": 2}, restart=True) as log:
        assert (log.count, list(log)) == (0, [])
        log.append([2])
    with JsonLog(path, {"seed": 2}) as log:
        assert list(log) == [2]


def test_a_file_of_others_is_no_log(tmp_path):
    (tmp_path / "log.jsonl").write_text("mine\n", encoding="utf-8")
    with pytest.raises(GlyphsightError, match=r"log\.jsonl: is there already and no log of ours"):
        JsonLog(tmp_path / "log.jsonl", {})
    assert (tmp_path / "log.jsonl").read_text(encoding="utf-8") == "mine\n"


def test_a_log_is_held_by_one_process_until_it_is_closed(tmp_path):
    with JsonLog(tmp_path / "log", {}) as log:
        log.append([1])
        with pytest.raises(GlyphsightError, match="another process is writing it; wait for it"):
            JsonLog(tmp_path / "log", {}, restart=True)
        assert list(log) == [1]
    JsonLog(tmp_path / "log", {}).close()


def test_lines_of_a_log_are_dropped_and_the_rest_stays(tmp_path):
    with JsonLog(tmp_path / "log", {}) as log:
        log.append(range(6))
        log.drop({1, 4})
        log.append([6])
        assert list(log) == [0, 2, 3, 5, 6]
        log.drop(set())
        log.drop({4})
    with JsonLog(tmp_path / "log", {}) as log:
        assert list(log) == [0, 2, 3, 5]


def test_a_damaged_line_of_a_log_is_named(tmp_path):
    with JsonLog(tmp_path / "log", {}) as log:
        log.append([1])
    with (tmp_path / "log").open("a", encoding="utf-8") as stream:
        stream.write("{\n")
    with JsonLog(tmp_path / "log", {}) as log, pytest.raises(GlyphsightError, match="log: line 2"):
        list(log)


def test_a_log_where_nothing_can_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(GlyphsightError, match=r"file is not a directory; choose another path"):
        JsonLog(tmp_path / "file" / "log", {})


def test_equal_texts_have_equal_hashes():
    assert hash64("a\udcff") == hash64("a\udcff") != hash64("b")
    assert hash64("a") == hash64(b"a") < 1 << 64


def test_files_behind_links_are_listed_once_each_way_and_no_link_leads_back(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").touch()
    (tmp_path / "cat" / "Thumbs.db").touch()
    (tmp_path / "kitten").symlink_to(tmp_path / "cat")
    (tmp_path / "cat" / "all").symlink_to(tmp_path)
    assert walk(tmp_path) == ["cat/1.png", "kitten/1.png"]


def test_what_exists_of_a_pattern_is_taken_as_it_is_written(tmp_path, monkeypatch):
    for name in ("x1/a.png", "x[1]/a.png", "x[1]/b [2].png", "x[1]/sub/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    here = f"{tmp_path}/"
    assert matching(f"{here}x[1]/*.png") == (f"{here}x[1]/", ["a.png", "b [2].png"])
    assert matching(f"{here}x[1]/b [2].png") == (f"{here}x[1]/", ["b [2].png"])
    assert matching(f"{here}x[[]1]/**/*.png")[1] == [
        *("x[1]/a.png", "x[1]/b [2].png", "x[1]/sub/c.png")
    ]
    assert matching(f"{here}nothing/*.png") == (here, [])
    monkeypatch.chdir(tmp_path)
    assert matching("x?/*.png") == ("", ["x1/a.png"])
    assert matching("x1/a.png") == ("x1/", ["a.png"])
    assert matching("") == ("", [])
