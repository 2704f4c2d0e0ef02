"""Requests of several threads, computed in passes that they share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from glyphsight.inference.opened import Opened
from glyphsight.inference.score import Completions, score, write
from glyphsight.models.chat import end_tokens

BATCH = 64  # prompts per pass at most, unless another number is asked for
_PAUSE = 0.002  # seconds that a step waits for the threads whose texts it wrote on last

Progress = Callable[[int], object]


@dataclass(eq=False)
class Job:
    """Requests of one thread: choices where they are scored, rooms where they are written on.

    A step of a text that is written piece by piece has the state of the engine before it.
    """

    prompts: list[list[int]]
    choices: list[Completions] = field(default_factory=list)
    rooms: list[int] = field(default_factory=list)
    batch_size: int = BATCH
    progress: Progress = lambda n: None
    share: bool = True
    states: list[Any] = field(default_factory=list)
    result: list[Any] = field(default_factory=list)
    error: Exception | None = None
    done: bool = False


class Batcher:
    """Computes what several threads ask in shared passes."""

    def __init__(self) -> None:
        self._turn = threading.Condition()  # guards the three below
        self._waiting: list[Job] = []
        self._computing, self._steps = False, 0

    def ask(self, job: Job, opened: Callable[[], Opened]) -> list[Any]:
        """Wait for the result of a job; whose turn it is computes the jobs of all who wait."""
        if not job.prompts:
            return []
        with self._turn:
            self._waiting.append(job)
            self._turn.notify_all()
            self._turn.wait_for(lambda: job.done or not self._computing)
            if not job.done:
                self._computing = True
                if job.states:  # the other texts have just got a token too
                    self._turn.wait_for(lambda: len(self._waiting) >= self._steps, _PAUSE)
                jobs, self._waiting = self._waiting, []
        if not job.done:
            jobs += [] if job in jobs else [job]
            try:
                for kind in ("states", "choices", "rooms"):
                    if alike := [one for one in jobs if getattr(one, kind)]:
                        _compute(opened(), alike)
            finally:
                with self._turn:
                    self._computing, self._steps = False, sum(bool(one.states) for one in jobs)
                    self._turn.notify_all()
        if job.error is not None:
            raise job.error
        return job.result


def _compute(opened: Opened, jobs: list[Job]) -> None:
    """Compute the jobs of several threads, all scores or all texts, in shared passes."""
    owners = [job for job in jobs for _ in job.prompts]

    def progress(rows: list[int]) -> None:
        for job in jobs:
            if done := sum(owners[row] is job for row in rows):
                job.progress(done)

    prompts = [ids for job in jobs for ids in job.prompts]
    size = max(job.batch_size for job in jobs)
    found: list[Any]
    try:
        if jobs[0].states:
            states = [one for job in jobs for one in job.states]
            found = [
                pair
                for at in range(0, len(prompts), size)
                for pair in opened.engine.advance(prompts[at : at + size], states[at : at + size])
            ]
        elif jobs[0].choices:
            choices = [own for job in jobs for own in job.choices]
            share = all(job.share for job in jobs)
            found = list(
                score(opened.engine, prompts, choices, size, progress=progress, share=share)
            )
        else:
            rooms = [room for job in jobs for room in job.rooms]
            ends = end_tokens(opened.tokenizer, opened.chat)
            found = list(write(opened.engine, prompts, rooms, ends, size, progress=progress))
    except Exception as error:
        if len(jobs) > 1 and not jobs[0].states:  # an error is that of the thread that asked
            for job in jobs:
                _compute(opened, [job])
        else:  # a state may be half a step on
            for job in jobs:
                job.error, job.done = error, True
        return
    for job, result in zip(owners, found, strict=True):
        job.result.append(result)
    for job in jobs:
        job.done = True
