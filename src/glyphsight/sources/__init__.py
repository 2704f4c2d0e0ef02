"""Sources of labelled pictures: folders, tables, archives, the hub, named by a SPEC.

A SPEC is ``bundled``, ``idx:DIR`` or the like. Users' own kinds come by the entry point group
``glyphsight.sources``: a class, or a function, that takes what follows the colon and gives a
:class:`~glyphsight.sources.base.Source`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from glyphsight.errors import DatasetError, GlyphsightError, meant
from glyphsight.extras import MissingPackageError
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.plugins import Registry
from glyphsight.sources.base import (
    Batch,
    Failure,
    Part,
    Source,
    batches,
    load_split,
    ranges,
    read_split,
)
from glyphsight.sources.folder import AudioFolderSource, FolderSource, FsddSource
from glyphsight.sources.idx import BundledSource, IdxSource
from glyphsight.sources.tables import HubSource, ParquetSource
from glyphsight.sources.webdataset import WebDatasetSource

__all__ = [
    "SOURCES", "Batch", "Failure", "Part", "Source", "batches", "is_spec", "load_split",
    "open_source", "ranges", "read_split",
]  # fmt: skip

_OWN: dict[str, tuple[str, Callable[[str], Source]]] = {
    "bundled": ("", BundledSource),
    "idx": (":DIR", IdxSource),
    "folder": (":DIR", FolderSource),
    "parquet": (":GLOB", ParquetSource),
    "hub": (":NAME", HubSource),
    "webdataset": (":GLOB", WebDatasetSource),
    "audiofolder": (":DIR", AudioFolderSource),
    "fsdd": (":DIR", FsddSource),
}
SOURCES: Registry[Source] = Registry(
    kind="source",
    group="glyphsight.sources",
    own={name: factory for name, (_, factory) in _OWN.items()},
    needed=("splits", "licence", "parts", "read"),
    module="glyphsight.sources.base",
    error=DatasetError,
    usage={name: usage for name, (usage, _) in _OWN.items()},
)


def is_spec(text: str) -> bool:
    """Check that ``text`` is a source SPEC, not a path; a path that exists is a path."""
    kind = text.partition(":")[0]
    if os.path.exists(text):  # noqa: PTH110 - a text too long for a path is none
        return False
    return bool(re.fullmatch(r"[\w.-]+", kind)) and kind in SOURCES


def open_source(spec: str, max_pixels: int = MAX_PIXELS) -> Source:
    """Open ``KIND`` or ``KIND:LOCATION``.

    Raises:
        DatasetError: No such kind, a user's does not work, or the location does not hold what the
            kind needs. It names the SPEC.
    """
    kind, _, location = spec.partition(":")
    location = os.path.expanduser(location)  # noqa: PTH111 - not every location is a path
    if kind not in SOURCES:
        names = SOURCES.names()
        fix = (
            f"give folder:{spec} for a folder"
            if Path(spec).is_dir()
            else "see glyphsight dataset build --help"
        )
        every = f"{meant(kind, names)}give one of {', '.join(names)}"
        raise DatasetError(f"{spec}: unknown source; {every}; {fix}")
    try:
        source = SOURCES.make(kind, location)
        if hasattr(source, "max_pixels"):
            source.max_pixels = max_pixels
        return source
    except MissingPackageError:
        raise
    except GlyphsightError as error:
        said = str(error)
        inside = location and said.startswith(f"{location}: ")
        raise DatasetError(f"{kind}:{said}" if inside else f"{spec}: {said}") from error
