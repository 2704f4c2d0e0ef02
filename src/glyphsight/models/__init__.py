"""Base language models, their tokenizers, and one way to load, score and ask them all."""

from glyphsight.models.choices import score_choices
from glyphsight.models.load import LoadedModel, load_model
from glyphsight.models.record import RunRecord
from glyphsight.models.score import Completions, best_labels, generate_replies, score_labels

__all__ = [
    "Completions",
    "LoadedModel",
    "RunRecord",
    "best_labels",
    "generate_replies",
    "load_model",
    "score_choices",
    "score_labels",
]
