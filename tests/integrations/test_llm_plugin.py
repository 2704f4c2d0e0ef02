import json
import os
import re
import shlex
import shutil
import tomllib
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from glyphsight import encode

ROOT = Path(__file__).parents[2]
DIGITS = "nano-digits"
PAGE = (ROOT / "docs" / "integrations.md").read_text("utf-8")


@pytest.fixture(scope="module")
def program():
    """The program llm with the plugin that pyproject names, and a model that repeats its prompt."""
    os.environ["LLM_LOAD_PLUGINS"] = ""  # other plugins of this machine stay out
    llm = pytest.importorskip("llm")
    from llm.cli import cli
    from llm.plugins import load_plugins, pm

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    [(name, value)] = project["entry-points"]["llm"].items()

    class Echo(llm.Model):
        model_id = "echo"

        def execute(self, prompt, stream, response, conversation):
            yield f"{prompt.system or ''}|{prompt.prompt}"

    class Echoes:
        @llm.hookimpl
        def register_models(self, register):
            register(Echo())

    load_plugins()
    plugin, echoes = EntryPoint(name, value, "llm").load(), Echoes()
    for one in (plugin, echoes):
        pm.register(one)
    yield cli
    for one in (plugin, echoes):
        pm.unregister(one)


@pytest.fixture
def run(program, tmp_path, monkeypatch, golden):
    from click.testing import CliRunner

    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    shutil.copy(golden / "five.png", tmp_path)

    def call(*arguments, fails=False):
        done = CliRunner().invoke(program, arguments, catch_exceptions=False)
        assert bool(done.exit_code) == fails, done.output
        return done.output

    return call


def test_a_picture_is_text_for_any_model(run):
    said = run("-f", "ascii:five.png", "-m", "echo", "What is this?")
    text = encode("five.png", format="plain", invert="auto", width=28)
    assert "Picture five.png (28x28 pixels) as text" in said
    assert said.endswith("What is this?\n")
    assert text[:20] in said


def test_a_fragment_takes_width_and_a_model_that_says_what_it_sees(run):
    said = run("-f", "ascii:five.png?width=12&model=nano-digits", "-m", "echo", "?")
    assert encode("five.png", format="plain", invert="auto", width=12) in said
    assert "A small model says of Picture five.png: a handwritten digit: 5 (100 %)" in said


@pytest.mark.parametrize(
    ("fragment", "fix"),
    [
        ("ascii:six.png", "six.png"),
        ("ascii:five.png?colour=red", "one of model, show, tokens, width"),
        ("ascii:five.png?width=0", "1 to 1000"),
    ],
)
def test_a_fragment_that_cannot_be_is_named_with_its_fix(run, fragment, fix):
    assert fix in run("-f", fragment, "-m", "echo", "?", fails=True)


def test_the_model_answers_pictures_and_sounds_and_llm_logs_the_probabilities(run, spoken):
    pytest.importorskip("soundfile")
    attached = ("-a", "five.png", "-a", str(spoken / "7_theo_0.flac"))
    assert run("-m", "glyphsight", "-o", "model", DIGITS, "-a", "five.png") == "5\n"
    [logged] = json.loads(run("logs", "--json"))
    [answer] = logged["response_json"]["answers"]
    assert answer["label"] == "5"
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert run("-m", "glyphsight", *attached[2:], "What do you hear?") == "7\n"


def test_the_model_says_what_it_needs(run):
    assert "-a FILE" in run("-m", "glyphsight", "What is this?", fails=True)
    said = run("-m", "glyphsight", "-o", "model", "smollm2-135m", "-a", "five.png", fails=True)
    assert "glyphsight train" in said


def test_words_alone_need_a_model_that_has_words(run):
    run("-m", "glyphsight", "-o", "model", DIGITS, "-a", "five.png")
    said = run("-c", "Why?", "-o", "model", DIGITS, fails=True)
    assert "nano-digits has no words but its labels; give a file, -a FILE" in said


@pytest.mark.slow
def test_words_alone_resume_the_conversation(run, monkeypatch):
    """The base reads what the picture shows, the answer and the new words."""
    from glyphsight.inference import Model

    asked = []
    stream = Model.stream

    def noted(self, ids, writing):
        asked.append(self.tokenizer.decode(ids, skip_special_tokens=False))
        return stream(self, ids, replace(writing, most=4))

    monkeypatch.setattr(Model, "stream", noted)
    assert run("-m", "glyphsight", "-a", "five.png") == "5\n"
    assert run("-c", "Is it even?").strip()
    model = Model("sight").talker
    said = ["The picture shows the digit 5.\n", "5", "Is it even?"]
    messages = [
        {"role": role, "content": content}
        for role, content in zip(("user", "assistant", "user"), said, strict=True)
    ]
    ids = model.turns(messages)
    assert asked[-1] == model.tokenizer.decode(ids, skip_special_tokens=False)
    run("-c", "Why?")
    assert asked[-1].startswith(asked[0])


def test_a_template_tells_how_to_read(run):
    said = run("-t", "glyphsight:read", "-f", "ascii:five.png", "-m", "echo", "What is this?")
    assert said.startswith("Pictures are given as text")
    assert "glyphsight:read" in run("-t", "glyphsight:draw", "-m", "echo", "?", fails=True)


def test_the_commands_of_the_page_run(run):
    commands = re.findall(r"^llm (-.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    said = [run(*shlex.split(command.replace("MODEL", "echo"))) for command in commands]
    assert said[3] == "5\n"
