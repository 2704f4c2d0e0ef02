"""Fine-tuning datasets of ASCII_Images: records, files, splits, checks and the prompt."""

from glyphsight.dataset.build.pipeline import BuildReport, build_dataset
from glyphsight.dataset.build.settings import BuildSettings
from glyphsight.dataset.inspect.check import CheckReport, Problem, check_dataset
from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import Record
from glyphsight.dataset.storage import load_dataset, write_records

__all__ = [
    "BuildReport",
    "BuildSettings",
    "CheckReport",
    "Problem",
    "Prompt",
    "Record",
    "build_dataset",
    "check_dataset",
    "load_dataset",
    "write_records",
]
