import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import glyphsight as package
from glyphsight.cli.app import app, main
from glyphsight.models.runs import SHIPPED_RUNS
from glyphsight.version import __version__

HEAVY = ["torch", "transformers", "datasets", "peft", "matplotlib", "jinja2", "gguf"]


def test_help_is_there_and_names_every_verb(glyphsight):
    done = glyphsight("--help")
    assert (done.returncode, done.stderr) == (0, b"")
    for verb in (b"encode", b"decode", b"dataset", b"train", b"evaluate", b"see", b"demo"):
        assert b"\n  " + verb + b" " in done.stdout


def test_the_version_is_printed():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"glyphsight {__version__}\n")


def test_options_stand_under_the_title_of_their_group():
    said = CliRunner().invoke(app, ["dataset", "build", "--help"]).stdout
    titles = ["Options:", "From picture to text:", "Changed copies of training pictures:"]
    places = [said.index(f"\n{title}\n") for title in titles]
    assert places == sorted(places)
    assert places[1] < said.index("  --dither ") < places[2] < said.index("  --rotation ")


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys; from typer.testing import CliRunner; from glyphsight.cli.app import app; "
        "CliRunner().invoke(app, ['--help']); assert 'glyphsight.cli.train' in sys.modules; "
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (b"[]", b"")


@pytest.mark.parametrize("given", [{}, {"OMP_WAIT_POLICY": "active"}])
def test_threads_that_wait_do_not_spin_unless_the_user_wants_it(given):
    env = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")} | given
    code = (
        "import os; from glyphsight.cli import app; names = 'OMP_WAIT_POLICY', 'OMP_DYNAMIC'; "
        "app.app = lambda **_: print(*map(os.getenv, names)); app.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, timeout=60)
    assert done.stdout.decode().split() == [given.get("OMP_WAIT_POLICY", "passive"), "None"]


def test_importing_the_package_alone_imports_none_of_its_dependencies():
    names = [*HEAVY, "numpy", "PIL", "typer", "tqdm"]
    code = f"import sys, glyphsight; print([m for m in {names} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (b"[]", b"")


@pytest.mark.parametrize(
    "arguments", [["--nope"], ["nope"], ["encode"], ["encode", "--nope", "x"], ["decode", "x"]]
)
def test_wrong_usage_ends_with_status_2(arguments):
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("encode", "--help"),
        ("encode", "{}/five.png", "--jsonl"),
        ("encode", *["{}/five.png"] * 300),
        ("decode", "{}/five.txt", "--levels"),
        ("tokens", "{}/five.png", "--json"),
        ("see", "{}/five.png", "--model", "nano-digits"),
        ("see", "{}/five.png", "--model", "nano-digits", "--jsonl"),
        ("dataset", "build", "--help"),
    ],
    ids=" ".join,
)
def test_a_reader_that_has_enough_ends_the_program_quietly(golden, words, unbuffered):
    command = [sys.executable, "-m", "glyphsight", *(word.format(golden) for word in words)]
    home = os.environ | {"PYTHONPATH": str(Path(package.__file__).parents[1])}
    home |= {"PYTHONUNBUFFERED": unbuffered}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, env=home) as program:
        program.stdout.close()  # as head does
        said = program.stderr.read()
    assert (program.returncode, said) == (141, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_program_with_closed_streams_writes_what_it_is_told_to(golden, tmp_path, closed):
    command = f"{sys.executable} -m glyphsight encode {golden}/five.png --out {tmp_path} {closed}"
    home = os.environ | {"PYTHONPATH": str(Path(package.__file__).parents[1])}
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=home)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "five.txt").read_bytes() == (golden / "five.txt").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("encode -", "glyphsight: /dev/null: an empty file"),
        ("decode - --levels", "glyphsight: -: "),
        ("tokens -", "glyphsight: /dev/null: an empty file"),
        ("see - --model nano-digits", "glyphsight: /dev/null: an empty file"),
    ],
)
def test_closed_standard_input_is_an_empty_file(words, said):
    command = f"{sys.executable} -m glyphsight {words} <&-"
    home = os.environ | {"PYTHONPATH": str(Path(package.__file__).parents[1])}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=home)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("encod five.png", "encode"),
        ("encode five.png --format plan", "plain"),
        ("dataset build --source folders:icons --out data", "folder"),
        ("train --data data --out run --set minuts=3", "minutes"),
        ("see five.png --model nano-digts", "nano-digits"),
        ("see five.png --model runs/shaps", "runs/shapes"),
    ],
)
def test_a_name_that_is_nearly_right_is_told(line, name, tmp_path, monkeypatch, golden):
    monkeypatch.chdir(tmp_path)
    shutil.copy(golden / "five.png", tmp_path)
    shutil.copytree(SHIPPED_RUNS["nano-digits"], tmp_path / "runs" / "shapes")
    done = CliRunner().invoke(app, line.split())
    said = " ".join(f"{done.stderr}{done.exception}".split())
    assert done.exit_code
    assert f"give {name}, if that is meant" in said


def test_ctrl_c_counts_where_a_library_makes_another_error_of_it(monkeypatch, capsys):
    def swallow(**_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise TypeError("cannot compare") from None

    monkeypatch.setattr("glyphsight.cli.app.app", swallow)
    monkeypatch.setattr("glyphsight.cli.output._resume", "")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job ignores it
    try:
        with pytest.raises(SystemExit) as stopped:
            main()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "glyphsight: stopped\n"
