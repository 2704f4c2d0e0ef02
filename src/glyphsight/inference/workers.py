"""A model that is loaded when it is first asked, and that other processes can be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glyphsight.models import LoadedModel, load_model


class Model:
    """A model that is loaded when it is first asked.

    Pickled, it goes to another process by its name and the dtype of its weights, so that all
    compute alike; a model that was loaded by the caller goes as it is, weights and all.

    Args:
        model: What :func:`glyphsight.models.load_model` takes, or a loaded model.
        dtype: Of the weights of one that is loaded; None for what this machine is good at.
    """

    def __init__(self, model: str | Path | LoadedModel, dtype: str | None = None) -> None:
        self._name = None if isinstance(model, LoadedModel) else model
        self._loaded = model if isinstance(model, LoadedModel) else None
        self._dtype = dtype

    def get(self) -> LoadedModel:
        """The model."""
        if self._loaded is None:
            assert self._name is not None
            self._loaded = load_model(self._name, dtype=self._dtype)
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        if self._name is None or self._loaded is None:
            return self.__dict__
        return self.__dict__ | {"_loaded": None, "_dtype": dtype_of(self._loaded)}


def dtype_of(loaded: LoadedModel) -> str:
    """The dtype of a model's weights, as :func:`glyphsight.models.load_model` takes it."""
    return str(loaded.model.dtype).removeprefix("torch.")
