import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import glyphsight
from glyphsight.cli.app import app
from glyphsight.inference import Model


def draw(*arguments, **how):
    return CliRunner().invoke(app, ["draw", *map(str, arguments)], **how)


def drawn(*arguments, **how):
    done = draw(*arguments, "--json", **how)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_drawings_stand_side_by_side_and_become_pictures(tmp_path):
    asked = ("7", "--n", 3, "--seed", 0)
    shown = draw(*asked, "--out", tmp_path, env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert len(shown.stdout.splitlines()) == 11
    for number, one in enumerate(drawn(*asked), start=1):
        assert one["label"] == "7"
        assert (tmp_path / f"7-{number}.txt").read_text("utf-8") == one["ASCII_image"]
        picture = np.array(Image.open(tmp_path / f"7-{number}.png"))
        assert picture.shape == (160, 160)
        row = one["ASCII_image"].splitlines()[5]
        assert row.strip() in shown.stdout


@pytest.mark.parametrize("label", ["/", "../x", "a:b"])
def test_a_drawing_stays_in_its_directory_whatever_its_label(tmp_path, label, monkeypatch):
    [one] = glyphsight.draw("3", seed=4)
    monkeypatch.setattr(Model, "draw", lambda *given: [replace(one, label=label)])
    done = draw("x", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".png", ".txt"}
    assert [*tmp_path.iterdir()] == [tmp_path / "out"]


def test_python_draws_what_the_program_draws():
    [one] = glyphsight.draw("3", seed=4, temperature=0.5)
    [same] = drawn("3", "--seed", 4, "--temperature", 0.5)
    assert one.ascii_image == same["ASCII_image"]


def test_half_a_picture_is_completed(tmp_path):
    [whole] = drawn("0", "--seed", 2)
    rows = whole["ASCII_image"].splitlines(keepends=True)
    half = tmp_path / "half.txt"
    half.write_text("".join(rows[:6]), encoding="utf-8")
    for one in drawn("0", "--from", half, "--n", 2, "--seed", 1):
        assert one["ASCII_image"].splitlines(keepends=True)[:6] == rows[:6]
    gap = "".join(["\n" if number in (4, 5) else row for number, row in enumerate(rows)])
    [one] = drawn("--from", "-", "--seed", 1, input=gap)
    filled = one["ASCII_image"].splitlines(keepends=True)
    assert one["label"] == "0"
    assert filled[:4] + filled[6:] == rows[:4] + rows[6:]


@pytest.mark.parametrize(
    ("arguments", "given", "code", "told"),
    [
        ((), None, 2, "give a label"),
        (("x",), None, 1, "not trained to draw 'x'; give one of 0, 1, 2"),
        (("7", "--model", "nano-digits"), None, 1, "not trained to draw; give draw"),
        (("7", "--n", 0), None, 2, "n is 0; give a whole number"),
        (("7", "--from", "-"), "#\n", 1, "-: line 1: .* are 11, of 20 glyphs"),
        (("7", "--out", "seven.png"), None, 2, "give a directory"),
    ],
)
def test_what_cannot_be_drawn_is_said_with_the_fix(arguments, given, code, told):
    done = draw(*arguments, input=given)
    assert done.exit_code == code
    said = " ".join((done.stderr + str(done.exception or "")).replace("│", "").split())
    assert re.search(told, said), said
