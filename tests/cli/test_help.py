import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO

import pytest
import typer

from glyphsight.cli.app import VERBS, app

HEAVY = ["torch", "transformers", "datasets", "peft", "matplotlib", "jinja2", "gguf", "ray"]
GROUPS = {"dataset": ["build", "check", "show", "stats", "push", "pull"], "model": ["push", "pull"]}
PARTS = [f"{group} {part}" for group, parts in GROUPS.items() for part in parts]
COMMANDS = [*(name for name in VERBS if name not in GROUPS), *PARTS]
PAGES = ["", *GROUPS, *COMMANDS]


def page(command, width=80, option="--help"):
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said:
        patch.setenv("COLUMNS", str(width))
        app([*command.split(), option], prog_name="glyphsight", standalone_mode=False)
    return said.getvalue()


@pytest.mark.parametrize(("group", "parts"), GROUPS.items())
def test_every_command_is_under_test(group, parts):
    listed = page(group).partition("Commands:\n")[2]
    assert re.findall(r"^  (\w+) ", listed, re.MULTILINE) == parts


@pytest.mark.parametrize("command", PAGES)
def test_a_page_begins_with_the_usage_and_h_is_help(command):
    assert page(command).startswith(f"Usage: glyphsight {command}".strip() + " [OPTIONS]")
    assert page(command, option="-h") == page(command)


@pytest.mark.parametrize("command", PAGES)
def test_nothing_is_wider_than_the_terminal_and_no_word_is_broken(command):
    words = [re.sub(r" \\\n", " ", page(command, width)).split() for width in (80, 60)]
    assert words[0] == words[1]
    for width in (80, 60):
        assert max(map(len, page(command, width).splitlines())) < width


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_has_an_example_that_the_command_takes(command):
    [example] = re.findall(r"Example:\n +((?:.*\\\n)*.*)", page(command))
    words = shlex.split(example.replace("\\\n", " "))
    verb = ["glyphsight", *command.split()]
    assert words[: len(verb)] == verb
    found = typer.main.get_command(app)
    for name in verb[1:]:
        found = found.get_command(None, name)
    found.make_context(command, words[len(verb) :])


@pytest.mark.parametrize("command", PAGES)
def test_types_and_bounds_are_told_in_words(command):
    assert not re.search(r"x[<>]=|INTEGER|list\[|default: \(|\b(None|str|int)\b", page(command))


@pytest.mark.parametrize("command", PAGES)
def test_every_option_has_a_help(command):
    undocumented = re.findall(r"^  (-\S+(?: [A-Z=]+)?)\n(?=  -|\n)", page(command), re.MULTILINE)
    assert undocumented == []


@pytest.mark.parametrize(
    ("command", "option", "values"),
    [
        ("encode", "--format", "seed, plain, trim"),
        ("encode", "--filter", "nearest, box, bilinear"),
        ("encode", "--invert", "no, yes, auto"),
        ("encode", "--palette", "seed (the published one), blocks, ascii, digits"),
        ("dataset build", "--output", "json, jsonl, chat"),
        ("dataset build", "--engine", "local, ray"),
        ("dataset check", "--format", "seed, plain, trim"),
        ("tokens", "--format", "seed, plain, trim"),
        ("train", "--method", "full, lora, qlora"),
        ("train", "--schedule", "cosine, linear, constant"),
    ],
)
def test_an_option_lists_its_values(command, option, values):
    said = re.search(rf"^  {option} (.|\n   )*", page(command), re.MULTILINE)[0]
    assert values in " ".join(said.split())


def test_names_of_users_packages_are_listed_and_no_page_imports_what_is_heavy(tmp_path):
    info = tmp_path / "wild-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wild\nVersion: 1\n")
    groups = ["formats", "media", "sources", "outputs", "tasks"]
    (info / "entry_points.txt").write_text(
        "".join(f"[glyphsight.{group}]\nwild-{group} = wild:make\n" for group in groups)
    )
    code = (
        "import sys; from typer.testing import CliRunner; from glyphsight.cli.app import app\n"
        f"for page in {PAGES}: print(CliRunner().invoke(app, [*page.split(), '-h']).stdout)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8"},
        timeout=60,
        check=True,
    )
    assert done.stdout.endswith("\n[]\n")
    for group in groups:
        assert re.search(rf"^  wild-{group} +From wild\.$", done.stdout, re.MULTILINE), group
    assert "braille, wild-formats; default: seed" in " ".join(done.stdout.split())


def test_a_shell_completes_commands_options_and_values(glyphsight):
    def complete(words):
        variables = {
            "_GLYPHSIGHT_COMPLETE": "complete_zsh",
            "_TYPER_COMPLETE_ARGS": words,
        }
        return glyphsight(**variables).stdout.decode()

    assert '"train"' in complete("glyphsight tr")
    assert "--help" in complete("glyphsight encod --")  # no such command, and no traceback
    assert '"--dither"' in complete("glyphsight encode --di")
    assert '"floyd-steinberg"' in complete("glyphsight encode --dither fl")
    assert '"braille"' in complete("glyphsight dataset check data --format br")
