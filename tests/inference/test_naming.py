import pytest

from glyphsight.inference.naming import in_words, names_of
from glyphsight.inference.see import Answer


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
