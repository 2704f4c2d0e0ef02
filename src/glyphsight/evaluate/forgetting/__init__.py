"""Whether a model still talks: perplexity on plain English and easy questions, beside its base."""

from glyphsight.evaluate.forgetting.perplexity import TextLoss, text_loss
from glyphsight.evaluate.forgetting.questions import PlainQuestion, plain_questions
from glyphsight.evaluate.forgetting.talk import Spoken, Talk, talk

__all__ = [
    "PlainQuestion",
    "Spoken",
    "Talk",
    "TextLoss",
    "plain_questions",
    "talk",
    "text_loss",
]
