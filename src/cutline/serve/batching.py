"""Captions of pictures that come together.

Nobody waits for company: while one batch is captioned, pictures gather, and those at the front
that are to be captioned in the same way become the next one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Batcher"]

Way = TypeVar("Way")
Given = TypeVar("Given")
Found = TypeVar("Found")


@dataclass(slots=True, eq=False)
class Job(Generic[Way, Given, Found]):
    """One picture, how it is to be captioned, and where its captions are awaited."""

    way: Way
    given: Given
    found: "asyncio.Future[Found]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Batcher(Generic[Way, Given, Found]):
    """Runs jobs in batches on one thread of its own, in the order in which they come.

    Args:
        run: computes a batch: what was given, all in the same way.
        size: the largest batch.
    """

    def __init__(
        self, run: Callable[[Way, Sequence[Given]], Sequence[Found]], *, size: int
    ) -> None:
        self._run = run
        self._size = size
        self._waiting: deque[Job[Way, Given, Found]] = deque()
        self._arrived = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, "caption")
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Number of jobs that wait."""
        return len(self._waiting)

    @property
    def working(self) -> bool:
        """Return whether the worker runs."""
        return self._worker is not None and not self._worker.done()

    def start(self) -> None:
        """Begin to work, in the loop that runs."""
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Stop working; a batch that has begun is finished."""
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def result(self, way: Way, given: Given) -> Found:
        """Return what is computed of one job; a job that nobody awaits any more is dropped."""
        job: Job[Way, Given, Found] = Job(way, given)
        self._waiting.append(job)
        self._arrived.set()
        return await job.found

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            jobs = self._next()
            if not jobs:
                self._arrived.clear()
                continue
            await self._compute(jobs)

    async def _compute(self, jobs: list[Job[Way, Given, Found]]) -> None:
        loop, given = asyncio.get_running_loop(), [job.given for job in jobs]
        try:
            found = await loop.run_in_executor(self._pool, self._run, jobs[0].way, given)
            pairs = list(zip(jobs, found, strict=True))  # a batch may come back short: a defect
        except Exception as error:
            for job in jobs:
                if not job.found.done():
                    job.found.set_exception(error)
            return
        for job, one in pairs:
            if not job.found.done():
                job.found.set_result(one)

    def _next(self) -> list[Job[Way, Given, Found]]:
        """Take the first job, and those after it that are captioned in the same way."""
        wanted = [job for job in self._waiting if not job.found.done()]
        chosen = [job for job in wanted if job.way == wanted[0].way][: self._size]
        taken = set(map(id, chosen))
        self._waiting = deque(job for job in wanted if id(job) not in taken)
        return chosen
