"""Eyes for text-only language models: pictures as text, datasets, fine-tuning, measured sight."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from glyphsight.version import __version__

if TYPE_CHECKING:
    from glyphsight.api import decode, encode, load, see
    from glyphsight.codec import PUBLISHED, Profile, encode_batch, parse
    from glyphsight.dataset import Record, load_dataset
    from glyphsight.inference import Answer, Model


_HOME = {
    "Answer": "glyphsight.inference",
    "Model": "glyphsight.inference",
    "PUBLISHED": "glyphsight.codec",
    "Profile": "glyphsight.codec",
    "Record": "glyphsight.dataset",
    "decode": "glyphsight.api",
    "encode": "glyphsight.api",
    "encode_batch": "glyphsight.codec",
    "load": "glyphsight.api",
    "load_dataset": "glyphsight.dataset",
    "parse": "glyphsight.codec",
    "see": "glyphsight.api",
}

__all__ = [
    "PUBLISHED",
    "Answer",
    "Model",
    "Profile",
    "Record",
    "__version__",
    "decode",
    "encode",
    "encode_batch",
    "load",
    "load_dataset",
    "parse",
    "see",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; importing the package itself costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'glyphsight' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
