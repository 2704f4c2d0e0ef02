"""Measure how well a model sees: one evaluator over tasks, intervals, floors, a report."""

from glyphsight.evaluate.evaluation import evaluate
from glyphsight.evaluate.report import record_study
from glyphsight.evaluate.result import Evaluation, Sample
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.study import Study, run_study

__all__ = [
    "EvaluateSettings", "Evaluation", "Sample", "Study", "evaluate", "record_study", "run_study",
]  # fmt: skip
