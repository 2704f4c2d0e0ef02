"""The layouts a dataset is written in and read back from."""

from glyphsight.dataset.outputs.base import Output, join
from glyphsight.dataset.outputs.registry import (
    get_output,
    output_help,
    output_names,
    output_of_suffix,
)

__all__ = ["Output", "get_output", "join", "output_help", "output_names", "output_of_suffix"]
