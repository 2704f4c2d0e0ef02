"""From a SPEC such as ``bundled`` or ``idx:DIR`` to the source it names.

Users' own kinds come by the entry point group ``glyphsight.sources``: a class, or a function, that
takes what follows the colon and gives a :class:`~glyphsight.sources.base.Source`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.plugins import make_plugin, plugin_lines, plugins
from glyphsight.sources.base import Source
from glyphsight.sources.bundled import BundledSource
from glyphsight.sources.folder import AudioFolderSource, FolderSource
from glyphsight.sources.fsdd import FsddSource
from glyphsight.sources.hub import HubSource
from glyphsight.sources.idx import IdxSource
from glyphsight.sources.parquet import ParquetSource
from glyphsight.sources.webdataset import WebDatasetSource

GROUP = "glyphsight.sources"
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
_NEEDED = ("splits", "licence", "parts", "read")


def source_names() -> list[str]:
    """Names of all kinds of source that can be had, the project's own first."""
    return [*_OWN, *plugins(GROUP, _OWN)]


def source_help() -> str:
    """A line for each kind of source, its SPEC and what it is, for help texts."""
    lines = [
        f"{name}{place}: {(kind.__doc__ or '').splitlines()[0]}"
        for name, (place, kind) in _OWN.items()
    ]
    return "\n".join([*lines, *plugin_lines(plugins(GROUP, _OWN))])


def is_spec(text: str) -> bool:
    """Whether ``text`` is a source SPEC rather than a path; a path that exists is a path."""
    kind = text.partition(":")[0]
    if os.path.exists(text):  # noqa: PTH110 - a text too long for a path is none
        return False
    return kind in _OWN or (bool(re.fullmatch(r"[\w.-]+", kind)) and kind in plugins(GROUP, _OWN))


def open_source(spec: str) -> Source:
    """Open ``KIND`` or ``KIND:LOCATION``.

    Raises:
        DatasetError: No such kind, a user's does not work, or the location does not hold what the
            kind needs. It names the SPEC.
    """
    kind, _, location = spec.partition(":")
    try:
        if kind in _OWN:
            return _OWN[kind][1](location)
        if point := plugins(GROUP, _OWN).get(kind):
            what = "source glyphsight.sources.base"
            found: Source = make_plugin(point, what, _NEEDED, DatasetError, location)
            return found
    except GlyphsightError as error:
        said = str(error)
        inside = location and said.startswith(f"{location}: ")
        raise DatasetError(f"{kind}:{said}" if inside else f"{spec}: {said}") from error
    names = ", ".join(source_names())
    raise DatasetError(f"{spec}: unknown source; there is {names} (see --help)")
