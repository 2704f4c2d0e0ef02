"""Encodings compared: accuracy against the tokens that each way of writing costs."""

from glyphsight.evaluate.sweep.plan import Cell, Encoding, SweepPlan, read_plan
from glyphsight.evaluate.sweep.run import run_sweep

__all__ = ["Cell", "Encoding", "SweepPlan", "read_plan", "run_sweep"]
