"""The engine of one machine: a pool of spawned processes, a bounded number of tasks under way."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from itertools import islice
from multiprocessing.connection import wait as wait_for
from typing import Any

from glyphsight.errors import GlyphsightError
from glyphsight.parallel.base import Result, Task

_ALONE = 1.0  # seconds of work before other processes are started: they take half a second
_AHEAD = 2  # tasks a worker may have waiting
_BEFORE = 4  # tasks a worker may have waiting or done before an earlier one, where order counts


class LocalEngine:
    """Worker processes of this machine, started when there is work for them and kept until closed.

    Attributes:
        workers: How many; 1 works in this process; None for one a core once there is work for them.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result]]:
        """See :class:`~glyphsight.parallel.base.Engine`."""
        left = iter(tasks)
        workers = self.workers or _cores()
        if self._pool is None and (self.workers is None or workers == 1):
            start = time.monotonic()
            for task in left:
                yield task, function(task)
                if workers > 1 and time.monotonic() - start > _ALONE:
                    break
        some = list(islice(left, workers))
        if some:
            yield from self._in_parallel(function, some, left, workers)

    def run_in_order(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """The result of each task in their order, all from other processes.

        Tasks are taken as they are needed: at most a few a worker are done or under way ahead of
        the next that is yielded.

        Raises:
            GlyphsightError: What a task raised, or a worker was lost.
        """
        left, workers, packed = iter(tasks), self.workers or _cores(), pickle.dumps(function)
        waiting: deque[Future[Result]] = deque()
        try:
            while True:
                for task in islice(left, workers * _BEFORE - len(waiting)):
                    waiting.append(self._started(workers).submit(_call, packed, task))
                if not waiting:
                    return
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise _lost() from None

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _in_parallel(
        self,
        function: Callable[[Task], Result],
        some: list[Task],
        left: Iterator[Task],
        workers: int,
    ) -> Iterator[tuple[Task, Result]]:
        pool, packed = self._started(workers), pickle.dumps(function)
        waiting: dict[Future[Result], Task] = {
            pool.submit(_call, packed, task): task for task in some
        }
        try:
            while True:
                for task in islice(left, workers * _AHEAD - len(waiting)):
                    waiting[pool.submit(_call, packed, task)] = task
                if not waiting:
                    return
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool:
            raise _lost() from None

    def _started(self, workers: int) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, context, _prepare_worker)
        return self._pool


def _lost() -> GlyphsightError:
    return GlyphsightError(
        "a worker process ended, most likely for want of memory; run the same command again with "
        "fewer --workers"
    )


_load = lru_cache(maxsize=1)(pickle.loads)  # of a worker: a function comes with each of its tasks


def _call(function: bytes, task: Any) -> Any:
    return _load(function)(task)


def _prepare_worker() -> None:
    """Leave interrupts to the parent, and end when it ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
