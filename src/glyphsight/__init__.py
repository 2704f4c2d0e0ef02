"""Eyes for text-only language models: pictures as text, datasets, fine-tuning, measured sight."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from glyphsight.version import __version__

if TYPE_CHECKING:
    from glyphsight.api import draw, encode, hear, load, see
    from glyphsight.codec import PUBLISHED, Profile, decode, encode_batch, parse
    from glyphsight.dataset import Record, load_dataset
    from glyphsight.inference import Answer, Drawing, Model


_HOME = {
    "glyphsight.api": ("draw", "encode", "hear", "load", "see"),
    "glyphsight.codec": ("PUBLISHED", "Profile", "decode", "encode_batch", "parse"),
    "glyphsight.dataset": ("Record", "load_dataset"),
    "glyphsight.inference": ("Answer", "Drawing", "Model"),
}

__all__ = [
    "PUBLISHED", "Answer", "Drawing", "Model", "Profile", "Record", "__version__", "decode",
    "draw", "encode", "encode_batch", "hear", "load", "load_dataset", "parse", "see",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; importing the package itself costs nothing."""
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'glyphsight' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
