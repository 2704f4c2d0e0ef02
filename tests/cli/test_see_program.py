import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import glyphsight as package
from glyphsight.cli.app import app
from glyphsight.models import RunRecord, load_model
from glyphsight.models.runs import Task


@pytest.fixture
def pictures(validation, tmp_path):
    """A digit as PNG and JPEG, bright on dark and dark on light, and pictures that are none."""
    digit = validation.pixels[0]
    large = np.kron(digit, np.ones((8, 8), dtype=np.uint8))
    Image.fromarray(digit).save(tmp_path / "bright.png")
    Image.fromarray(255 - large).save(tmp_path / "dark.png")
    Image.fromarray(large).save(tmp_path / "bright.jpeg")
    Image.fromarray(255 - large).save(tmp_path / "dark.jpg")
    Image.new("L", (28, 28)).save(tmp_path / "flat.png")
    Image.new("L", (1, 4000)).save(tmp_path / "strip.png")  # too much text
    Image.new("L", (1, 300)).save(tmp_path / "tall.png")  # too many tokens


@pytest.fixture
def fresh(tmp_path):
    """A run of a nano model that learned nothing, with the tasks that are given."""

    def save(*tasks):
        loaded = load_model("nano")
        loaded.model.save_pretrained(tmp_path / "run")
        loaded.tokenizer.save_pretrained(tmp_path / "run")
        RunRecord(base="nano", seed=0, tasks=tasks).save(tmp_path / "run")
        return str(tmp_path / "run")

    return save


@pytest.mark.slow
def test_pngs_and_jpegs_are_answered_and_polarity_is_said(glyphsight, nano_run, pictures):
    names = ["bright.png", "strip.png", "dark.png", "bright.jpeg", "none.png", "dark.jpg"]
    done = glyphsight("see", *names, "tall.png", "flat.png", "--model", nano_run)
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    good = ["bright.png", "dark.png", "bright.jpeg", "dark.jpg", "flat.png"]
    share = r"\d+\.\d %"
    assert lines.pop() == "flat.png: nothing I know"
    for name, line in zip(good[:-1], lines, strict=True):
        assert re.fullmatch(rf"{name}: \d \({share}\)(, \d {share}){{3}}", line)
    said = done.stderr.decode()
    for name in good:
        inverted = f"{name}: dark on light, inverted" in said
        assert inverted == name.startswith("dark")
    assert "flat.png: nothing to see in it" in said
    assert "glyphsight: none.png: no such file" in said
    assert "glyphsight: strip.png: 4000x1 pixels would become 44000 rows" in said
    assert "glyphsight: tall.png: 300x1 pixels are too tall as text" in said
    assert "Warning" not in said


@pytest.mark.slow
def test_json_is_one_document_though_a_picture_fails(glyphsight, nano_run, pictures):
    arguments = ("see", "strip.png", "dark.png", "flat.png", "--json", "--show")
    done = glyphsight(*arguments, "--model", nano_run)
    assert done.returncode == 1
    dark, flat = json.loads(done.stdout)
    assert (dark["question"], dark["parts"]) == ("", [])
    assert (dark["path"], dark["inverted"], dark["empty"]) == ("dark.png", True, False)
    assert (flat["path"], flat["inverted"], flat["empty"]) == ("flat.png", False, True)
    assert dark["label"] == max(dark["probabilities"], key=dark["probabilities"].get)
    assert done.stderr.decode().startswith("glyphsight: strip.png: 4000x1 pixels would become")


@pytest.mark.slow
def test_a_model_with_one_label_says_that_one_alone(fresh, pictures, tmp_path):
    picture = str(tmp_path / "bright.png")
    result = CliRunner().invoke(app, ["see", picture, "--model", fresh(Task("", ("7",)))])
    assert result.stdout == f"{picture}: 7 (100.0 %)\n"


@pytest.mark.slow
def test_a_line_feed_in_a_label_is_printed_as_its_escape(fresh, pictures, tmp_path):
    run = fresh(Task("", ("7\n8",)))
    picture = str(tmp_path / "bright.png")
    result = CliRunner().invoke(app, ["see", picture, "--model", run])
    assert result.stdout == f"{picture}: 7\\n8 (100.0 %)\n"
    [found] = json.loads(CliRunner().invoke(app, ["see", picture, "--model", run, "--json"]).stdout)
    assert found["label"] == "7\n8"


@pytest.mark.slow
def test_of_several_questions_the_one_that_is_asked_is_said(fresh, pictures, tmp_path):
    run = fresh(Task("Which digit?", ("7",)), Task("Is it odd?", ("no", "yes")))
    command = ["see", str(tmp_path / "bright.png"), "--model", run]
    assert (
        "asked 'Which digit?'; --ask takes 'Is it odd?' too\n"
        in CliRunner().invoke(app, command).stderr
    )
    assert "asked" not in CliRunner().invoke(app, [*command, "--ask", "Is it odd?"]).stderr


@pytest.mark.slow
def test_without_torch_the_answers_come_and_the_missing_drawing_is_one_line(
    glyphsight, pictures, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None")
    words = ("see", "bright.png", "dark.png", "--explain", "drawn", "--model", "nano-digits")
    done = glyphsight(*words, PYTHONPATH=f"{tmp_path}:{Path(package.__file__).parents[1]}")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr.decode().splitlines() == [
        "dark.png: found one dark mark on light paper",
        "glyphsight: --explain: not installed: torch; run: pip install 'glyphsight[train]'",
    ]


@pytest.mark.slow
def test_the_model_that_ships_is_asked_unless_another_is_named(glyphsight, golden):
    done = glyphsight("see", golden / "five.png")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith(f"{golden / 'five.png'}: 5 (9")


@pytest.mark.slow
def test_what_the_model_looked_at_is_drawn_beside_each_picture(glyphsight, pictures, tmp_path):
    arguments = ("bright.png", "none.png", "bright.jpeg", "flat.png")
    done = glyphsight("see", *arguments, "--explain", "drawn", "--model", "nano-digits")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    found = sorted(file.name for file in (tmp_path / "drawn").iterdir())
    assert found == ["bright-2.png", "bright.png"]  # an empty picture gets no answer
    for name in found:
        with Image.open(tmp_path / "drawn" / name) as picture:
            assert picture.width > 1000
    assert "bright.jpeg: what it looked at: drawn/bright-2.png" in done.stderr.decode()
    assert "Warning" not in done.stderr.decode()


def test_one_png_for_several_pictures_is_refused_before_anything_is_done(glyphsight, pictures):
    done = glyphsight("see", "bright.png", "dark.png", "--explain", "out.png")
    assert (done.returncode, done.stdout) == (2, b"")
    assert "give a directory" in " ".join(done.stderr.decode().split())
