import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.dataset.questions import CHAT, PLAIN
from glyphsight.errors import DatasetError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.evaluate.tasks import open_task
from glyphsight.evaluate.tasks.aside import first_sentence
from glyphsight.evaluate.tasks.talk import sane
from glyphsight.evaluate.tasks.use import says
from glyphsight.models import RunRecord
from glyphsight.models.runs import resolve

SIGHT = resolve("sight").run
FEW = EvaluateSettings(limit=8, generate=0, zero_shot=0)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (" Paris.  It is big.", "paris."),
        ("The  capital\nis Paris", "the capital"),
        ("3.5 is a number! Yes", "3.5 is a number!"),
        ("", ""),
    ],
)
def test_the_first_sentence_is_in_one_form(text, first):
    assert first_sentence(text) == first


@pytest.mark.parametrize(
    ("reply", "answer", "right"),
    [
        ("even", "even", True),
        ("7 is an odd number.", "odd", True),
        ("It is even or odd.", "odd", False),
        ("Yes, it is. No.", "yes", True),
        ("7 + 3 = 10", "10", True),
        ("4 + 6 = 10", "7 + 3 = 10", True),
        ("The sum is ten.", "7 + 3 = 10", True),
        ("7 + 3 = 11", "7 + 3 = 10", False),
        ("I think 3.", "x = 3", False),
        ("It is ten.", "10", True),
        ("10 is 7 and 3.", "10", False),
        ("It is thirteen.", "13", True),
        ("It is seven.", "seven", True),
        ("seven", "seven", True),
        ("It is 7.", "seven", False),
        ("It is an ankle boot.", "ankle boot", True),
        ("It is a boot.", "ankle boot", False),
        ("ESUOH", "esuoh", True),
        ("", "even", False),
    ],
)
def test_a_reply_gives_an_answer_by_the_rule_that_is_written_down(reply, answer, right):
    assert says(reply, answer) is right


@pytest.mark.parametrize(
    ("reply", "is_sane"),
    [
        ("The capital of France is Paris.", True),
        ("Paris.", True),
        ("7", False),
        (" ankle boot.", False),
        ("", False),
        ("Bananas are yellow.", False),
        ("France is big. " * 9, False),
        ("Paris\nParis\nParis\n", False),
    ],
)
def test_a_reply_is_sane_by_the_rule_that_is_written_down(reply, is_sane):
    prompt, base = "What is the capital of France?", "The capital is Paris."
    assert sane(reply, prompt, base, ["7", "Ankle boot"]) is is_sane


def test_the_prompts_are_100_in_each_template_beside_the_base_by_the_same_rule():
    task = open_task("talk:both", SIGHT, EvaluateSettings())
    assert [item.group for item in task.items].count("chat") == 100
    assert len(task.items) == 200
    shares = task.further(None, [])
    assert {share.n for share in shares.values()} == {100}
    [first] = {task.read(item.answers[0], item) for item in task.items[100:101]}
    assert first == task.items[100].answers[0]
    assert task.read("7", task.items[100]) == "7"
    with pytest.raises(DatasetError, match="give chat, plain or both"):
        open_task("talk:aloud", SIGHT, EvaluateSettings())


def test_an_aside_comes_in_the_turn_of_the_picture_and_after_it_in_both_templates(digits):
    task = open_task(f"aside:{digits}", SIGHT, FEW)
    assert {item.group for item in task.items} == {
        f"{template}, {turn}"
        for template in ("plain", "chat")
        for turn in ("the same turn", "a later turn")
    }
    item = task.items[0]
    assert task.read(f" {item.answers[0]}  And more.", item) == item.answers[0]
    assert task.read("2", item) == "2"
    with pytest.raises(DatasetError, match="take a run of smollm2-135m"):
        open_task(f"aside:{digits}", RunRecord("nano"), FEW)


ALONE = {"sort", "parity", "plus", "minus", "than", "in words", "count"}
TOGETHER = {"larger", "smaller", "sum", "place", "left", "count"}


def test_what_is_seen_is_used_where_the_name_and_the_base_are_right(digits, nano_run):
    found = evaluate(nano_run, f"use:{digits}", FEW, quiet=True)
    assert found.score.n == 8
    assert set(found.groups) <= ALONE | TOGETHER
    assert found.further["the name is right"].n == 8
    assert found.further["the base is right about the written name"].n == 8
    assert "further" in found.as_json()


def test_the_split_of_the_pictures_is_chosen(digits, nano_run):
    command = ["evaluate", "--model", str(nano_run), "--data", f"use:{digits}", "--limit", "4"]
    done = CliRunner().invoke(app, [*command, "--split", "validation", "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["split"] == "validation"


def test_questions_stand_before_and_after_one_picture_and_two(digits):
    items = open_task(f"use:{digits}", SIGHT, FEW).items
    assert {item.pictures for item in items} == {1, 2}
    assert {item.prompt.index(item.ascii_image[:20]) == 0 for item in items} == {True, False}
    assert {item.group for item in items if item.pictures == 2} <= TOGETHER


@pytest.mark.parametrize(
    ("run", "chats"),
    [
        (SIGHT, True),
        (replace(SIGHT, free=True), False),
        (replace(SIGHT, free=True, prompts=(PLAIN, CHAT)), True),
    ],
)
def test_a_run_that_learned_questions_in_plain_text_is_asked_in_it(run, chats, digits):
    items = open_task(f"use:{digits}", run, FEW).items
    assert any("<|im_start|>" in item.prompt for item in items) is chats


def test_the_kind_of_the_names_is_given_where_they_do_not_say_it(digits):
    task = open_task(f"use:{digits}?kind=icon", SIGHT, replace(FEW, limit=2))
    assert {item.group for item in task.items} == {"first"}
