"""From a SPEC such as ``bundled`` or ``idx:DIR`` to the source it names.

Users' own kinds come by the entry point group ``glyphsight.sources``: a class, or a function, that
takes what follows the colon and gives a :class:`~glyphsight.sources.base.Source`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from glyphsight.errors import DatasetError, GlyphsightError
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


def _foreign() -> dict[str, EntryPoint]:
    """Users' kinds by name; a name of the project's own is never taken."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name not in _OWN:
            found.setdefault(point.name, point)
    return found


def source_names() -> list[str]:
    """Names of all kinds of source that can be had, the project's own first."""
    return [*_OWN, *_foreign()]


def source_help() -> str:
    """A line for each kind of source, its SPEC and what it is, for help texts."""
    lines = [
        f"{name}{place}: {(kind.__doc__ or '').splitlines()[0]}"
        for name, (place, kind) in _OWN.items()
    ]
    for name, point in _foreign().items():
        lines.append(f"{name}: From {point.dist.name if point.dist else point.value}.")
    return "\n".join(lines)


def is_spec(text: str) -> bool:
    """Whether ``text`` is a source SPEC rather than a path; a path that exists is a path."""
    kind = text.partition(":")[0]
    if os.path.exists(text):  # noqa: PTH110 - a text too long for a path is none
        return False
    return kind in _OWN or (bool(re.fullmatch(r"[\w.-]+", kind)) and kind in _foreign())


def open_source(spec: str) -> Source:
    """Open ``KIND`` or ``KIND:LOCATION``.

    Raises:
        DatasetError: No such kind, a user's does not work, or the location does not hold what the
            kind needs. It names the SPEC.
    """
    kind, _, location = spec.partition(":")
    if kind in _OWN:
        try:
            return _OWN[kind][1](location)
        except DatasetError as error:
            said = str(error)
            inside = location and said.startswith(f"{location}: ")
            raise DatasetError(f"{kind}:{said}" if inside else f"{spec}: {said}") from error
    if point := _foreign().get(kind):
        return _open_foreign(point, spec, location)
    names = ", ".join(source_names())
    raise DatasetError(f"{spec}: unknown source; there is {names} (see --help)")


def _open_foreign(point: EntryPoint, spec: str, location: str) -> Source:
    where = f"{spec}: source {point.name!r} of {point.dist.name if point.dist else point.value}"
    try:
        found: Any = point.load()(location)
    except GlyphsightError as error:
        raise DatasetError(f"{spec}: {error}") from error
    except Exception as error:  # another's code may raise anything
        raise DatasetError(f"{where} cannot be opened ({error!r}); mend or remove it") from error
    needed = ("splits", "licence", "parts", "read")
    if missing := [name for name in needed if name not in dir(found)]:
        raise DatasetError(f"{where} has no {', '.join(missing)}; see glyphsight.sources.base")
    source: Source = found
    return source
