"""The conformance set: ours meets it, the codec in JavaScript too, and its runner finds flaws."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pages import commands

ROOT = Path(__file__).parents[1]
RUNNER = ROOT / "conformance" / "run.py"
LINES = (RUNNER.parent / "cases.jsonl").read_text("utf-8").splitlines()
CASES = [json.loads(line) for line in LINES]
PAGE = (ROOT / "docs" / "format.md").read_text("utf-8")


def check(*command):
    """Run the runner with a command; give its exit status, its last line and what it printed."""
    done = subprocess.run(
        [sys.executable, str(RUNNER), *command],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        check=False,
    )
    return done.returncode, (done.stdout.splitlines() or [done.stderr])[-1], done.stdout


def run_line(number):
    """Run a command line of the page."""
    python, runner, *command = shlex.split(commands("docs/format.md")[number])
    assert (python, runner) == ("python", "conformance/run.py")
    return check(*(sys.executable if one == "python" else one for one in command))


def test_our_codec_gives_every_text():
    assert run_line(0)[:2] == (0, "120 of 120 right, 0 refused, 0 wrong")


@pytest.mark.skipif(not shutil.which("node"), reason="apt-get install nodejs")
def test_the_codec_in_javascript_gives_every_text_that_it_does_not_refuse():
    status, last, printed = run_line(1)
    assert (status, last) == (0, "113 of 120 right, 7 refused, 0 wrong")
    assert "113 of 120 right and 7 refused" in PAGE
    fields = set(re.findall(r"^refused .*?: (\w+ \S+) is not", printed, re.MULTILINE))
    assert fields == {'edges "sobel"', 'edges "dog"', "ink true", "paper true"}


@pytest.mark.slow
def test_the_set_is_what_its_script_makes(tmp_path, monkeypatch):
    pytest.importorskip("soundfile", reason="pip install 'glyphsight[audio]'")
    program = ROOT / "scripts" / "conformance_cases.py"
    monkeypatch.setattr(sys, "argv", [str(program), "--out", str(tmp_path / "cases.jsonl")])
    monkeypatch.setattr(sys, "path", [*sys.path])
    runpy.run_path(str(program), run_name="__main__")
    assert (tmp_path / "cases.jsonl").read_bytes() == (RUNNER.parent / "cases.jsonl").read_bytes()


def test_it_has_a_hundred_pictures_and_twenty_sounds_of_every_field():
    assert (sum("pixels" in one for one in CASES), sum("samples" in one for one in CASES)) == (
        100,
        20,
    )
    assert len({one["name"] for one in CASES}) == 120
    for field in CASES[0]["profile"]:
        assert len({json.dumps(one["profile"][field]) for one in CASES}) > 1, field
    assert all(
        len(set(one["text"])) > 3 for one in CASES if one["name"].startswith(("ink", "paper"))
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda reply: reply | {"text": reply["text"].replace(" ", "█", 1)}, "line 1 is"),
        (lambda reply: reply | {"text": reply["text"].rstrip()}, "newline"),
        (lambda reply: {"name": reply["name"]}, "print a string"),
        (lambda reply: {"text": reply["text"]}, "with a name"),
        (lambda reply: reply | {"name": "other"}, "is no case"),
    ],
)
def test_the_runner_says_what_is_wrong(tmp_path, change, said):
    replies = [{"name": one["name"], "text": one["text"]} for one in CASES]
    replies[0] = change(replies[0])
    lines = "".join(json.dumps(reply) + "\n" for reply in replies)
    (tmp_path / "replies").write_text(lines, "utf-8")
    copy = f"import sys; sys.stdin.read(); print(open({str(tmp_path / 'replies')!r}).read())"
    status, last, printed = check(sys.executable, "-c", copy)
    assert status == 1
    assert said in printed
    assert last.startswith("119 of 120 right")


def test_a_command_that_fails_is_wrong():
    status, last, printed = check(sys.executable, "-c", "raise SystemExit(3)")
    assert status == 1
    assert "status 3" in printed
    assert last == "0 of 120 right, 0 refused, 120 wrong"


def test_both_pages_have_the_same_commands():
    assert commands("conformance/README.md") == commands("docs/format.md")
