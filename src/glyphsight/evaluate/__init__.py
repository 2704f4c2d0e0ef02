"""Measure how well a model sees: one evaluator over tasks, intervals, floors, a report."""

from glyphsight.evaluate.evaluation import evaluate
from glyphsight.evaluate.report import record_study
from glyphsight.evaluate.result import Evaluation, Sample
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.statistics import ClassScore, per_class, wilson_interval
from glyphsight.evaluate.study import Study, run_study
from glyphsight.inference import Answer, Seen, see_many
from glyphsight.parallel import Workers

__all__ = [
    "Answer",
    "ClassScore",
    "EvaluateSettings",
    "Evaluation",
    "Sample",
    "Seen",
    "Study",
    "Workers",
    "evaluate",
    "per_class",
    "record_study",
    "run_study",
    "see_many",
    "wilson_interval",
]
