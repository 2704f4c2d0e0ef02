"""Each block of code on the pages runs, or stands in one list with the reason why it does not."""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache

import numpy as np
import pytest
import typer
import yaml

import program
from glyphsight.cli.app import app
from glyphsight.codec import encode_batch
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.errors import ModelError
from glyphsight.settings import read_assignments
from glyphsight.sources import SOURCES, load_split, open_source
from glyphsight.train.settings import TrainSettings
from pages import ROOT, every_block, prose

WHERE = ("*.md", "docs/**/*.md", "conformance/*.md", "integrations/**/*.md", "src/**/README.md")
PAGES = [
    one.relative_to(ROOT).as_posix()
    for pattern in WHERE
    for one in sorted(ROOT.glob(pattern))
    if not one.name.endswith(".ko.md")  # whose blocks are the English ones: test_korean.py
    and one.name not in ("LOG.md", "CHANGELOG.md")  # which tell of what was
]
SHELL = ("", "sh", "bash")
UsageError = typer.BadParameter.__base__  # typer has a click of its own
DATA = {
    "json": json.loads,
    "jsonl": lambda text: list(map(json.loads, text.splitlines())),
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "text": str,
    "dockerfile": str,  # tests/models/test_export.py writes it
}

# What does not run here, by page and by how it begins: why, or the file of tests that runs it.
# Command lines are parsed all the same: commands, options, values, extras, files of the project.
README, SITE = "tests/test_readme.py", "tests/test_site.py"
SET = "tests/test_conformance.py"
TRAINS, LARGE = "trains for minutes or hours", "loads SmolLM2 for longer than a test may take"
EXPLAINS = "loads torch and draws, for half a minute; tests/test_readme.py does"
MEASURES = "measures for minutes or hours, on data that is fetched"
OTHERS, INSTALLS = "another program, which is not at hand", "installs"
SERVES = "serves until it is stopped; tests/serve starts servers"
MACHINES = "needs other machines or a store of files"
NOT_RUN = {
    "README.md": {
        "python3 -m venv": INSTALLS,
        "pip": INSTALLS,
        "make demo": "runs for minutes; tests/test_pipeline.py takes fewer digits",
        "make test": "runs these tests",
        **dict.fromkeys(("cp", "python scripts", "glyphsight", "export", "curl"), README),
    },
    "CONTRIBUTING.md": {"make": "builds and tests the project", ".venv/bin/pre-commit": INSTALLS},
    "conformance/README.md": {"python": SET},
    "integrations/lm_eval/README.md": {
        "pip": INSTALLS,
        "lm_eval": "tests/integrations/test_lm_eval.py",
        "python": "tests/integrations/test_lm_eval.py",
    },
    "docs/benchmarks.md": {
        "apt-get": INSTALLS,
        "pip": INSTALLS,
        "taskset": MEASURES,
        "python benchmarks": MEASURES,
        "OMP_NUM_THREADS=1": MEASURES,
    },
    "docs/datasets.md": {"from trl": "tests/train/test_trl.py"},
    "docs/draw.md": {"python": SITE},
    "docs/drawing.md": {
        "glyphsight dataset build": "holds out more pictures than tests have",
        "glyphsight train": TRAINS,
        "glyphsight draw 7 --model": "its model is trained on this page",
    },
    "docs/encodings.md": {"glyphsight sweep": TRAINS},
    "docs/few-shot.md": {
        "glyphsight train --data small": TRAINS,
        "python scripts": MEASURES,
        "glyphsight see": "its model is trained on this page",
        "python benchmarks": MEASURES,
    },
    "docs/forgetting.md": {"glyphsight train": TRAINS},
    "docs/format.md": {"python": SET},
    "docs/hearing.md": {
        "python benchmarks": MEASURES,
        "glyphsight train": TRAINS,
        "glyphsight hear seven.wav --explain": EXPLAINS,
        "glyphsight hear x.wav": "its model is trained on this page",
        "glyphsight evaluate": "its model is trained on this page",
    },
    "docs/integrations.md": {
        "llm": "tests/integrations/test_llm_plugin.py",
        "import asyncio": "tests/integrations/test_litellm_callback.py",
        "glyphsight": "tests/cli/test_hub_program.py",
    },
    "docs/measuring.md": {"OMP_NUM_THREADS=1": MEASURES},
    "docs/other-benchmarks.md": {"glyphsight evaluate": "its questions are fetched by the user"},
    "docs/other-runtimes.md": {
        "from peft": "tests/models/test_shipped.py",
        "glyphsight export": LARGE,
        "llama-server": OTHERS,
        "ollama": OTHERS,
        "jq": OTHERS,
        "vllm": OTHERS,
    },
    "docs/package.md": {"pip": INSTALLS, "glyphsight": README},
    "docs/robustness.md": {
        "pip": INSTALLS,
        "python benchmarks": MEASURES,
        "glyphsight see digit.png --explain": EXPLAINS,
    },
    "docs/scale.md": {
        "pip": INSTALLS,
        "ray": MACHINES,
        "glyphsight dataset build": MACHINES,
        "glyphsight evaluate": MACHINES,
    },
    "docs/seeing.md": {
        "glyphsight see plate.png": "tests/cli/test_see_program.py",
        "glyphsight see docs": "tests/inference/test_apart.py",
        "pip": INSTALLS,
        "npm": INSTALLS,
        "python scripts": "draws 60,000 pictures from data that is fetched",
        "python benchmarks": MEASURES,
        "bash": TRAINS,
        "glyphsight evaluate": MEASURES,
    },
    "docs/serve.md": {
        "glyphsight serve": SERVES,
        "glyphsight train": TRAINS,
        "python benchmarks": MEASURES,
        "ollama": OTHERS,
        "llama-server": OTHERS,
        "vllm": OTHERS,
        "lms": OTHERS,
        "OPENAI_API_BASE_URL": OTHERS,
        "GLYPHSIGHT_API_KEY": SERVES,
        "docker": OTHERS,
        "schemathesis": "tests/serve/test_described.py",
    },
    "docs/sources.md": {'"""': "tests/sources/test_sources_page.py"},
    "docs/talking.md": {
        "glyphsight see": LARGE,
        "glyphsight chat": LARGE,
        "glyphsight evaluate": MEASURES,
    },
    "docs/training.md": {
        "glyphsight train": TRAINS,
        "glyphsight see": "its model is trained on this page",
        "glyphsight evaluate": "its model is trained on this page",
        "python benchmarks": MEASURES,
    },
    "docs/tutorial.md": {"": SITE},
}


