import json
import re
from importlib.resources import files
from operator import itemgetter

import pytest

from glyphsight.dataset import Prompt, Record
from glyphsight.dataset.questions import (
    ASIDE,
    CHAT,
    FAMILIES,
    PLAIN,
    asides,
    ask,
    asks_name,
    refers,
    wordings,
)
from glyphsight.errors import DatasetError

FORMS = json.loads((files("glyphsight") / "assets" / "questions.json").read_text("utf-8"))["forms"]
SEEN = {
    "digit": ["7"],
    "number": ["42"],
    "letter": ["K"],
    "word": ["house"],
    "icon": ["apple"],
    "scene": ["circle, large star, circle"],
}


def answers(names, kind, family, **how):
    found = (ask(names, kind, number=n, families=[family], **how) for n in range(80))
    return {(one.words, one.answer) for one in found}


def test_each_family_has_forty_wordings_and_others_that_are_held_out():
    for family in set(FAMILIES) - {ASIDE}:
        trained = {words for _, words in wordings(family)}
        held_out = {words for _, words in wordings(family, held_out=True)}
        assert len(trained) >= 40
        assert len(held_out) >= 4
        assert not trained & held_out
    trained, held_out = ({words for words, _ in asides(held, True)} for held in (False, True))
    assert len(trained) >= 40
    assert len(held_out) >= 90
    assert not trained & held_out
    assert len(asides(True, True, silent=True)) == len(asides(True, silent=True)) == 100


@pytest.mark.parametrize(
    ("kind", "family", "right"),
    [
        ("digit", "what", {"7"}),
        ("letter", "sort", {"letter"}),
        ("digit", "parity", {"odd", "yes", "no"}),
        ("number", "plus", {"45"}),
        ("number", "backwards", {"24"}),
        ("word", "backwards", {"esuoh"}),
        ("word", "length", {"5"}),
        ("icon", "first", {"a"}),
        ("scene", "what", {"circle, large star, circle"}),
        ("scene", "count", {"3"}),
        ("scene", "left", {"circle"}),
        ("scene", "right", {"circle"}),
        ("scene", "size", {"star"}),
        ("scene", "end", {"circle"}),
        ("digit", "minus", {"6"}),
        ("digit", "in words", {"seven"}),
        ("digit", "count", {"1"}),
    ],
)
def test_the_name_gives_the_answer(kind, family, right):
    assert {answer for _, answer in answers(SEEN[kind], kind, family)} == right


def test_yes_and_no_go_with_the_question():
    form_of = {words: form for form, words in wordings("parity")}
    found = {(form_of[words], answer) for words, answer in answers(["4"], "digit", "parity")}
    assert found == {("either", "even"), ("even", "yes"), ("odd", "no")}


def test_what_is_left_names_a_thing_that_is_there_once():
    assert all("star" in words for words, _ in answers(SEEN["scene"], "scene", "left"))


@pytest.mark.parametrize(
    ("family", "right"),
    [
        ("larger", {"9"}),
        ("smaller", {"4"}),
        ("sum", {"4 + 9 = 13"}),
        ("count", {"2"}),
        ("left", {"4"}),
    ],
)
def test_the_names_of_two_pictures_give_the_answer(family, right):
    assert {answer for _, answer in answers(["4", "9"], "digit", family)} == right


def test_a_number_is_compared_with_another():
    for words, answer in answers(["4"], "digit", "than"):
        [other] = re.findall(r"\d", words)
        assert other != "4"
        assert answer == ("yes" if int(other) < 4 else "no")


def test_one_of_several_numbers_is_named_by_its_place():
    places = {"first": "7", "second": "0", "third": "7", "last": "7"}
    found = answers(["7", "0", "7"], "digit", "place")
    assert {answer for _, answer in found} == {"7", "0"}
    for words, answer in found:
        assert [answer] == [said for place, said in places.items() if place in words]


@pytest.mark.parametrize("name", ["star", "star, ring", "large star, large ring"])
def test_the_largest_of_a_scene_is_asked_for_where_one_is_called_large(name):
    with pytest.raises(DatasetError, match="fits this scene"):
        ask([name], "scene", families=["size"])


def test_the_ends_of_a_scene_are_asked_for_where_there_are_several_things():
    found = answers(["ring, large star, cross"], "scene", "end")
    assert {answer for _, answer in found} == {"ring", "cross"}
    with pytest.raises(DatasetError, match="fits this scene"):
        ask(["ring"], "scene", families=["end"])


