"""Engines with the tokenizer, turns and window of their model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from glyphsight.errors import ModelError
from glyphsight.extras import installed
from glyphsight.inference.fast_engine import FastEngine
from glyphsight.inference.numpy_engine import NumpyEngine, SmallTokenizer
from glyphsight.inference.passes import TorchEngine
from glyphsight.inference.score import Engine
from glyphsight.models import smollm2
from glyphsight.models.chat import Turns
from glyphsight.models.load import LoadedModel
from glyphsight.models.runs import ModelSource


@dataclass(frozen=True)
class Opened:
    """An engine with what belongs to it; ``window`` and ``chat`` are None where there is none."""

    engine: Engine
    tokenizer: Any
    chat: Turns | None
    window: int | None
    dtype: str

    def ends(self, chat: Turns | None) -> list[int]:
        """Return the tokens that end a text, plain or in turns."""
        ends = {self.tokenizer.eos_token_id, chat.end if chat else None}
        return sorted(end for end in ends if end is not None)


def with_numpy(source: ModelSource) -> Opened | None:
    """Open the run of a Llama model; None where the name means another model."""
    if source.directory is None or source.run is None:
        return None
    base, adapter = source.directory, None
    if source.adapter is not None:
        if source.run.base != smollm2.NAME:
            return None
        base, adapter = smollm2.ensure_smollm2(), source.directory
    try:
        engine, tokenizer = NumpyEngine(base, adapter), SmallTokenizer(base)
    except (ModelError, KeyError, TypeError):  # not a model for numpy
        return None
    except (OSError, ValueError) as error:
        if installed("train"):  # torch says what is wrong
            return None
        raise ModelError(
            f"{source.name}: damaged ({error}); copy the run again or train it again"
        ) from error
    return Opened(engine, tokenizer, source.run.chat, engine.window, "float32")


def in_int8(opened: Opened) -> Opened:
    """Return a model of numpy with its weights in int8."""
    assert isinstance(opened.engine, NumpyEngine)
    return replace(opened, engine=FastEngine(*opened.engine.files), dtype="int8")


def with_torch(loaded: LoadedModel) -> Opened:
    """Return a model of torch."""
    dtype = str(loaded.model.dtype).removeprefix("torch.")
    return Opened(TorchEngine(loaded), loaded.tokenizer, loaded.chat, loaded.window, dtype)
