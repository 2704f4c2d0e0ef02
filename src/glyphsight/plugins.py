"""Kinds of things by name: the project's own, and users' by an entry point group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from glyphsight.errors import GlyphsightError, meant

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


@dataclass(frozen=True)
class Registry(Generic[T]):
    """Factories by name. A user's entry point never takes a name of the project's own."""

    kind: str  # name of the things, for messages: ``format``, ``source``
    group: str  # entry point group of users' factories
    own: Mapping[str, Callable[..., T]]  # the project's; the first line of a docstring is its help
    needed: Collection[str]  # attributes that a user's thing must have
    module: str  # module that documents the protocol
    error: type[GlyphsightError]  # class of the error for an unknown name or a factory that fails
    usage: Mapping[str, str] = field(default_factory=dict)  # text after a name, such as ``:DIR``

    def _points(self) -> dict[str, EntryPoint]:
        """Return users' entry points by name."""
        from importlib.metadata import entry_points  # of no use to most commands, and slow

        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            if point.name not in self.own:
                found.setdefault(point.name, point)
        return found

    def names(self) -> list[str]:
        """List the names of all factories, the project's own first."""
        return [*self.own, *self._points()]

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self._points()  # looked for when the project's own are not enough

    def __len__(self) -> int:
        return len(self.names())

    def help(self) -> str:
        """Return a line for each name: what its factory makes."""
        lines = [
            f"{name}{self.usage.get(name, '')}: {(factory.__doc__ or '').splitlines()[0]}"
            for name, factory in self.own.items()
        ]
        points = self._points().items()
        return "\n".join([*lines, *(f"{name}: From {_package(point)}." for name, point in points)])

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._points()

    def make(self, name: str, *arguments: object) -> T:
        """Call the factory called ``name``.

        Raises:
            GlyphsightError: There is none of that name, or a user's cannot be loaded or lacks an
                attribute. Errors of this class from the factory itself pass.
        """
        if name in self.own:
            return self.own[name](*arguments)
        point = self._points().get(name)
        if point is None:
            every = self.names()
            fix = f"{meant(name, every)}give one of {', '.join(every)}"
            raise self.error(f"unknown {self.kind} {name!r}; {fix}")
        where = f"{self.kind} {name!r} of {_package(point)}"
        try:
            found: Any = point.load()(*arguments)
        except GlyphsightError:
            raise
        except Exception as problem:  # another's code may raise anything
            raise self.error(
                f"{where} cannot be loaded ({problem!r}); fix or remove it"
            ) from problem
        if missing := [name for name in self.needed if name not in dir(found)]:
            raise self.error(f"{where} has no {', '.join(missing)}; add it, as in {self.module}")
        result: T = found
        return result


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
