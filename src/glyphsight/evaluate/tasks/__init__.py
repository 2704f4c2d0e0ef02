"""Text-art recognition sets of others, read as they are published, through the same scorer."""

from glyphsight.evaluate.tasks.base import Question, QuestionSet
from glyphsight.evaluate.tasks.run import SetEvaluation, SetSample, evaluate_set
from glyphsight.evaluate.tasks.spec import is_set, open_set

__all__ = [
    "Question",
    "QuestionSet",
    "SetEvaluation",
    "SetSample",
    "evaluate_set",
    "is_set",
    "open_set",
]
