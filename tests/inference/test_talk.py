import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from glyphsight.cli.answers import Printer
from glyphsight.dataset.questions import CHAT, PLAIN
from glyphsight.errors import ModelError
from glyphsight.inference import Answer, Model
from glyphsight.inference.see import Seen
from glyphsight.inference.stream import Piece
from glyphsight.inference.talk import Conversation, conversation_ids, task_about
from glyphsight.models import RunRecord
from glyphsight.models.runs import SHIPPED_RUNS, Task

EVEN = Task("Is it even?", ("no", "yes"))
PICTURE = "·█·\n"
ASKED = [{"role": "user", "content": f"{PICTURE}What is it?"}]


def read_by(model, messages, pictures):
    ids = conversation_ids(model, messages, pictures=pictures)
    return model.tokenizer.decode(ids, skip_special_tokens=False)


def of(record, talker=None):
    return SimpleNamespace(trained=record, talker=talker)


def test_words_beside_a_picture_mean_a_task_or_belong_to_a_conversation():
    digit = Task("", ("1", "2"))
    assert task_about(of(RunRecord("nano", tasks=(digit,))), "Why?") == digit
    both = of(RunRecord("nano", tasks=(digit, EVEN)))
    assert task_about(both, "") == digit
    assert task_about(both, "Is it even? ") == EVEN
    with pytest.raises(ModelError, match="ask one of 'Is it even"):
        task_about(both, "Why?")
    free = of(RunRecord("smollm2-135m", tasks=(EVEN,), free=True))
    assert task_about(free, "Is it even?") == EVEN
    assert task_about(free, "Why?") is None


def test_a_run_with_a_talker_names_and_leaves_other_words_to_it():
    digit = Task("", ("1", "2"))
    one = of(RunRecord("smollm2-135m", tasks=(digit, EVEN)), talker=True)
    asked = ("", "What digit is this?", "Is it even?", "Why?", "Draw it")
    assert [task_about(one, words) for words in asked] == [digit, digit, EVEN, None, None]


def test_a_free_run_with_a_talker_leaves_to_it_what_it_does_not_list():
    free = of(RunRecord("smollm2-135m", tasks=(EVEN,), free=True), talker=True)
    assert [task_about(free, words) for words in ("Is it even?", "Why?")] == [EVEN, None]


def test_a_run_gives_names_first_unless_its_question_asks_for_something_else():
    record = RunRecord("smollm2-135m", tasks=(Task("", ("1", "2")),))
    assert record.names_first
    assert not replace(record, tasks=(EVEN,)).names_first
    assert replace(record, tasks=(replace(EVEN, question="Which digit?"),)).names_first


class Seer:
    """Names three digits in one picture; the first time it is asked it fails."""

    trained = Model("nano-digits").trained
    talker = True
    asked = 0

    def writes(self, words):
        return False

    def see(self, pictures, question=None):
        self.asked += 1
        if self.asked == 1:
            raise ModelError("no room; crop it")
        ones = [Answer(label, label, 1.0, {}, "", False, False, False) for label in "123"]
        return [replace(ones[0], parts=tuple(ones)) for _ in pictures]


def test_several_things_in_a_picture_are_said_of_one_which_an_error_leaves_waiting(golden):
    talk = Conversation(Seer())
    talk.add(str(golden / "five.png"))
    with pytest.raises(ModelError, match="crop"):
        list(talk.reply("What is it?"))
    assert (len(talk.waiting), talk.messages) == (1, [])
    assert "".join(talk.reply("What is it?")) == "1, 2, 3"
    shown = "The picture shows the digit 1 and the digit 2 and the digit 3."
    assert talk.messages[0]["content"] == f"{shown}\nWhat is it?"
    assert talk.waiting == []


@pytest.mark.slow
def test_the_base_talks_about_what_its_adapter_named(golden):
    talk = Conversation(Model("sight"), most=16)
    talk.add(str(golden / "five.png"))
    assert "".join(talk.reply("What is this?")) == "5"
    assert talk.messages[0]["content"] == "The picture shows the digit 5.\nWhat is this?"
    assert "Paris" in "".join(talk.reply("What is the capital of France?"))
    [alone] = Model("sight").see([golden / "five.png"], "Which month of the year has this number?")
    assert (alone.said, alone.probability) == ("The picture shows the digit 5.", None)
    assert "5" in alone.name


@pytest.mark.slow
def test_a_talker_is_not_asked_about_what_the_model_does_not_know():
    talk = Conversation(Model("nano-digits", talker="smollm2-135m"), most=8)
    talk.add(np.full((60, 60), 230, np.uint8))
    assert "".join(talk.reply("Is it odd?")) == "nothing I know"
    assert "nothing I know" not in "".join(talk.reply("What is the capital of France?"))
    assert "".join(talk.reply("And is it larger than three?")) == "nothing I know"


