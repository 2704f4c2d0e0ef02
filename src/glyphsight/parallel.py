"""Map a function over tasks: in this process, in processes of this machine, or on Ray."""

from __future__ import annotations

import builtins
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from glyphsight.errors import GlyphsightError
from glyphsight.extras import need
from glyphsight.settings import check, setting

ENGINES = ("local", "ray")

_ALONE = 1.0  # seconds of work before other processes are started: they take half a second
_AHEAD = 4  # tasks per worker that are under way, or done before an earlier one

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Workers:
    """Processes that share the work of :func:`map`.

    Attributes:
        engine: Processes of this machine (local) or of a Ray cluster (ray), whose nodes need this
            package and the files that the work reads and writes.
        workers: Largest number of processes; left out, one per core. On this machine they start
            once there has been a second of work; 1 is this process.
        ray_address: Address of a running Ray cluster; left out, one starts on this machine.

    Raises:
        GlyphsightError: A value cannot be, the options do not fit together, or Ray is not
            installed.
    """

    engine: str = setting("local", choices=ENGINES)
    workers: int | None = setting(None, low=1)
    ray_address: str | None = None

    def __post_init__(self) -> None:
        check(self)
        if self.engine == "ray":
            need("ray")
        elif self.ray_address is not None:
            raise GlyphsightError("a Ray address needs --engine ray; give both or neither")

    @property
    def here(self) -> bool:
        """True where this process does all the work."""
        return self.engine == "local" and self.workers == 1


HERE = Workers(workers=1)
"""This process alone."""


def map(  # noqa: A001 - called as parallel.map
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: Workers = Workers(),
    *,
    ordered: bool = True,
) -> Iterator[Result]:
    """Yield the result of each task.

    Args:
        function: Picklable function. It is sent to a worker once and kept between tasks, so that
            it may hold a model.
        tasks: Picklable tasks, taken as they are needed, at once with Ray. A task may run twice,
            as after the loss of a Ray node.
        workers: Processes that do the work.
        ordered: Yield results in the order of the tasks, not as they are done. Processes of this
            machine hold a few results each ahead of a slow task, Ray as many as its object store
            takes.

    Raises:
        GlyphsightError: A worker process ended, or no Ray cluster is at the address. Whatever a
            task raises is raised here too.
    """
    if workers.engine == "ray":
        yield from _on_ray(function, tasks, workers, ordered)
        return
    shared = _SHARED.get()
    count = workers.workers or _cores()
    left = iter(tasks)
    if count == 1 or (workers.workers is None and not (shared and shared.started)):
        start = time.monotonic()
        for task in left:
            yield function(task)
            if count > 1 and time.monotonic() - start > _ALONE:
                break
        else:
            return
    with nullcontext(shared) if shared else closing(_Processes()) as processes:
        yield from _in_processes(function, left, processes, count, ordered)


@contextmanager
def same_processes() -> Iterator[None]:
    """Let all calls of :func:`map` in the block share the processes that the first one starts."""
    with closing(_Processes()) as processes:
        token = _SHARED.set(processes)
        try:
            yield
        finally:
            _SHARED.reset(token)


class _Processes:
    """A pool of spawned processes, started when the first task is submitted."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    @property
    def started(self) -> bool:
        return self._pool is not None

    def submit(self, count: int, function: Path, task: Any) -> Future[Any]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(count, context, _prepare_worker, (count,))
        return self._pool.submit(_call, function, task)

    def close(self) -> None:
        """Wait for tasks under way, drop the others, and end the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


_SHARED: ContextVar[_Processes | None] = ContextVar("shared", default=None)


def _in_processes(
    function: Callable[[Task], Result],
    left: Iterator[Task],
    processes: _Processes,
    count: int,
    ordered: bool,
) -> Iterator[Result]:
    waiting: list[Future[Result]] = []
    folder = TemporaryDirectory(prefix="glyphsight-", ignore_cleanup_errors=True)
    try:
        file = Path(folder.name, "function")  # it may hold a model, and there may be many tasks
        file.write_bytes(pickle.dumps(function))
        while True:
            for task in islice(left, count * _AHEAD - len(waiting)):
                waiting.append(processes.submit(count, file, task))
            if not waiting:
                return
            if ordered:
                done = waiting[0]
            else:
                done = next(iter(wait(waiting, return_when=FIRST_COMPLETED).done))
            waiting.remove(done)
            yield done.result()
    except BrokenProcessPool:
        raise GlyphsightError(
            "a worker process ended, most likely for want of memory; run the same command again "
            "with fewer --workers"
        ) from None
    finally:
        for future in waiting:
            future.cancel()
        folder.cleanup()


@lru_cache(maxsize=1)
def _load(function: Path) -> Any:
    """Load the function of a call of :func:`map`, once per worker."""
    return pickle.loads(function.read_bytes())


def _call(function: Path, task: Any) -> Any:
    return _load(function)(task)


def _prepare_worker(count: int) -> None:
    """Leave interrupts to the parent, end when it ends, and take this worker's share of threads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    share = max(1, threads() // count)
    os.environ["OMP_NUM_THREADS"] = str(share)  # read when torch is imported
    if torch := sys.modules.get("torch"):  # imported by the user's script
        torch.set_num_threads(share)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def threads() -> int:
    """Return how many threads this process may use: ``$OMP_NUM_THREADS``, else one per core."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(given)) if given.isdigit() else _cores()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _on_ray(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: Workers, ordered: bool
) -> Iterator[Result]:
    """Run tasks as a Ray Data pipeline of actors, each of which holds the function."""
    rows = [{"task": pickle.dumps(task)} for task in tasks]
    if not rows:
        return
    with need("ray"):
        import ray
        import ray.data
    _connect(workers)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = ordered
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    most = min(len(rows), workers.workers or int(resources.get("CPU", 1)))
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    del rows
    done = dataset.map_batches(
        _Actor,
        fn_constructor_args=(pickle.dumps(function), os.getcwd()),  # noqa: PTH109
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
        num_gpus=1 if resources.get("GPU") else None,
    )
    for row in done.iter_rows():
        result = pickle.loads(row["result"])
        if isinstance(result, GlyphsightError):
            raise result
        yield result


def _connect(workers: Workers) -> None:
    """Connect this process to the cluster, or start one where no address is given."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not ray.is_initialized():
        address = workers.ray_address
        try:
            ray.init(
                address=address or "local",
                num_cpus=workers.workers if address is None else None,
                include_dashboard=False if address is None else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise GlyphsightError(
                f"Ray cluster {address or 'on this machine'} cannot be reached ({error}); "
                "start it with ray start, or leave --ray-address out"
            ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)


class _Actor:
    """A Ray worker that keeps the function between tasks."""

    def __init__(self, function: bytes, directory: str) -> None:
        with suppress(OSError):  # relative paths mean what they mean where the work was started
            os.chdir(directory)
        self._function = pickle.loads(function)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Run a task; an error of ours comes back as a value, so that Ray does not retry it."""
        return {"result": list(builtins.map(self._result, batch["task"]))}

    def _result(self, task: bytes) -> bytes:
        try:
            return pickle.dumps(self._function(pickle.loads(task)))
        except GlyphsightError as error:
            return pickle.dumps(error)
