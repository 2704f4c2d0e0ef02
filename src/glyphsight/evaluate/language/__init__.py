"""Whether a model still talks: perplexity on plain English and easy questions, beside its base."""

from glyphsight.evaluate.language.perplexity import TextLoss, text_loss
from glyphsight.evaluate.language.questions import PlainQuestion, plain_questions
from glyphsight.evaluate.language.talk import Spoken, Talk, talk

__all__ = [
    "PlainQuestion",
    "Spoken",
    "Talk",
    "TextLoss",
    "plain_questions",
    "talk",
    "text_loss",
]