def test_several_scenes_are_not_asked_about_together():
    with pytest.raises(DatasetError, match="fits this scene"):
        ask(["circle, star", "star"], "scene", families=["count"])


@pytest.mark.parametrize("family", ["place", "sum"])
def test_numbers_are_not_asked_for_their_digits(family):
    found = answers(["47", "12"], "number", family)
    assert not [words for words, _ in found if "digit" in words or "figure" in words]


def test_a_number_of_two_digits_is_compared_with_one_near_by():
    found = answers(["12"], "number", "than")
    assert {answer for _, answer in found} == {"yes", "no"}


@pytest.mark.parametrize("form", FORMS, ids=itemgetter("form"))
def test_every_wording_refers_to_the_picture_in_any_frame(form):
    for words in form["trained"] + form["held_out"]:
        asked = words.replace("{}", "second")
        assert refers(asked), asked
        assert form["family"] == "what" or not asks_name(asked)


@pytest.mark.parametrize(
    "words",
    [
        "Who was the second president of the United States?",
        "What is the third planet from the sun?",
        "What is the total population of France?",
        "What is the minimum wage in Germany?",
        "Which is bigger, the sun or the moon?",
        "How can I spend less time on my phone?",
        "What items should I pack for camping?",
    ],
)
def test_words_about_something_else_do_not_refer(words):
    assert not refers(words)


def test_one_less_than_zero_is_not_asked():
    with pytest.raises(DatasetError, match="no question of minus fits"):
        ask(["0"], "digit", families=["minus"])


def test_of_two_pictures_the_larger_is_asked_for():
    one = ask(["3", "12"], "number", families=["larger"])
    assert one.answer == "12"
    text = PLAIN.ask("·\n█\n", one.question)
    assert text == f"·\n█\n{one.words}\nResponse:"


def test_a_question_that_fits_nothing_names_the_fix():
    with pytest.raises(DatasetError, match="give other names or families"):
        ask(["5", "5"], "digit", families=["larger"])


def test_the_same_arguments_ask_the_same():
    first, again, other = (
        [ask(["7"], "digit", seed=seed, number=n) for n in range(50)] for seed in (0, 0, 1)
    )
    assert first == again != other
    alone = {"what", "sort", "parity", "plus", "minus", "than", "in words", "count", ASIDE}
    assert {one.family for one in first} == alone


@pytest.mark.parametrize("wording", [PLAIN, CHAT])
def test_the_picture_stands_anywhere_and_once_and_all_words_stay(wording):
    chat, places = wording is CHAT, set()
    for number in range(80):
        one = ask(["7"], "digit", number=number, chat=chat)
        prompt, reply = wording.pair(Record("·█·\n", one.answer, one.question))
        assert prompt.count("·█·") == 1
        assert "ASCII_image" not in prompt
        assert one.words in prompt
        assert reply.strip() == one.answer
        before, _, after = prompt.partition("·█·")
        places.add((one.words in after, "Response: " in before or "assistant\n" in before))
        assert prompt.endswith("assistant\n" if chat else "\nResponse:")
    assert places == {(True, False), (True, True), (False, False)}


def test_a_turn_about_something_else_has_the_answer_of_the_base():
    kept = dict(asides(chat=True))
    for number in range(20):
        one = ask(["7"], "digit", number=number, families=[ASIDE], chat=True)
        assert one.answer
        assert kept[one.words].startswith(one.answer)
        assert one.answer.rstrip("\"')")[-1] in ".!?"


def test_a_question_may_say_where_the_picture_stands():
    assert Prompt().ask("·\n", "Is\n{ASCII_image}\neven?") == "Is\n·\neven?\nResponse:"


@pytest.mark.parametrize(
    ("words", "whether"),
    [
        ("What is this?", True),
        ("what's this", True),
        ("What digit is this?", True),
        ("Which letter is it?", True),
        ("What is in the picture?", True),
        ("What do you see in this image?", True),
        ("What does the picture show?", True),
        ("Please read the number.", True),
        ("Name what you see.", True),
        ("What is it used for?", False),
        ("What is the capital of France?", False),
        ("Is this a digit?", False),
        ("What is this digit plus three?", False),
        ("Say it backwards", False),
    ],
)
def test_words_that_ask_for_the_name_alone_are_told(words, whether):
    assert asks_name(words) == whether
