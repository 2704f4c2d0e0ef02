"""Map a function over tasks: in this process, in processes of this machine, or on Ray."""

from __future__ import annotations

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
from contextlib import contextmanager, suppress
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

_ALONE = 1.0  # seconds of work before other processes are started: they take half a second
_RETRIES = 3  # of a task whose worker or node on Ray was lost
_LOST = (
    "a worker process ended, most likely because memory ran out; run the same command again with "
    "fewer --workers"
)
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

    engine: str = setting("local", choices=("local", "ray"))
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


HERE = Workers(workers=1)  # this process alone

_SHARED: ContextVar[dict[int, ProcessPoolExecutor] | None] = ContextVar("shared", default=None)


def map(  # noqa: A001 - called as parallel.map
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: Workers = Workers(),
    *,
    ordered: bool = True,
) -> Iterator[Result]:
    """Yield the result of each task.

    Args:
        function: Function, picklable. It is sent to a worker once and kept between tasks, so that
            it may hold a model.
        tasks: Tasks, picklable, taken as they are needed. A task may run twice, as after the loss
            of a Ray node.
        workers: Processes that do the work. They hold a few results each ahead of a slow task.
        ordered: True for results in the order of the tasks, not as they are done.

    Raises:
        GlyphsightError: A worker process ended, or no Ray cluster is at the address. Whatever a
            task raises is raised here too.
    """
    left = iter(tasks)
    if workers.engine == "ray":
        submit, most = _ray(function, workers)
        from ray import exceptions

        lost = exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.NodeDiedError
        try:
            yield from _results(submit, left, most, ordered)
        except lost:
            raise GlyphsightError(_LOST) from None
        return
    shared = _SHARED.get()
    count = workers.workers or _cores()
    if count == 1 or (workers.workers is None and not shared):
        start = time.monotonic()
        for task in left:
            yield function(task)
            if count > 1 and time.monotonic() - start > _ALONE:
                break
        else:
            return
    pools = {} if shared is None else shared
    if count not in pools:
        spawn = multiprocessing.get_context("spawn")
        pools[count] = ProcessPoolExecutor(count, spawn, _prepare_worker, (count,))
    folder = TemporaryDirectory(prefix="glyphsight-", ignore_cleanup_errors=True)
    try:
        file = Path(folder.name, "function")  # it may hold a model, and there may be many tasks
        file.write_bytes(pickle.dumps(function))
        ahead, pool = count * _AHEAD, pools[count]
        yield from _results(lambda task: pool.submit(_call, file, task), left, ahead, ordered)
    except BrokenProcessPool:
        raise GlyphsightError(_LOST) from None
    finally:
        if shared is None:
            pools[count].shutdown(cancel_futures=True)
        folder.cleanup()


@contextmanager
def same_processes() -> Iterator[None]:
    """Let all calls of :func:`map` in the block share the processes that the first one starts."""
    pools: dict[int, ProcessPoolExecutor] = {}
    token = _SHARED.set(pools)
    try:
        yield
    finally:
        _SHARED.reset(token)
        for pool in pools.values():
            pool.shutdown(cancel_futures=True)


def _results(
    submit: Callable[[Task], Future[Any]], left: Iterator[Task], most: int, ordered: bool
) -> Iterator[Any]:
    """Submit tasks, ``most`` at a time, and yield what they return."""
    waiting: list[Future[Any]] = []
    try:
        while True:
            waiting += [submit(task) for task in islice(left, most - len(waiting))]
            if not waiting:
                return
            done = waiting[0] if ordered else next(iter(wait(waiting, None, FIRST_COMPLETED).done))
            waiting.remove(done)
            result = done.result()
            if isinstance(result, GlyphsightError):  # from Ray
                raise result
            yield result
    finally:
        for future in waiting:
            future.cancel()


@lru_cache(maxsize=1)
def _load(function: Any) -> Any:
    """Load the function of a call of :func:`map`, from a file or from Ray, once per worker."""
    if isinstance(function, Path):
        return pickle.loads(function.read_bytes())
    import ray

    return pickle.loads(ray.get(function))


def _call(function: Any, task: Any) -> Any:
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


def _ray(
    function: Callable[[Task], Any], workers: Workers
) -> tuple[Callable[[Task], Future[Any]], int]:
    """Return a function that submits a task to Ray, and how many to submit at a time."""
    with need("ray"):
        import ray
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_task_oom_retries", str(_RETRIES))
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
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = int(resources.get("GPU", 0))
    # Without max_calls a task on a GPU ends its process, and the model in it.
    how: dict[str, Any] = {"max_retries": _RETRIES, "num_gpus": 1 if gpus else None, "max_calls": 0}
    there = ray.remote(**how)(_call_there)
    held = [ray.put(pickle.dumps(function))]  # in a list, it is fetched once per worker
    most = workers.workers or _AHEAD * (gpus or int(resources.get("CPU", 1)))
    return lambda task: there.remote(held, str(Path.cwd()), pickle.dumps(task)).future(), most


def _call_there(function: list[Any], directory: str, task: bytes) -> Any:
    """Run a task; an error of ours comes back as a value, so that it stays what it is."""
    with suppress(OSError):  # relative paths mean what they mean where the work was started
        os.chdir(directory)
    try:
        return _call(function[0], pickle.loads(task))
    except GlyphsightError as error:
        return error
