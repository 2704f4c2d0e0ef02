"""Sweeps: encodings compared, accuracy against the tokens that each way of writing costs.

A plan is a YAML file of encodings, sizes, amounts of data and seeds. Each run of it builds a
dataset, trains a model on it and measures it; the findings are a table and a plot.
"""

from glyphsight.evaluate.sweep.cells import run_sweep
from glyphsight.evaluate.sweep.findings import plot, table, write_findings
from glyphsight.evaluate.sweep.plan import SweepPlan, read_plan

__all__ = ["SweepPlan", "plot", "read_plan", "run_sweep", "table", "write_findings"]
