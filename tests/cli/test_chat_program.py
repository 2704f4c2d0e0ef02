import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from glyphsight.cli.app import app


def chat(*arguments, said="", model="nano-digits"):
    command = ["chat", *map(str, arguments), "--model", model]
    return CliRunner().invoke(app, command, input=said)


def test_a_picture_on_the_command_line_is_what_the_first_words_are_about(golden):
    done = chat(golden / "five.png", said="Is it odd?\n")
    assert (done.exit_code, done.stdout) == (0, "5\n")
    told = "nano-digits was trained on one question; it answers that, not 'Is it odd?'\n"
    assert done.stderr == told
    for words in ("\n", "What is this?\n"):
        assert chat(golden / "five.png", said=words).stderr == ""


def test_pictures_are_added_as_it_goes_and_quit_ends(golden):
    file = golden / "five.png"
    done = chat(said=f"/image {file}\n/image '{file}'\n\n/image {file}\nAnd this?\n/quit\nMore\n")
    assert (done.exit_code, done.stdout) == (0, "5, 5\n5\n")


def test_what_a_model_does_not_know_brings_a_hint_once_and_a_blank_page_none(golden, tmp_path):
    blank, house = tmp_path / "blank.png", tmp_path / "house.png"
    Image.new("L", (60, 60), 255).save(blank)
    drawn = Image.new("L", (120, 120), 255)
    for box in ((25, 55, 95, 105), (50, 75, 65, 105), (75, 65, 85, 75)):
        ImageDraw.Draw(drawn).rectangle(box, outline=0, width=5)
    ImageDraw.Draw(drawn).polygon([(15, 55), (60, 12), (105, 55)], outline=0, width=5)
    drawn.save(house)
    done = chat(said=f"/image {blank}\n\n/image {house}\n/image {golden / 'five.png'}\n\n")
    assert done.stdout == "nothing I know\nnothing I know, 5\n"
    assert done.stderr == "nano-digits names digits alone, try --model nano-names\n"
    assert chat(said=f"/image {blank}\n\n").stderr == ""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("/show x.png\n", "/show: no such command; /image FILE adds"),
        ("/image none.png\n", "none.png"),
        ("Hello\n", "nano-digits has no words but its labels; add a picture with /image FILE"),
    ],
)
def test_what_cannot_be_done_names_the_fix_and_ends_a_pipe(said, why):
    done = chat(said=said)
    assert done.exit_code == 1
    assert why in str(done.exception)


def test_a_model_that_was_never_trained_is_told_at_once(golden):
    done = chat(golden / "five.png", model="nano")
    assert done.exit_code == 1
    assert "give --model sight" in str(done.exception)


@pytest.mark.slow
def test_a_language_model_names_a_picture_and_talks_without_one(golden):
    done = chat("--most", 12, said="What is the capital of France?\n", model="sight")
    assert "Paris" in done.stdout
    done = chat(golden / "five.png", "--most", 3, said="\nWhy?\n", model="sight")
    assert done.stdout.splitlines()[0] == "5"
    assert len(done.stdout.splitlines()) >= 2
