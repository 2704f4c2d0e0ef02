"""Speed of a step: plain attention and compiled layers. Neither changes more than rounding."""

from __future__ import annotations

from typing import Any

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from glyphsight.errors import ModelError, reason_of
from glyphsight.train.settings import TrainSettings

_SCORES = 3 * 2**27
"""Attention scores of a batch up to which a CPU takes attention as plain matrix products.

Each is kept for the backward pass in 6 bytes under bfloat16 (the softmax in float32 and a copy):
2.25 GiB at most. SmolLM2-135M, of 270 heads, takes batches of 16 x 305 tokens.
"""
_MINUTES, _WORK = 10, 1e13
"""Least length of a run that repays compiling, in minutes, or in weights times tokens: some eight
minutes of a core for a nano, four for SmolLM2-135M."""


def fits_plain_attention(model: Any, batch_size: int, longest: int) -> bool:
    """Tell whether plain attention may keep every score of a batch, ``longest`` tokens a text."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None)  # a model without attention has none
    layers = getattr(config, "num_hidden_layers", None)
    return bool(heads and layers and heads * layers * batch_size * longest**2 <= _SCORES)


def compiles(settings: TrainSettings, device: str, work: float) -> bool:
    """Decide whether a run compiles its layers.

    Args:
        settings: Settings of the run. ``auto``: yes where its work and, if given, its minutes
            repay it and torch can compile for the device.
        device: Type of the device, such as ``cpu``.
        work: Weights of the model times the tokens that it learns from.

    Raises:
        ModelError: ``compile`` is ``on`` and torch cannot.
    """
    long = work >= _WORK and not 0 < settings.minutes < _MINUTES
    if settings.compile == "off" or (settings.compile == "auto" and not long):
        return False
    obstacle = _obstacle(device)
    if obstacle is not None and settings.compile == "on":
        raise ModelError(
            f"compile on: torch cannot compile here ({obstacle}); "
            "install a C++ compiler (g++, on macOS clang++) and the headers of Python, or give "
            "--set compile=off"
        )
    return obstacle is None


def _obstacle(device: str) -> str | None:
    """Say why torch cannot compile for a device; None where it can."""
    if device == "mps":
        return "not for mps"
    try:
        # The whole chain is tried: compiler, headers of Python and OpenMP, or Triton on CUDA.
        torch.compile(torch.square)(torch.ones(8, device=device))
    except Exception as error:
        return reason_of(error)
    return None


def compile_layers(model: Any, *, dynamic: bool, required: bool) -> None:
    """Compile each layer of a model in its place; code under ``force_eager`` runs it uncompiled.

    All layers share one graph. Weights, their names and what is saved stay as they are.

    Args:
        model: A transformers or PEFT model.
        dynamic: True where batches differ in shape, so that one graph serves all.
        required: False to run a layer uncompiled that torch cannot compile.
    """
    torch._dynamo.config.suppress_errors = not required
    # Else the first layer, whose input has no gradient over frozen embeddings, has its own graph.
    model.enable_input_require_grads()
    torch.compiler.reset()  # torch counts the graphs of runs before in this process, and gives up
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):  # the base of all layers in transformers
            layer.compile(dynamic=dynamic)
