"""What users add by entry points: formats, sources and outputs, found and loaded one way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from glyphsight.errors import GlyphsightError


def plugins(group: str, own: Collection[str]) -> dict[str, EntryPoint]:
    """Users' entry points of a group by name; a name of the project's ``own`` is never taken."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        if point.name not in own:
            found.setdefault(point.name, point)
    return found


def plugin_lines(points: Mapping[str, EntryPoint]) -> list[str]:
    """A line for each, its name and the package it is from, for help texts."""
    return [f"{name}: From {_package(point)}." for name, point in points.items()]


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def make_plugin(
    point: EntryPoint,
    what: str,
    needed: Collection[str],
    error: type[GlyphsightError],
    *arguments: object,
) -> Any:
    """Load an entry point's class or function and call it.

    Args:
        point: The entry point.
        what: What it is to be, with the module that says how, such as ``format`` and
            ``glyphsight.codec.formats.base`` joined by a space.
        needed: Names that what it gives must have.
        error: What is raised.
        arguments: What it is called with.

    Raises:
        GlyphsightError: It cannot be loaded or lacks a name; its own such errors pass.
    """
    kind, _, module = what.partition(" ")
    where = f"{kind} {point.name!r} of {_package(point)}"
    try:
        found = point.load()(*arguments)
    except GlyphsightError:
        raise
    except Exception as problem:  # another's code may raise anything
        raise error(f"{where} cannot be loaded ({problem!r}); mend or remove it") from problem
    if missing := [name for name in needed if name not in dir(found)]:
        raise error(f"{where} has no {', '.join(missing)}; see {module}")
    return found
