"""What the README tells a user to type works as it stands there."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

import program
from glyphsight.cli.app import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]
BLOCKS = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines()]


def run(command, directory):
    """Run a line of the README in a directory, files it copies taken from the repository."""
    name, *arguments = shlex.split(command)
    if "--forgetting" in arguments:  # a short text: the one that ships takes a minute
        (directory / "data" / "short.txt").write_text("The cat sat on the mat. " * 20)
        arguments += ["--text", "data/short.txt"]
    if name == "cp":
        return shutil.copy(ROOT / arguments[0], directory / arguments[1])
    if name == "python":
        line = [sys.executable, str(ROOT / arguments[0]), *arguments[1:]]
        subprocess.run(line, cwd=directory, check=True)
        return ""
    done = program.run(*arguments, directory=directory)
    assert done.returncode == 0, (command, done.stderr)
    assert done.stdout or "--out" in arguments
    return done.stdout.decode()


@pytest.mark.slow
def test_the_commands_run_in_order_and_give_what_the_page_says(tmp_path):
    said = {
        command: run(command, tmp_path)
        for command in COMMANDS
        if command.split(" ")[0] in ("cp", "python", "glyphsight")
    }
    assert len(said) >= 18
    five = (ROOT / "tests" / "golden" / "five.txt").read_text("utf-8")
    assert said["glyphsight encode five.png"] == five
    assert said["glyphsight see five.png --model nano-digits"].startswith("five.png: 5 (")
    [measured] = [
        text for command, text in said.items() if "evaluate --model runs/shapes" in command
    ]
    assert float(re.search(r"by label likelihood +([\d.]+) %", measured)[1]) > 80
    assert (tmp_path / "why.png").is_file()
    assert (tmp_path / "runs" / "shapes" / "evaluation" / "report.html").is_file()
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    written = [f"{one.name}{'/' * one.is_dir()}" for one in tmp_path.iterdir()]
    assert [name for name in written if not {name, f"/{name}"} & set(ignored)] == []


class Upstream(BaseHTTPRequestHandler):
    """Records what it is asked, and answers like a model."""

    asked: ClassVar[list] = []

    def do_POST(self):
        self.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"choices": [{"message": {"content": "A five."}}]}')

    def log_message(self, *_):
        pass


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="apt-get install curl")
def test_three_lines_let_a_model_see(tmp_path):
    pytest.importorskip("starlette", reason="pip install 'glyphsight[serve]'")
    start, point, send = re.search(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[
        1
    ].splitlines()
    shutil.copy(ROOT / "tests" / "golden" / "five.png", tmp_path)
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    arguments = shlex.split(start.removesuffix("&"))[1:]
    arguments[arguments.index("--upstream") + 1] = f"http://127.0.0.1:{upstream.server_port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "glyphsight", *arguments, "--port", "0"],
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        lines = iter(server.stderr.readline, "")
        address = next(filter(None, (re.search(r"http://127.0.0.1:\d+", one) for one in lines)))[0]
        lines = f"{point.replace('http://localhost:8000', address)}\n{send}"
        done = subprocess.run(["bash", "-c", lines], cwd=tmp_path, capture_output=True, check=True)
    finally:
        server.terminate()
        server.communicate()
        upstream.shutdown()
        upstream.server_close()
    assert b"A five." in done.stdout
    [picture, question] = Upstream.asked[0]["messages"][0]["content"]
    assert picture["text"].startswith("Picture 1 (28x28 pixels) as text")
    assert "a handwritten digit: 5" in picture["text"]
    assert question["text"] == "What is this?"


def test_the_page_of_a_package_index_has_the_first_commands_and_leads_nowhere_that_is_missing():
    page = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["readme"]
    text = (ROOT / page).read_text("utf-8")
    typed = [line for line in text.splitlines() if line.startswith("glyphsight ")]
    assert typed == [line for line in BLOCKS[1].splitlines() if line.startswith("glyphsight ")][:5]
    assert not re.search(r"]\(|<img|src=", text)


def test_every_command_of_the_program_is_on_the_page():
    for verb in VERBS:
        assert f"`{verb}" in README or f"glyphsight {verb} " in README or f"make {verb}" in README


def test_the_two_make_commands_are_there():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
    assert named == ["demo", "test"]
    assert all(f"\n{name}: " in makefile for name in named)


def test_the_terminal_picture_shows_the_first_commands():
    drawn = (ROOT / "docs" / "images" / "terminal.svg").read_text("utf-8")
    first = [line for line in BLOCKS[1].splitlines() if line.startswith("glyphsight ")]
    assert len(first) == 6
    assert re.findall(r'class="typed">([^<]*)<', drawn) == first


def test_the_files_and_folders_it_names_are_there():
    tree = re.search(r"## What is where\n\n```text\n(.*?)```", README, re.DOTALL)[1]
    names = re.findall(r"^( *)([\w./]+)", tree, re.MULTILINE)
    assert len(names) > 10
    folder = ROOT
    for indent, name in names:
        folder = ROOT / "src" / "glyphsight" if indent else ROOT
        assert (folder / name).exists(), name


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    for link in re.findall(r'src="([^"]+)"|\]\(([^)#]+)\)', text):
        target = next(filter(None, link))
        assert target.startswith("http") or (ROOT / page).parent.joinpath(target).exists(), target
