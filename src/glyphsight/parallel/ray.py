"""The engine of a cluster: Ray Data, which retries the tasks of a lost node on the others."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.parallel.base import Result, Task


@dataclass(frozen=True)
class RayEngine:
    """A Ray cluster. Its nodes need this package, the source and the place to write.

    Attributes:
        workers: Tasks at a time; None for one a core of the cluster.
        address: Of a running cluster; None starts one on this machine.
    """

    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        try:
            import ray.data  # noqa: F401
        except ImportError:
            raise DatasetError(
                "--engine ray needs Ray Data; pip install 'glyphsight[ray]'"
            ) from None

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result]]:
        """See :class:`~glyphsight.parallel.base.Engine`; the tasks are pickled at once."""
        import ray
        import ray.data

        todo = list(tasks)
        if not todo:
            return
        self.connect()
        rows = [{"number": number, "task": pickle.dumps(task)} for number, task in enumerate(todo)]
        compute = ray.data.TaskPoolStrategy(size=self.workers)
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        del rows
        call: Any = _call
        done = dataset.map(call, fn_kwargs={"function": pickle.dumps(function)}, compute=compute)
        for row in done.iter_rows():
            result = pickle.loads(row["result"])
            if isinstance(result, GlyphsightError):
                raise result
            yield todo[row["number"]], result

    def close(self) -> None:
        """Leave Ray as it is: this process may go on using it."""

    def connect(self) -> None:
        """Connect this process to the cluster, starting one where no address was given.

        Raises:
            DatasetError: There is no cluster at the address.
        """
        import ray
        import ray.data

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if not ray.is_initialized():
            try:
                ray.init(
                    address=self.address or "local",
                    num_cpus=self.workers if self.address is None else None,
                    include_dashboard=False if self.address is None else None,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise DatasetError(
                    f"Ray cluster {self.address or 'on this machine'} cannot be reached ({error}); "
                    "start it with ray start, or leave --ray-address out"
                ) from error
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False


@lru_cache(maxsize=1)
def _load(function: bytes) -> Any:
    return pickle.loads(function)


def _call(row: dict[str, Any], function: bytes) -> dict[str, Any]:
    """One task on a node; an error of ours comes back as a value, so that nothing retries it."""
    result: Any
    try:
        result = _load(function)(pickle.loads(row["task"]))
    except GlyphsightError as error:
        result = error
    return {"number": row["number"], "result": pickle.dumps(result)}
