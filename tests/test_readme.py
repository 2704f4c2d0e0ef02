"""What the README tells a user to type works as it stands there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_the_commands_run_in_order(tmp_path):
    [block] = re.findall(r"## Use it\n\n```\n(.*?)```", README, re.DOTALL)
    copied, *commands = [line.split("#")[0].strip() for line in block.splitlines()]
    program, *files, target = shlex.split(copied)
    assert (program, len(files), target) == ("cp", 2, ".")
    for file in files:
        shutil.copy(ROOT / file, tmp_path)
    assert len(commands) == 14
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "glyphsight"
        result = subprocess.run(
            [sys.executable, "-m", "glyphsight", *arguments],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert result.returncode == 0, (command, result.stderr)
        assert result.stdout or "--out" in arguments
    assert (tmp_path / "why.png").is_file()
    assert (tmp_path / "runs" / "mine" / "evaluation" / "report.html").is_file()


def test_the_files_and_folders_it_names_are_there():
    tree = re.search(r"## What is where\n\n```\n(.*?)```", README, re.DOTALL)[1]
    names = re.findall(r"^( *)([\w./]+)", tree, re.MULTILINE)
    assert len(names) > 10
    folder = ROOT
    for indent, name in names:
        folder = ROOT / "src" / "glyphsight" if indent else ROOT
        assert (folder / name).exists(), name
    for link in re.findall(r'src="([^"]+)"|\]\(([^)#]+)\)', README):
        target = next(filter(None, link))
        assert target.startswith("http") or (ROOT / target).exists(), target
