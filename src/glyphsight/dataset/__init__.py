"""Fine-tuning datasets of ASCII_Images: records, files, splits, checks and the prompt."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from glyphsight.dataset.prompt import Prompt
from glyphsight.dataset.record import Record

if TYPE_CHECKING:
    from glyphsight.dataset.build.pipeline import BuildReport, build_dataset
    from glyphsight.dataset.build.settings import BuildSettings
    from glyphsight.dataset.inspect.check import CheckReport, Problem, check_dataset
    from glyphsight.dataset.storage import load_dataset, write_records

_HOME = {
    "BuildReport": "build.pipeline",
    "BuildSettings": "build.settings",
    "CheckReport": "inspect.check",
    "Problem": "inspect.check",
    "build_dataset": "build.pipeline",
    "check_dataset": "inspect.check",
    "load_dataset": "storage",
    "write_records": "storage",
}

__all__ = [
    "BuildReport", "BuildSettings", "CheckReport", "Problem", "Prompt", "Record",
    "build_dataset", "check_dataset", "load_dataset", "write_records",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: who reads a picture builds no dataset."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