class Writer(Model):
    """Names digits, takes any question, and writes what it is asked about."""

    def generate(self, requests, **given):
        return [f"asked {request.prompt.count('Response:')}" for request in requests]

    def stream(self, ids, writing=None):
        yield Piece(self.tokenizer.decode(list(ids), skip_special_tokens=True), None, "stop")


@pytest.fixture
def free(tmp_path):
    run = shutil.copytree(SHIPPED_RUNS["nano-digits"], tmp_path / "run")
    replace(RunRecord.load(run), free=True).save(run)
    return run


def test_a_free_run_writes_about_what_it_can_name_and_nothing_about_the_rest(golden, free):
    blank = np.full((60, 60), 255, np.uint8)
    question = "What is it plus three?"
    five, empty = Writer(free).see([str(golden / "five.png"), blank], question)
    assert (five.name, five.probability, five.known) == ("asked 1", None, True)
    assert (five.said, next(iter(five.probabilities))) == ("The picture shows the digit 5.", "5")
    assert (empty.label, empty.known) == ("unknown", False)
    [named] = Writer(free).see([str(golden / "five.png")], "What is it?")
    assert named.label == "5"


def test_a_free_run_is_asked_about_all_things_in_a_picture_at_once(golden, free, capsys):
    five = np.asarray(Image.open(golden / "five.png").convert("L"))
    page = np.full((120, 260), 255, np.uint8)
    for left in (20, 160):
        page[20:76, left : left + 56] = 255 - np.kron(five, np.ones((2, 2), np.uint8))
    [answer] = (model := Writer(free)).see([page], "Which is larger?")
    assert answer.labels == ["5", "5"]
    assert (answer.name, answer.said) == (
        "asked 1",
        "The picture shows the digit 5 and the digit 5.",
    )
    printer = Printer(model, Task("Which is larger?"), False, "text", None, {}, False, None)
    printer.take(Seen("page.png", answer))
    assert capsys.readouterr().out == "page.png: asked 1\n"


def test_a_free_run_is_asked_about_the_last_picture_again_and_its_base_about_all_else(
    golden, free, monkeypatch
):
    base = SimpleNamespace(
        turns=lambda turns: [turns], stream=lambda ids, _: [Piece(str(ids), None)]
    )
    monkeypatch.setattr(Writer, "talker", base)
    talk = Conversation(Writer(free))
    talk.add(str(golden / "five.png"))
    said = [
        "".join(talk.reply(words)) for words in ("What is it?", "Is it even?", "Who was Plato?")
    ]
    assert said[0] == "5"
    picture = talk.model.see([str(golden / "five.png")])[0].ascii_image
    assert said[1] == talk.model.trained.prompt.ask(picture, "Is it even?")
    assert "Who was Plato?" in said[2]
    assert "picture" not in said[2]


def test_a_talker_that_is_given_answers_for_a_free_run(free):
    assert Writer(free).writes("Is it even?")
    assert not Writer(free).writes("Who was Plato?")
    assert not Writer(free, talker="smollm2-135m").writes("Is it even?")


@pytest.mark.slow
def test_sight_vqa_answers_questions_about_a_digit_from_its_picture(golden):
    model, five = Model("sight-vqa"), str(golden / "five.png")
    asked = ("Is it even?", "What is it plus three?", "Would you call the number odd or even?")
    answers = [model.see([five], words)[0] for words in asked]
    assert [answer.name for answer in answers] == ["no", "8", "odd"]
    talk = Conversation(model)
    talk.add(five)
    assert ["".join(talk.reply(words)) for words in ("What is this?", *asked)] == [
        "5",
        "no",
        "8",
        "odd",
    ]


@pytest.mark.slow
def test_a_small_model_names_for_a_language_model_that_is_given(golden):
    model = Model("nano-digits", talker="smollm2-135m")
    [answer] = model.see([golden / "five.png"], "Is it a letter?")
    assert answer.said == "The picture shows the digit 5."
    assert len(answer.name.split()) > 1


@pytest.mark.slow
def test_a_conversation_with_a_picture_is_read_as_the_model_was_trained_to(tmp_path):
    run = shutil.copytree(SHIPPED_RUNS["sight"], tmp_path / "run")
    record = replace(RunRecord.load(run), tasks=(EVEN,), free=True)  # it names nothing first
    replace(record, prompts=(PLAIN,)).save(run)
    words = [{"role": "user", "content": "Hello"}]
    read = [read_by(Model(run), ASKED, True), read_by(Model(run), words, False)]
    assert read == [PLAIN.ask(PICTURE, "What is it?"), CHAT.ask("", "Hello")]
    replace(record, prompts=(PLAIN, CHAT)).save(run)
    assert read_by(Model(run), ASKED, True) == CHAT.ask(PICTURE, "What is it?")
