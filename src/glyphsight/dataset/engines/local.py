"""The engine of one machine: a pool of spawned processes, a bounded number of tasks under way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait as wait_for
from typing import Any

from glyphsight.dataset.engines.base import Result, Task
from glyphsight.errors import GlyphsightError

_ALONE = 1.0  # seconds of work before other processes are started: they take half a second
_AHEAD = 2  # tasks a worker may have waiting


@dataclass(frozen=True)
class LocalEngine:
    """Worker processes of this machine.

    Attributes:
        workers: How many; 1 works in this process; None for one a core once there is work for them.
    """

    workers: int | None = None

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result]]:
        """See :class:`~glyphsight.dataset.engines.base.Engine`."""
        left = iter(tasks)
        workers = self.workers or _cores()
        if self.workers is None or workers == 1:
            start = time.monotonic()
            for task in left:
                yield task, function(task)
                if workers > 1 and time.monotonic() - start > _ALONE:
                    break
        some = list(islice(left, workers))
        if some:
            yield from _in_parallel(function, some, left, workers)


def _in_parallel(
    function: Callable[[Task], Result], some: list[Task], left: Iterator[Task], workers: int
) -> Iterator[tuple[Task, Result]]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(some)), context, _prepare_worker, (function,))
    try:
        waiting: dict[Future[Result], Task] = {pool.submit(_call, task): task for task in some}
        while True:
            for task in islice(left, workers * _AHEAD - len(waiting)):
                waiting[pool.submit(_call, task)] = task
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool:
        raise GlyphsightError(
            "a worker process ended, most likely for want of memory; run the same command again to "
            "go on, with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_function: Callable[[Any], Any]  # of a worker: handed over once, not with every task


def _call(task: Any) -> Any:
    return _function(task)


def _prepare_worker(function: Callable[[Any], Any]) -> None:
    """Leave interrupts to the parent, and end when it ends, however it does."""
    global _function
    _function = function
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
