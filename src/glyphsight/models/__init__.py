"""Base language models and their tokenizers: made, fetched, loaded; what a trained run records."""

from glyphsight.models.load import LoadedModel, load_model
from glyphsight.models.runs import RunRecord

__all__ = ["LoadedModel", "RunRecord", "load_model"]
