import importlib

import numpy as np
import pytest

import glyphsight
from glyphsight.errors import FormatError, PictureError

FACE = [
    "Model",
    "PUBLISHED",
    "Answer",
    "Drawing",
    "Profile",
    "Record",
    "__version__",
    "decode",
    "draw",
    "encode",
    "encode_batch",
    "hear",
    "load",
    "load_dataset",
    "parse",
    "see",
]


def test_the_public_names_are_these():
    assert sorted(glyphsight.__all__) == sorted(FACE)
    assert sorted(dir(glyphsight)) == sorted(FACE)


@pytest.mark.parametrize("name", FACE)
def test_every_public_name_is_there(name):
    assert getattr(glyphsight, name) is not None


@pytest.mark.parametrize("folder", ["codec", "sources", "dataset"])
def test_every_name_a_folder_promises_is_there(folder):
    module = importlib.import_module(f"glyphsight.{folder}")
    for name in module.__all__:
        assert hasattr(module, name)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'glyphsight' has no attribute 'smell'"):
        _ = glyphsight.smell


@pytest.fixture
def digits(validation):
    return validation.pixels[:3]


def test_fields_of_the_profile_may_be_given_alone(digits):
    wide = glyphsight.Profile(width=40, format="plain")
    text = glyphsight.encode(digits[0], width=40, format="plain")
    assert text == glyphsight.encode(digits[0], wide)
    np.testing.assert_array_equal(
        glyphsight.decode(text, format="plain"), glyphsight.decode(text, wide)
    )
    with pytest.raises(FormatError, match="width is 0; give a whole number, at least 1"):
        glyphsight.encode(digits[0], width=0)


def test_a_list_of_pictures_has_a_list_of_texts_and_of_answers(digits):
    texts = glyphsight.encode(list(digits))
    assert texts == glyphsight.encode_batch(digits)
    answers = glyphsight.see(list(digits), "nano-digits")
    alone = [glyphsight.see(one, "nano-digits") for one in digits]
    assert [one.label for one in answers] == [one.label for one in alone]
    assert glyphsight.see((), "nano-digits") == []
    assert glyphsight.see(digits[0], "nano-digits", "What is this?") == alone[0]
    stacked = glyphsight.load("nano-digits").see(digits)
    assert [one.label for one in stacked] == [one.label for one in alone]


def test_a_stack_and_a_picture_in_each_others_place_are_refused_with_the_fix(digits, golden):
    for ask in (glyphsight.encode, lambda stack: glyphsight.see(stack, "nano-digits")):
        with pytest.raises(
            PictureError, match=r"\[3, 28, 28\] is not a picture.*give list\(array\)"
        ):
            ask(digits)
    model = glyphsight.load("nano-digits")
    for one in (digits[0], golden / "five.png", str(golden / "five.png")):
        with pytest.raises(PictureError, match=r"give \[picture\], or list"):
            model.see(one)
    with pytest.raises(PictureError, match=r"give one picture as picture\[None\], "):
        glyphsight.encode_batch(digits[0])
    with pytest.raises(PictureError, match="several sizes"):
        glyphsight.encode_batch([digits[0], digits[0][:4]])


def test_a_format_that_is_none_is_refused_at_once_with_those_there_are():
    with pytest.raises(FormatError, match="format is 'plan'; give plain, if that is meant; else"):
        glyphsight.Profile(format="plan")
