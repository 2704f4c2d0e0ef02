import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import glyphsight as package
import program


@pytest.fixture
def glyphsight(tmp_path):
    """Runs the program as a user does, in an empty directory."""

    def run(*arguments, stdin=b"", **variables):
        command = [sys.executable, "-m", "glyphsight", *map(str, arguments)]
        home = str(Path(package.__file__).parents[1])  # a relative PYTHONPATH would not reach here
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": home} | variables,
            timeout=300,
        )

    return run


@pytest.fixture
def at_once(tmp_path):
    """Runs the program there too, in this process: where it imports torch that saves seconds."""
    return partial(program.run, directory=tmp_path)
