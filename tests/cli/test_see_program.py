import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from typer.testing import CliRunner

import glyphsight as package
from glyphsight.cli.app import app
from glyphsight.cli.see import _task
from glyphsight.inference import Model
from glyphsight.models import RunRecord, load_model
from glyphsight.models.runs import Task, model_for


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
    assert "2 pictures, such as dark.png: dark on light, inverted" in said
    assert "\ndark.png: dark" not in said
    assert "flat.png: nothing to see in it" in said
    assert "glyphsight: none.png: no such file" in said
    assert "glyphsight: strip.png: 4000x1 pixels would become 44000 rows" in said
    assert "glyphsight: tall.png: 300x1 pixels are too tall as text" in said
    assert "Warning" not in said


@pytest.fixture
def paper(tmp_path):
    """A star in several grays on white, and paper without ink."""
    corners = [
        (100 + r * np.sin(turn), 100 - r * np.cos(turn))
        for r, turn in zip([80, 32] * 5, np.arange(10) * np.pi / 5, strict=True)
    ]
    for gray in (180, 215, 240):
        picture = Image.new("L", (200, 200), 255)
        ImageDraw.Draw(picture).polygon(corners, fill=gray)
        picture.save(tmp_path / f"star-{gray}.png")
    grain = np.random.default_rng(0).normal(0, 2, (200, 200))
    for name, light in (("white", 255), ("grainy", 245 + grain), ("shaded", grain + 210)):
        light = light + np.linspace(0, 35, 200) * (name == "shaded")
        pixels = np.clip(np.broadcast_to(light, (200, 200)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def test_a_light_mark_on_white_is_read_and_paper_without_one_is_not(paper):
    done = CliRunner().invoke(app, ["see", f"{paper}/*.png", "--model", "nano-names"])
    assert done.exit_code == 0
    said = [line.removeprefix(f"{paper}/") for line in done.stdout.splitlines()]
    assert said[:2] == ["grainy.png: nothing I know", "shaded.png: nothing I know"]
    assert [line.split(" (")[0] for line in said[2:5]] == [
        f"star-{gray}.png: star" for gray in (180, 215, 240)
    ]
    assert said[5:] == ["white.png: nothing I know"]
    first = f"3 pictures, such as {paper}/star-180.png"
    assert f"{first}: found a faint mark, and stretched its contrast\n" in done.stderr


def test_a_written_answer_is_called_one_and_a_label_is_not(capsys):
    for question, written in (("Is it even?", True), ("What digit is this?", False)):
        _task(Model("sight-vqa"), question)
        assert ("writes the answer from the picture" in capsys.readouterr().err) is written


def test_a_hint_at_signs_is_for_those_who_did_not_ask_for_signs(tmp_path):
    scrawl = Image.new("L", (150, 90), 255)
    lines = np.random.default_rng(3).integers(5, 85, (40, 2)) * (1.6, 1)
    ImageDraw.Draw(scrawl).line([tuple(point) for point in lines], 0, 3)
    scrawl.save(tmp_path / "scrawl.png")
    for more, hinted in (([], True), (["--signs"], False)):
        command = ["see", str(tmp_path / "scrawl.png"), "--model", "nano-names", *more]
        done = CliRunner().invoke(app, command)
        assert done.stdout.startswith(f"{command[1]}: {'nothing I know' if hinted else 'W (W ('}")
        assert ("is for glyphsight see --signs" in done.stderr) is hinted


def test_a_light_mark_in_a_shadow_or_on_few_pixels_is_read(golden, tmp_path):
    five = np.asarray(Image.open(golden / "five.png").convert("L"))
    Image.fromarray(255 - (255 - five) // 4).save(tmp_path / "five.png")
    answer = package.see(tmp_path / "five.png", "nano-digits")
    assert (answer.label, answer.empty) == ("5", False)
    cross = Image.new("L", (200, 200), 255)
    for bar in ((90, 30, 110, 170), (30, 90, 170, 110)):
        ImageDraw.Draw(cross).rectangle(bar, fill=205)
    shadow = np.linspace(5, 30, 200) + np.random.default_rng(0).normal(0, 2, (200, 200))
    shaded = np.clip(np.asarray(cross) - shadow, 0, 255).astype(np.uint8)
    answer = package.see(shaded, "nano-names")
    assert answer.label == "plus"
    assert answer.found.startswith("dark ink on light paper, ")


@pytest.mark.parametrize("model", ["nano-fashion", "nano-names"])
def test_a_model_of_few_names_tells_who_has_more(paper, model):
    done = CliRunner().invoke(app, ["see", f"{paper}/star-180.png", "--model", model])
    hint = "nano-fashion names clothes alone, try --model nano-names\n"
    assert done.stderr.endswith(hint) == (model == "nano-fashion")
    assert not done.stderr.startswith("; ")


@pytest.mark.parametrize("model", ["nano-names", "nano-digits", "nano-fashion"])
def test_an_empty_page_has_no_probability_whatever_the_model_knows(model):
    answer = package.see(np.full((60, 60), 255 * (model != "nano-fashion"), np.uint8), model)
    assert (answer.label, answer.known, answer.empty) == ("unknown", False, True)
    assert answer.probability is None


@pytest.mark.slow
def test_json_is_one_document_though_a_picture_fails(at_once, nano_run, pictures):
    arguments = ("see", "strip.png", "dark.png", "flat.png", "--json", "--show")
    done = at_once(*arguments, "--model", nano_run)
    assert done.returncode == 1
    dark, flat = json.loads(done.stdout)
    assert (dark["question"], dark["parts"]) == ("", [])
    assert (dark["path"], dark["inverted"], dark["empty"]) == ("dark.png", True, False)
    assert (flat["path"], flat["inverted"], flat["empty"]) == ("flat.png", False, True)
    assert dark["label"] == max(dark["probabilities"], key=dark["probabilities"].get)
    assert done.stderr.decode().startswith("glyphsight: strip.png: 4000x1 pixels would become")


@pytest.mark.parametrize("top", [None, 1, 6])
def test_as_many_of_the_likeliest_labels_are_printed_as_are_asked_for(paper, top):
    command = ["see", f"{paper}/star-180.png", "--model", "nano-names"]
    command += [] if top is None else ["--top", str(top)]
    said = CliRunner().invoke(app, command).stdout
    assert said.count(" %") == (top or 4)
    for form in ("--json", "--jsonl"):
        written = json.loads(CliRunner().invoke(app, [*command, form]).stdout)
        [answer] = written if form == "--json" else [written]
        assert len(answer["probabilities"]) == (top or 281)
        assert next(iter(answer["probabilities"])) == answer["label"] == "star"


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


def test_questions_and_signs_go_to_the_models_that_learned_them(golden, monkeypatch):
    asked = []

    def load(name, **_):
        asked.append(name)
        raise package.GlyphsightError("not loaded")

    monkeypatch.setattr("glyphsight.inference.Model", load)
    file = str(golden / "five.png")
    for words in ([], ["--ask", "What is it?"], ["--ask", "Is it even?"], ["--signs"]):
        CliRunner().invoke(app, ["see", file, *words])
    CliRunner().invoke(app, ["see", file, "--ask", "Is it even?", "--talker", "one"])
    CliRunner().invoke(app, ["chat", file])
    CliRunner().invoke(app, ["chat", file, "--talker", "one"])
    expected = ["sight", "sight", "sight-vqa", "nano-names", "sight", "sight-vqa", "sight"]
    assert asked == expected
    assert model_for("Is it even?") == "sight-vqa"


@pytest.mark.slow
def test_what_the_model_looked_at_is_drawn_beside_each_picture(at_once, pictures, tmp_path):
    arguments = ("bright.png", "none.png", "bright.jpeg", "flat.png")
    done = at_once("see", *arguments, "--explain", "drawn", "--model", "nano-digits")
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


@pytest.mark.slow
def test_a_line_of_signs_is_read_in_order(at_once, tmp_path):
    """As docs/seeing.md shows."""
    font = ImageFont.load_default(60)
    image = Image.new("L", (200, 90), 255)
    ImageDraw.Draw(image).text((20, 5), "K4R", 0, font)
    image.save(tmp_path / "plate.png")
    done = at_once("see", "plate.png", "--model", "nano-names", "--signs")
    assert re.fullmatch(
        r"plate\.png: K4R \(K \([\d.]+ %\), 4 \([\d.]+ %\), R \([\d.]+ %\)\)\n",
        done.stdout.decode(),
    )
    told = at_once("see", "plate.png", "--model", "nano-names", "--signs", "--json")
    [answer] = json.loads(told.stdout)
    assert answer["written"] == "K4R"
    assert len(answer["parts"]) == 3
    alone = at_once("see", "plate.png", "--signs")  # nano-names, where no model is named
    assert alone.stdout == done.stdout
    refused = at_once("see", "plate.png", "--signs", "--ask", "What is it?")
    assert refused.returncode == 2
    assert "leave --ask and --explain out" in " ".join(refused.stderr.decode().split())