def units(page):
    """List what is run by itself: a command line, or a block of another language."""
    found = []
    for block in every_block(page):
        if block.language not in SHELL:
            found.append((block.language, block.text))
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            if line := re.split(r"(?:^|\s\s+)# ?", line.strip())[0].strip():
                found.append(("sh", line))
    return found


def reason(page, text):
    """Return why a unit does not run here, by the longest beginning; None where it runs."""
    listed = NOT_RUN.get(page, {})
    begins = [one for one in listed if text.startswith(one)]
    return listed[max(begins, key=len)] if begins else None


def test_the_list_names_what_is_there_and_tests_that_know_the_page():
    for page, listed in NOT_RUN.items():
        every = [text for language, text in units(page) if language not in DATA]
        for begin, why in listed.items():
            used = [one for one in every if one.startswith(begin) and reason(page, one) == why]
            assert used, f"{page}: nothing begins with {begin!r}; take it out of NOT_RUN"
            if why.startswith("tests/"):
                text = (ROOT / why).read_text("utf-8")
                name = page.removesuffix("/README.md").removesuffix(".md").rpartition("/")[2]
                assert name in text, (page, why)


@pytest.mark.parametrize("page", PAGES)
def test_data_and_code_can_be_read(page):
    for language, text in units(page):
        if language in DATA:
            DATA[language](text)
        elif language == "python":
            compile(text, page, "exec")
        else:
            assert language in ("sh", "js"), f"{page}: a block of {language!r}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_is_one_that_the_programs_take(page):
    """Those in the running text too, which may leave out what a command needs."""
    for language, text in units(page):
        if language == "sh":
            for piece in re.split(r" [|&] ?| && ", text):
                parse(piece.removesuffix("&"))
    for text in re.findall(r"`((?:glyphsight|python|make|bash) [^`]*)`", prose(page)):
        parse(re.sub(r"\s+", " ", text), whole=False)


