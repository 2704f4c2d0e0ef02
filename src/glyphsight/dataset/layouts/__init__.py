"""The layouts a dataset is written in and read back from, the project's own and users'.

Users' layouts come by the entry point group ``glyphsight.outputs``.
"""

from __future__ import annotations

from functools import lru_cache

from glyphsight.dataset.layouts.base import Output, join
from glyphsight.dataset.layouts.parquet import Hub, Parquet
from glyphsight.dataset.layouts.single import ChatLines, PromptLines, Published
from glyphsight.errors import DatasetError
from glyphsight.plugins import Registry

__all__ = ["LAYOUTS", "Output", "get_output", "join", "output_of_suffix"]

_OWN: tuple[type[Output], ...] = (Published, PromptLines, ChatLines, Parquet, Hub)
LAYOUTS: Registry[Output] = Registry(
    kind="output",
    group="glyphsight.outputs",
    own={kind.name: kind for kind in _OWN},
    needed=(*Output.__annotations__, "write", "read"),
    module="glyphsight.dataset.layouts.base",
    error=DatasetError,
)


@lru_cache
def get_output(name: str) -> Output:
    """Return the layout called ``name``.

    Raises:
        DatasetError: There is none of that name, or a user's cannot be loaded.
    """
    return LAYOUTS.make(name)


def output_of_suffix(suffix: str) -> Output | None:
    """Return the first layout whose files end in ``suffix``, None where there is none.

    Raises:
        DatasetError: A user's layout cannot be loaded.
    """
    every = map(get_output, LAYOUTS.names())
    return next((output for output in every if output.suffix == suffix), None)
