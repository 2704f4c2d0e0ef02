import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphsight.dataset import Prompt, Record
from glyphsight.dataset.prompt import read_wordings
from glyphsight.errors import DatasetError
from glyphsight.files import normal

answers = st.text(min_size=1).filter(lambda text: text == normal(text).strip())


def test_the_default_prompt_is_the_picture_and_a_word():
    record = Record("<row:1>█</row:1>\n", "5", size="1")
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


texts = st.text(max_size=20)
words = st.text(max_size=5).filter(lambda text: "{" not in text)


@given(texts, texts, words, st.tuples(words, words, words, words))
def test_parse_is_the_inverse_of_what_is_written(picture, answer, instruction, around):
    prompt = Prompt(
        around[0] + "{ASCII_image}" + around[1], around[2] + "{Response}" + around[3], instruction
    )
    record = Record(picture, answer, size="20")
    expected = picture, record.answer
    assert prompt.parse(*prompt.pair(record)) == expected
    *_, user, assistant = prompt.messages(record)
    assert prompt.parse(user["content"], assistant["content"], chat=True) == expected


@pytest.mark.parametrize(
    ("wording", "pictures", "asked"),
    [
        ("{ASCII_image}Response:", ("x\n",), "x\nIs it even?\nResponse:"),
        ("{ASCII_image}Response:", ("x\n", "y\n"), "x\ny\nIs it even?\nResponse:"),
        ("{ASCII_image}Response:", (), "Is it even?\nResponse:"),
        ("Look: {ASCII_image}", ("x",), "Look: x\nIs it even?\n"),
        ("{Question}\n{ASCII_image}Response:", ("x\n",), "Is it even?\nx\nResponse:"),
        ("{ASCII_image}Q: {Question} A:", ("{Question}",), "{Question}Q: Is it even? A:"),
    ],
)
def test_a_records_own_question_stands_on_a_line_after_the_pictures(wording, pictures, asked):
    prompt, record = Prompt(wording), Record(pictures, "no", "Is it even?")
    assert prompt.pair(record) == (asked, " no")
    assert prompt.messages(record)[0] == {"role": "user", "content": asked}


def test_without_a_question_its_field_is_left_out():
    prompt = Prompt("{ASCII_image}{Question}Answer:")
    assert prompt.ask("x\n") == "x\nAnswer:"
    assert prompt.parse("x\nAnswer:", " 5") == ("x\n", "5")
    with pytest.raises(DatasetError, match=r"must not hold \{Question\} twice"):
        Prompt("{ASCII_image}{Question}{Question}")


def test_other_words_are_not_parsed():
    assert Prompt().parse("x", " 5") is None
    assert Prompt().parse("xResponse:", "5") is None
    overlapping = Prompt(question="aba{ASCII_image}aba")
    assert overlapping.parse("aba", " 5") is None
    assert overlapping.parse("abaaba", " 5") == ("", "5")


def test_an_instruction_is_a_line_before_the_question_and_the_system_message():
    prompt = Prompt("{ASCII_image}?", " {Response}", "You see.")
    record = Record("x\n", "5", size="1")
    assert prompt.pair(record) == ("You see.\nx\n?", " 5")
    assert prompt.messages(record) == [
        {"role": "system", "content": "You see."},
        {"role": "user", "content": "x\n?"},
        {"role": "assistant", "content": "5"},
    ]
    assert [message["role"] for message in Prompt().messages(record)] == ["user", "assistant"]


def test_wordings_are_read_from_a_file(tmp_path):
    file = tmp_path / "words.json"
    file.write_text(
        '[{}, {"question": "{ASCII_image}Was?", "answer": "{Response}", "instruction": "Lies."}]',
        "utf-8",
    )
    assert read_wordings(file) == (Prompt(), Prompt("{ASCII_image}Was?", "{Response}", "Lies."))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "an empty array in place of a list; give"),
        ("{}", "an object in place of a list; give"),
        ('["{ASCII_image}"]', "wording 1: a string, must be an object"),
        ('[{}, {"reply": "x"}]', "wording 2: unknown key 'reply'; give one of question, answer"),
        ('[{"question": 1}]', "wording 1: 'question' is a number, must be a string"),
        ('[{"question": "x"}]', "wording 1: prompt 'x' must hold {ASCII_image} once"),
        ("[", "not JSON at line 1 column 2"),
    ],
)
def test_wordings_that_cannot_be_used_are_named(tmp_path, text, complaint):
    file = tmp_path / "words.json"
    file.write_text(text, "utf-8")
    with pytest.raises(DatasetError) as caught:
        read_wordings(file)
    assert str(caught.value).startswith(f"{file}: {complaint}")
    with pytest.raises(DatasetError, match="no such file"):
        read_wordings(tmp_path / "none.json")


def test_an_answer_has_one_form_on_both_sides():
    record = Record("x", " e\u0301te\u0301\n")
    assert record.answer == "\u00e9t\u00e9"
    assert Prompt().read_reply(" e\u0301te\u0301 \n") == record.answer
    drawn = "  ██\n██\n"
    assert Record((), drawn, "Draw it.").answer == drawn
