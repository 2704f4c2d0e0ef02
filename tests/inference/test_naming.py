import itertools

import pytest

from glyphsight.inference.answer import Answer
from glyphsight.inference.naming import in_words, names_of, relevant


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("5", "the digit 5"),
        ("42", "the number 42"),
        ("R", "the letter R"),
        ("star", "a star"),
        ("ankle boot", "an ankle boot"),
        ("trousers", "trousers"),
        ("dress", "a dress"),
        ("octopus", "an octopus"),
    ],
)
def test_a_name_is_said_with_its_kind_or_its_article(name, said):
    assert in_words([[name]]) == f"The picture shows {said}."


def test_several_pictures_are_numbered_and_several_things_joined():
    assert in_words([["1", "A"], ["7"]]) == (
        "Picture 1 shows the digit 1 and the letter A.\nPicture 2 shows the digit 7."
    )
    assert in_words([["7"]], "Sound") == "The sound is the digit 7."


def test_what_is_not_known_is_not_named():
    unknown = Answer("unknown", "nothing I know", 0.9, {}, "", False, False, False, known=False)
    said = in_words([names_of(unknown)])
    assert said == "The picture shows nothing that can be named."


def turns(*contents):
    roles = itertools.cycle(("user", "assistant"))
    return [{"role": role, "content": one} for role, one in zip(roles, contents, strict=False)]


SHOWN = "The picture shows the digit 5."


@pytest.mark.parametrize(
    "words",
    [
        "Is it even?",
        "Why?",
        "What is the number plus three?",
        "Are you sure?",
        "Can you explain?",
        "이 그림은 무엇을 보여 줍니까?",
        "Ist die Zahl gerade?",
    ],
)
def test_words_that_refer_to_a_picture_are_read_with_it(words):
    told = turns(f"{SHOWN}\nWhat is it?", "5", words)
    assert relevant(told) == told


def test_words_that_do_not_refer_are_read_without_it_and_with_what_else_was_said():
    told = turns(
        f"{SHOWN}\nWhat is the capital of France?",
        "Paris.",
        f"{SHOWN}\nIs it even?",
        "No.",
        "What is the capital of Spain?",
    )
    [asked] = relevant(told[:1])
    assert asked["content"] == "What is the capital of France?"
    assert [one["content"] for one in relevant(told)] == [
        "What is the capital of France?",
        "Paris.",
        "What is the capital of Spain?",
    ]
    plain = turns("Who was Napoleon?", "An emperor.", "Which year did Napoleon die?")
    assert relevant(plain) == plain
    shown = [*plain[:2], *turns(f"{SHOWN}\nWhat is it?", "5", "When was Napoleon born?")]
    assert [one["content"] for one in relevant(shown)] == [
        *(one["content"] for one in plain[:2]),
        "When was Napoleon born?",
    ]
