"""``glyphsight export``: a run for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from glyphsight.cli.output import print_table


def export(
    run: Annotated[str, typer.Argument(help="Trained run, or any model by name or directory.")],
    to: Annotated[
        Literal["merged", "adapter", "gguf", "onnx"],
        typer.Option(
            help="merged: a whole model of transformers; adapter: a PEFT directory; gguf: for "
            "llama.cpp and Ollama; onnx: for onnxruntime, browsers too."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory to make.")],
    quantize: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="Type of the weights: f32, bf16, f16 (merged); f16, q8_0, q6_k, q5_k, q4_k "
            "(gguf); f32, int8 (onnx). The first is the default.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a run as other programs take it, with the words around a picture beside it.

    Example:
        glyphsight export sight --to gguf --out sight-gguf
    """
    from glyphsight.models.export import export as write

    _, files = write(run, to, out, quantize)
    print_table([[str(file), f"{file.stat().st_size / 10**6:,.1f} MB"] for file in files])
