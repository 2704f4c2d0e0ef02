"""A model that is asked: forward passes, log-likelihoods, free writing, pictures."""

from glyphsight.inference.answer import Answer
from glyphsight.inference.draw import Drawing, DrawSettings
from glyphsight.inference.model import Model
from glyphsight.inference.score import Request
from glyphsight.inference.see import Asking, Seen, see_many

__all__ = ["Answer", "Asking", "DrawSettings", "Drawing", "Model", "Request", "Seen", "see_many"]
