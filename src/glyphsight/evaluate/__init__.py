"""How well a model sees: one scorer, honest intervals, floors beside every figure, a report."""

from glyphsight.evaluate.evaluation import Evaluation, Sample, evaluate
from glyphsight.evaluate.measure import run_study
from glyphsight.evaluate.report.page import Story, write_report
from glyphsight.evaluate.statistics import ClassScore, per_class, wilson_interval
from glyphsight.evaluate.study import Study
from glyphsight.inference.see import Answer, Seen, see, see_many
from glyphsight.parallel import Workers

__all__ = [
    "Answer",
    "ClassScore",
    "Evaluation",
    "Sample",
    "Seen",
    "Story",
    "Study",
    "Workers",
    "evaluate",
    "per_class",
    "run_study",
    "see",
    "see_many",
    "wilson_interval",
    "write_report",
]