def parse(line, whole=True):
    """Check the names and values of a command line of the project's own programs."""
    words = shlex.split(re.sub(r"^(\w+=\S* |taskset -c \d+ )+", "", line))
    if not words:
        return
    name, *rest = words
    if name == "glyphsight":
        parse_program(rest, line, whole)
    elif name == "make":
        assert f"\n{rest[0]}: " in (ROOT / "Makefile").read_text("utf-8"), line
    elif name in ("python", "bash") and not rest[0].startswith("-"):
        assert (ROOT / rest[0]).is_file(), line
        options = {one[2:].partition("=")[0] for one in rest[1:] if one.startswith("--")}
        missing = {one for one in options if not re.search(rf'"(--)?{one}"', source(rest[0]))}
        assert not missing, (line, missing)
    elif name == "pip":
        named = re.findall(r"(?:glyphsight|\.)\[([\w,]+)\]", line)
        assert {one for found in named for one in found.split(",")} <= extras(), line


def source(program):
    """Return the text of a program and of what its folder shares."""
    folder = (ROOT / program).parent
    text = (ROOT / program).read_text("utf-8")
    shared = re.findall(r"^from (\w+) import|^import (\w+)$", text, re.MULTILINE)
    files = [folder / f"{first or second}.py" for first, second in shared]
    return text + "".join(one.read_text("utf-8") for one in files if one.is_file())


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("glyphsight encod five.png", "encod"),
        ("glyphsight encode five.png --colour red", "--colour"),
        ("glyphsight encode five.png --width wide", "wide"),
        ("glyphsight encode five.png --format plan", "plan"),
        ("glyphsight train --data data", "out"),
        ("glyphsight train --data data --out run --set minuts=3", "minuts"),
        ("glyphsight dataset build --source folders:icons --out data", "folders"),
        ("pip install 'glyphsight[trains]'", "trains"),
        ("python scripts/shape.py shapes", "shape.py"),
        ("python scripts/site.py --no-drawing", "no-drawing"),
        ("make demos", "demos"),
    ],
)
def test_a_wrong_command_line_is_found(line, wrong):
    with pytest.raises((AssertionError, pytest.fail.Exception, ModelError), match=wrong):
        parse(line)


@cache
def extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return set(project["optional-dependencies"])


def parse_program(words, line, whole):
    """Check a command line of glyphsight: commands, options, types, and values of choices."""
    command = typer.main.get_command(app)
    context = command.context_class(command, info_name="glyphsight")
    while hasattr(command, "get_command"):
        if not words or words[0].startswith("-") or words[0] == "COMMAND":
            known = {name for one in command.get_params(context) for name in one.opts}
            assert {one for one in words if one.startswith("-")} <= known | {"--help"}, line
            return
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command, line
        context = command.context_class(command, info_name=name, parent=context)
    if "--help" in words:
        return
    try:
        context = command.make_context(name, list(words), parent=context.parent)
    except UsageError as error:
        if whole or type(error).__name__ != "MissingParameter":
            pytest.fail(f"{line}: {error.format_message()}")
        return
    for one in command.params:
        value = context.params.get(one.name)
        if one.metavar == "NAME" and value is not None and hasattr(one, "shell_complete"):
            known = [item.value for item in one.shell_complete(context, "")]
            assert not known or value in [*known, "NAME"], (line, known)
    if "setting" in context.params:
        read_assignments(TrainSettings, context.params["setting"] or [], ModelError)
    for spec in re.findall(r"--source (?:\w+=)?(\w+):", line):
        assert spec in SOURCES, line


SPOKEN = ROOT / "src" / "glyphsight" / "assets" / "spoken-digits"


def build(folder, output):
    settings = BuildSettings(limit=20, copies=0, test=0, output=output)
    build_dataset("bundled", folder, settings, quiet=True)


