"""All that is measured of one model: figures, how sure, beside which floors, what breaks it."""

from glyphsight.evaluate.study.look import look_closer
from glyphsight.evaluate.study.result import SHOWN, Selection, Study
from glyphsight.evaluate.study.run import study

__all__ = ["SHOWN", "Selection", "Study", "look_closer", "study"]
