"""Speed of a step: plain attention and compiled layers. Neither changes more than rounding."""

from __future__ import annotations

from typing import Any

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from glyphsight.errors import ModelError
from glyphsight.train.settings import TrainSettings
from glyphsight.train.trainer import reason_of

_SCORES = 2**29
"""Attention scores of a batch up to which a CPU takes attention as plain matrix products.

Each is kept for the backward pass in 6 bytes under bfloat16 (the softmax in float32 and a copy), in
4 under float32: 3 GiB at most. SmolLM2-135M, of 270 heads, takes batches of 16 x 352 tokens.
"""
_MINUTES, _WORK = 10, 1e13
"""Least length of a run that repays compiling, in minutes, or in weights times tokens: some eight
minutes of a core for a nano, four for SmolLM2-135M."""


def fits_plain_attention(model: Any, batch_size: int, longest: int) -> bool:
    """Tell whether plain attention may keep every score of a batch, ``longest`` tokens a text."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads * config.num_hidden_layers
    return bool(heads * batch_size * longest**2 <= _SCORES)


def compiles(settings: TrainSettings, device: str, work: float) -> bool:
    """Decide whether a run compiles its layers.

    Args:
        settings: Settings of the run. ``auto``: yes in a run of 10 minutes or, where none are
            given, of such work, if torch can compile for the device.
        device: Type of the device, such as ``cpu``.
        work: Weights of the model times the tokens that it learns from.

    Raises:
        ModelError: ``compile`` is ``on`` and torch cannot.
    """
    long = settings.minutes >= _MINUTES if settings.minutes else work >= _WORK
    if settings.compile == "off" or (settings.compile == "auto" and not long):
        return False
    try:
        if device == "mps":
            raise NotImplementedError("not for mps")
        # The whole chain is tried: compiler, headers of Python and OpenMP, or Triton on CUDA.
        torch.compile(torch.square)(torch.ones(8, device=device))
    except Exception as error:
        if settings.compile == "auto":
            return False
        raise ModelError(
            f"compile on: torch cannot compile here ({reason_of(error)}); "
            "install a C++ compiler (g++, on macOS clang++) and the headers of Python, or give "
            "--set compile=off"
        ) from error
    return True


def compile_layers(model: Any, *, dynamic: bool) -> None:
    """Compile each layer of a model in its place, for all but what ``force_eager`` runs.

    All layers share one graph. Weights, their names and what is saved stay as they are.

    Args:
        model: A transformers or PEFT model.
        dynamic: True where batches differ in length, so that one graph serves all lengths.
    """
    # Else the first layer, whose input has no gradient over frozen embeddings, has its own graph.
    model.enable_input_require_grads()
    torch.compiler.reset()  # torch counts the graphs of runs before in this process, and gives up
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):  # the base of all layers in transformers
            layer.compile(dynamic=dynamic)