def digits(folder):
    """Write MNIST's files, of a few bundled digits, into DIR; datasets into ``digits``."""
    (folder / "DIR").mkdir()
    for split, name, count in (("validation", "train", 120), ("test", "t10k", 20)):
        batch = load_split(open_source("bundled"), split)
        labels = np.array(list(map(int, batch.labels[:count])), np.uint8)
        for kind, array in (("images-idx3", batch.pixels[:count]), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / "DIR" / f"{name}-{kind}-ubyte").write_bytes(head + array.tobytes())
    build(folder / "digits", "jsonl")
    build(folder / "sharded", "parquet")
    shutil.copytree(folder / "sharded" / "data", folder / "digits" / "data")


def icons(folder, name="icons"):
    shapes = runpy.run_path(str(ROOT / "scripts" / "shapes.py"))
    random = np.random.default_rng(0)
    for answer in ("key", "ring"):
        (folder / name / answer).mkdir(parents=True)
        for number in range(12):
            shapes["draw"](answer, random).save(folder / name / answer / f"{number}.png")


def seven(folder):
    soundfile = pytest.importorskip("soundfile", reason="pip install 'glyphsight[audio]'")
    soundfile.write(folder / "seven.wav", *soundfile.read(SPOKEN / "7_jackson_0.flac"))


def readme(folder):
    build(folder / "data", "json")
    seven(folder)


def sounds(folder):
    (folder / "recordings").mkdir()
    for file in sorted(SPOKEN.glob("*_0.flac")):
        (folder / "DIR" / file.name[0]).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / "DIR" / file.name[0])
    for name in ("7_theo_0.flac", "3_theo_0.flac"):
        shutil.copy(SPOKEN / name, folder / "recordings")
    seven(folder)


def pictures(folder):
    (folder / "pictures").mkdir()
    shutil.copy(folder / "five.png", folder / "pictures")


NEEDS = {  # what a page takes for granted, beside five.png and five.txt
    "README.md": readme,
    "docs/datasets.md": digits,
    "docs/few-shot.md": icons,
    "docs/hearing.md": sounds,
    "docs/scale.md": pictures,
}


def names(page):
    """Return what the code of a page takes for granted."""
    if page == "README.md":
        return {"pixels": np.zeros((2, 28, 28), np.uint8)}
    if page == "docs/measuring.md":
        batch = load_split(open_source("bundled"), "validation")
        texts, labels = encode_batch(batch.pixels[:120]), list(batch.labels[:120])
        given = {"train_texts": texts[:80], "train_labels": labels[:80], "texts": texts[80:]}
        return given | {"labels": labels[80:], "model_right": [True] * 39 + [False]}
    return {}


RUN = [
    page
    for page in PAGES
    if any(one not in DATA and reason(page, text) is None for one, text in units(page))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_what_is_not_listed_runs_in_its_order(page, tmp_path, monkeypatch):
    for name in ("five.png", "five.txt"):
        shutil.copy(ROOT / "tests" / "golden" / name, tmp_path)
    NEEDS.get(page, lambda folder: None)(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    programs = {"glyphsight": "-m glyphsight", "python": ""}
    (tmp_path / "bin").mkdir()
    for name, words in programs.items():
        file = tmp_path / "bin" / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    known = names(page)
    for language, text in units(page):
        if language in DATA or reason(page, text):
            continue
        if language == "python":
            exec(compile(text, page, "exec"), known)
        elif language == "js":
            execute(["node", "--input-type=module", "--eval", text], text, cwd=ROOT / "browser")
        else:
            if "--out digits " in text:
                shutil.rmtree("digits")  # which the blocks before it read in other layouts
            execute_line(text, tmp_path)
            if "--hold-out digits" in text:  # the block after it names a file of another layout
                shutil.rmtree("digits")
                build(tmp_path / "digits", "jsonl")


def execute_line(text, folder):
    """Run a line: what is the program alone in this process, what needs a shell in one."""
    if re.search(r"^glyphsight [^|<>&;*$\n]*$", text):
        done = program.run(*shlex.split(text)[1:], directory=folder)
        assert done.returncode == 0, (text, done.stderr)
    else:
        execute(["bash", "-o", "pipefail", "-c", text], text)


def execute(command, text, **where):
    """Run a command, which must succeed."""
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} here")
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", **where
    )
    assert done.returncode == 0, (text, done.stderr)
