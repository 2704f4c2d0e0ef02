import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphsight.dataset import Prompt, Record
from glyphsight.errors import DatasetError

answers = st.text(min_size=1).filter(lambda text: text == text.strip())


def test_the_default_prompt_is_the_picture_and_a_word():
    record = Record("1", "<row:1>█</row:1>\n", "5")
    assert Prompt().pair(record) == ("<row:1>█</row:1>\nResponse:", " 5")


@pytest.mark.parametrize("answer", [" {Response}", "{Response}", " It is a {Response}.\n"])
@given(response=answers)
def test_an_answer_written_as_a_reply_is_read_back(answer, response):
    prompt = Prompt(answer=answer)
    assert prompt.read_reply(prompt.reply(response)) == response


@pytest.mark.parametrize("text", ["5", " 5", "5\n", "\t5 \n"])
def test_white_space_around_an_answer_does_not_matter(text):
    assert Prompt().read_reply(text) == "5"


def test_a_picture_that_looks_like_a_field_is_left_alone():
    assert Prompt().ask("{Response}{ASCII_image}") == "{Response}{ASCII_image}Response:"
    assert Prompt().reply("{Response}") == " {Response}"


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ({"question": "What is it?"}, "ASCII_image"),
        ({"question": "{ASCII_image}{ASCII_image}"}, "ASCII_image"),
        ({"answer": ""}, "Response"),
        ({"answer": "{Response} or {Response}"}, "Response"),
    ],
)
def test_a_prompt_holds_its_field_once(texts, field):
    with pytest.raises(DatasetError, match=rf"must hold \{{{field}\}} once"):
        Prompt(**texts)
