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
    "build.pipeline": ("BuildReport", "build_dataset"),
    "build.settings": ("BuildSettings",),
    "inspect.check": ("CheckReport", "Problem", "check_dataset"),
    "storage": ("load_dataset", "write_records"),
}

__all__ = [
    "BuildReport", "BuildSettings", "CheckReport", "Problem", "Prompt", "Record",
    "build_dataset", "check_dataset", "load_dataset", "write_records",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: who reads a picture builds no dataset."""
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
