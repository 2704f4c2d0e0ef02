"""The layouts a dataset is written in and read back from."""

from glyphsight.dataset.layouts.base import Output, join
from glyphsight.dataset.layouts.registry import (
    LAYOUTS,
    get_output,
    output_of_suffix,
)

__all__ = ["LAYOUTS", "Output", "get_output", "join", "output_of_suffix"]
