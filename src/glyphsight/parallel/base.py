"""What an engine does: one function on many tasks, whose results come as they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from glyphsight.errors import DatasetError

ENGINES = ("local", "ray")

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs tasks. A task writes its files whole and may run twice, as after the loss of a node."""

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result]]:
        """Call ``function`` on every task, in whatever order.

        Args:
            function: A function of a module, or a ``functools.partial`` of one.
            tasks: Picklable, taken as they are needed.

        Yields:
            Each task with its result, as they are done.

        Raises:
            GlyphsightError: What a task raised, or a worker was lost for good.
        """
        ...

    def close(self) -> None:
        """Let go of what runs the tasks; tasks under way are waited for, others dropped."""
        ...


def open_engine(name: str, workers: int | None = None, ray_address: str | None = None) -> Engine:
    """The engine called ``name``.

    Args:
        name: One of ``ENGINES``.
        workers: Processes at most; None for as many as there are cores.
        ray_address: Of the Ray cluster; None for a local one.

    Raises:
        DatasetError: There is none of that name, or what it needs is not installed.
    """
    if name == "local":
        if ray_address is not None:
            raise DatasetError("a Ray address is of use with --engine ray only; give both")
        from glyphsight.parallel.local import LocalEngine

        return LocalEngine(workers)
    if name == "ray":
        from glyphsight.parallel.ray import RayEngine

        return RayEngine(workers, ray_address)
    raise DatasetError(f"unknown engine {name!r}; there is {', '.join(ENGINES)}")
