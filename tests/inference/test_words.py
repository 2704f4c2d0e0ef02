from glyphsight.inference import Answer, Model
from glyphsight.inference.words import Reader, ReadSettings


def test_a_digit_is_handwritten_and_a_letter_is_none():
    reader = Reader(ReadSettings(), Model("sight"))

    def said(label):
        return reader.say(Answer(label, label, 0.9, {label: 0.9}, "█\n", False, False, False))

    assert said("5") == "a handwritten digit: 5 (90 %)"
    assert said("A") == "A (90 %)"
