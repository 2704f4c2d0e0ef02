import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import glyphsight
from glyphsight.cli.app import app
from glyphsight.errors import GlyphsightError
from glyphsight.files import JsonLog
from glyphsight.inference import Model

pytestmark = pytest.mark.slow


def see(*arguments, stdin=None):
    command = ["see", "--jsonl", "--model", "nano-digits", *map(str, arguments)]
    return CliRunner().invoke(app, command, input=stdin)


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def pictures(validation, tmp_path_factory):
    """70 digits, a file that is none, a flat picture and one too tall."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(validation.pixels[:70]):
        shown = pixels if number % 2 else 255 - pixels
        Image.fromarray(shown).save(folder / f"{number:02}.png")
    (folder / "07b.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "flat.png")
    Image.new("L", (1, 300)).save(folder / "tall.png")
    return folder


@pytest.fixture(scope="module")
def answered(pictures):
    return see(pictures)


def test_each_good_picture_of_a_folder_is_a_line_and_each_bad_one_is_named(answered, pictures):
    assert answered.exit_code == 1
    found = rows(answered.stdout)
    names = [f"{number:02}.png" for number in range(70)] + ["flat.png"]
    assert [row["path"] for row in found] == [str(pictures / name) for name in names]
    assert [row["inverted"] for row in found[:4]] == [True, False, True, False]
    assert [row["empty"] for row in found] == [False] * 70 + [True]
    assert (found[-1]["label"], found[-1]["known"]) == ("unknown", False)
    for row in found[:-1]:
        assert row["known"]
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
        assert row["probability"] == max(row["probabilities"].values())
        assert row["model"] == "nano-digits"
    errors = answered.stderr.splitlines()
    assert len(errors) == 2
    assert f"{pictures}/07b.png" in errors[0]
    assert f"{pictures}/tall.png: 300x1 pixels are too tall as text" in errors[1]


def test_many_at_once_are_answered_as_each_alone(answered, pictures):
    command = ["see", "--json", "--model", "nano-digits", str(pictures / "05.png")]
    [alone] = json.loads(CliRunner().invoke(app, command).stdout)
    together = rows(answered.stdout)[5]
    assert together["label"] == alone["label"]
    assert together["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-4)
    assert "ascii_image" not in together
    shown = rows(see("--show", pictures / "05.png").stdout)[0]
    assert shown["ascii_image"] == alone["ascii_image"]


def test_a_file_is_gone_on_with_after_a_torn_line(answered, pictures, tmp_path):
    out = tmp_path / "out.jsonl"
    assert see(pictures, "--out", out).exit_code == 1
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:64]) + lines[64][:20])
    done = see(pictures, "--out", out)
    assert done.stdout == ""
    assert f"{out}: 7 answers written; 64 were there already" in done.stderr
    found = rows(out.read_text())
    expected = rows(answered.stdout)
    assert [row | {"state": ""} for row in expected[:64]] == [
        row | {"state": ""} for row in found[:64]
    ]
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    assert [row["label"] for row in found] == [row["label"] for row in expected]


def test_a_picture_that_changed_is_answered_again_and_its_old_line_goes(pictures, tmp_path):
    out, names = tmp_path / "out.jsonl", ["a.png", "b.png", "c.png"]
    files = [tmp_path / name for name in names]
    for file, own in zip(files, ("01.png", "02.png", "03.png"), strict=True):
        shutil.copy(pictures / own, file)
    assert see(*files, "--out", out).exit_code == 0
    first = rows(out.read_text())
    shutil.copy(pictures / "06.png", files[1])
    [other] = rows(see(files[1]).stdout)
    assert first[1]["label"] != other["label"]
    done = see(*files, "--out", out)
    assert "out.jsonl: 1 answers written; 2 were there already" in done.stderr
    found = rows(out.read_text())
    assert found[:2] == [first[0], first[2]]
    assert {**found[2], "state": ""} == {**other, "state": ""}
    before = out.read_bytes()
    files[0].unlink()  # what is gone keeps its answer
    assert "0 answers written; 3 were there already" in see(*files, "--out", out).stderr
    assert out.read_bytes() == before
    killed = [first[1], *found]  # before the old line went
    out.write_text("".join(json.dumps(row) + "\n" for row in killed))
    assert see(*files, "--out", out).exit_code == 0
    assert rows(out.read_text()) == found


def test_paths_come_from_a_file_or_standard_input(pictures, tmp_path):
    paths = f"{pictures}/01.png\n\n{pictures}/none.png\r\n{pictures}/02.png"
    (tmp_path / "paths.txt").write_text(paths)
    by_file = see("--files-from", tmp_path / "paths.txt")
    by_stdin = see("--files-from", "-", stdin=paths)
    assert by_file.stdout == by_stdin.stdout
    assert [row["path"][-6:] for row in rows(by_file.stdout)] == ["01.png", "02.png"]
    assert by_file.exit_code == by_stdin.exit_code == 1
    assert "none.png: no such file" in by_file.stderr


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b""])
def test_a_list_of_paths_may_begin_with_a_byte_order_mark_and_name_any_bytes(
    pictures, tmp_path, start
):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    shutil.copy(pictures / "01.png", odd)
    paths = start + f"{pictures}/01.png\r\n{pictures}/02.png\r\n".encode() + os.fsencode(odd)
    (tmp_path / "paths.txt").write_bytes(paths)
    for done in (
        see("--files-from", tmp_path / "paths.txt"),
        see("--files-from", "-", stdin=paths),
    ):
        assert done.exit_code == 0, done.stderr
        assert [row["path"][-6:-4] for row in rows(done.stdout)] == ["01", "02", odd[-6:-4]]


def test_a_list_of_paths_in_utf_16_is_refused_with_the_fix(pictures, tmp_path):
    (tmp_path / "paths.txt").write_text(f"{pictures}/01.png\n", encoding="utf-16")
    assert "paths.txt: is in UTF-16; save it in UTF-8" in refused(
        "--files-from", tmp_path / "paths.txt", "--model", "nano-digits"
    )


@pytest.mark.parametrize("form", [(), ("--jsonl",)])
def test_an_answer_is_printed_before_the_next_picture_is_named(pictures, form):
    command = [sys.executable, "-m", "glyphsight", "see", "--model", "nano-digits", *form]
    with subprocess.Popen(
        [*command, "--files-from", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(glyphsight.__file__).parents[1])},
    ) as program:
        program.stdin.write(f"{pictures}/01.png\n".encode())
        program.stdin.flush()
        assert b"01.png" in program.stdout.readline()
        program.stdin.close()
        assert program.stdout.read() == b""
    assert program.returncode == 0


def test_the_pictures_of_a_folder_are_read_in_order(pictures):
    done = CliRunner().invoke(app, ["see", "--model", "nano-digits", str(pictures)])
    assert done.exit_code == 1
    names = [*(f"{number:02}" for number in range(70)), "flat"]
    said = [
        line.removeprefix(f"{pictures}/").split(".png: ")[0] for line in done.stdout.splitlines()
    ]
    assert said == names


def test_workers_answer_alike(answered, pictures):
    done = see(pictures, "--workers", 2)
    assert done.exit_code == 1
    for line, alone in zip(*(d.stdout.splitlines() for d in (done, answered)), strict=True):
        mine, other = json.loads(line), json.loads(alone)
        # Each worker has a share of the threads, and the order of sums is theirs.
        chances = [one.pop("probabilities") for one in (mine, other)]
        assert chances[0] == pytest.approx(chances[1], abs=1e-4)
        assert mine.pop("probability") == pytest.approx(other.pop("probability"), abs=1e-4)
        assert mine == other


def refused(*arguments):
    with pytest.raises(GlyphsightError) as caught:
        CliRunner().invoke(app, ["see", "--jsonl", *map(str, arguments)], catch_exceptions=False)
    return str(caught.value)


def test_a_file_with_other_answers_is_left_as_it_is(pictures, nano_run, tmp_path):
    out = tmp_path / "out.jsonl"
    run = shutil.copytree(nano_run, tmp_path / "run")
    assert see(pictures / "01.png", "--out", out).exit_code == 0
    before = out.read_bytes()
    more = (pictures, "--out", out)
    assert "model 'nano-digits', now" in refused(*more, "--model", run)
    assert "show False, now True" in refused(*more, "--model", "nano-digits", "--show")
    assert out.read_bytes() == before
    own = tmp_path / "own.jsonl"
    asked = (pictures / "01.png", "--out", own, "--model", run)
    assert see(*asked).exit_code == 0
    os.utime(run / "glyphsight.json", (0, 0))
    assert "trained" in refused(*asked)
    other = tmp_path / "other.jsonl"
    other.write_text("hello\n")
    assert "no log of ours" in refused(pictures, "--model", "nano-digits", "--out", other)
    assert other.read_text() == "hello\n"


def test_a_file_is_of_one_talker(pictures, tmp_path, monkeypatch):
    def told(name):
        talker = SimpleNamespace(name=name, chat=lambda messages, most: f"{name} says no")
        monkeypatch.setattr(Model, "talker", talker)
        words = (pictures / "01.png", "--out", tmp_path / "out.jsonl", "--ask", "Is it blue?")
        return (*words, "--talker", name)

    assert see(*told("one")).exit_code == 0
    [row] = rows((tmp_path / "out.jsonl").read_text())
    assert (row["name"], row["said"][:17]) == ("one says no", "The picture shows")
    assert "talker 'one', now 'two'" in refused(*told("two"), "--model", "nano-digits")


def test_a_talker_is_not_asked_about_a_picture_that_is_not_known(tmp_path, monkeypatch):
    asked = []

    def chat(messages, most):
        asked.append(messages[-1]["content"])
        return "No."

    monkeypatch.setattr(Model, "talker", SimpleNamespace(name="one", chat=chat))
    Image.fromarray(np.full((60, 60), 230, np.uint8)).save(tmp_path / "blank.png")
    told = [
        rows(see(tmp_path / "blank.png", "--talker", "one", "--ask", words).stdout)[0]
        for words in ("Is it odd?", "Name a fruit, please.")
    ]
    assert [one["name"] for one in told] == ["nothing I know", "No."]
    assert asked == ["Name a fruit, please."]


def test_the_name_that_a_talker_was_told_is_explained(pictures, tmp_path, monkeypatch):
    talker = SimpleNamespace(name="one", chat=lambda messages, most: "it is odd")
    monkeypatch.setattr(Model, "talker", talker)
    drawn = tmp_path / "why.png"
    words = ("--model", "nano-digits", "--talker", "one", "--ask", "Is it odd?", "--explain", drawn)
    done = CliRunner().invoke(app, ["see", *map(str, (pictures / "01.png", *words))])
    assert done.exit_code == 0, done.stderr
    assert "it is odd" in done.stdout
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_a_talker_without_a_question_is_refused(pictures):
    assert "is of use with --ask" in see(pictures / "01.png", "--talker", "one").stderr


def test_a_resumed_file_keeps_its_engine(pictures, tmp_path):
    pytest.importorskip("onnxruntime")
    out, named = tmp_path / "out.jsonl", tmp_path / "named.txt"
    named.write_text(f"{pictures / '01.png'}\n")
    listed = ("--files-from", named, "--out")  # of any number, so that int8 weights answer
    assert see(*listed, out).exit_code == 0
    assert JsonLog.noted(out)["engine"] == "fast"
    assert see(pictures / "02.png", "--out", out).exit_code == 0
    named.write_text(f"{pictures / '01.png'}\n{pictures / '02.png'}\n")
    assert see(*listed, tmp_path / "again.jsonl").exit_code == 0
    assert out.read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert see(pictures / "02.png", "--out", tmp_path / "few.jsonl").exit_code == 0
    assert JsonLog.noted(tmp_path / "few.jsonl")["engine"] == "numpy"


def test_a_file_is_written_by_one_process_at_a_time(pictures, tmp_path):
    out = tmp_path / "out.jsonl"
    settings = {"model": "nano-digits", "trained": None, "ask": None, "show": False}
    settings["engine"] = "numpy"
    with JsonLog(out, settings) as first:
        first.append([{"path": str(pictures / "01.png")}])
        said = refused(pictures, "--model", "nano-digits", "--out", out)
        assert "another process is writing it; wait" in said
    assert "1 were there already" in see(pictures, "--out", out).stderr


def test_one_document_and_many_lines_are_not_both_given():
    result = see("--json", "x.png")
    assert result.exit_code == 2
    assert "give one of --json and --jsonl" in " ".join(result.stderr.split())


@pytest.mark.parametrize("kept", [False, True])
def test_ctrl_c_says_how_to_go_on_only_where_something_is_kept(pictures, tmp_path, kept):
    out = ["--out", str(tmp_path / "out.jsonl")] if kept else []
    command = [sys.executable, "-m", "glyphsight", "see", "--jsonl", "--files-from", "-", *out]
    command += ["--model", "nano-digits"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(glyphsight.__file__).parents[1])},
        # A background job of a shell ignores it, and so would what the tests start in one.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as program:
        # More than a chunk, so that a line comes while it waits for more.
        program.stdin.write(f"{pictures}/01.png\n".encode() * 64)
        program.stdin.flush()
        if kept:
            while not ((tmp_path / "out.jsonl").exists() and (tmp_path / "out.jsonl").read_bytes()):
                time.sleep(0.01)
        else:
            program.stdout.readline()
        program.send_signal(signal.SIGINT)
        said = program.stderr.read().decode()
        program.wait()
    assert program.returncode == 130
    ending = "; the same command resumes from here\n" if kept else "\n"
    assert said.endswith(f"glyphsight: stopped{ending}")
