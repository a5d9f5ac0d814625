"""Pictures in, captions out: decoded side by side, captioned in batches."""

import asyncio
import os
import time
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from cutline.captioner import Caption, Captioner, Precision, Square
from cutline.config import SearchConfig
from cutline.errors import ImageError, ImageTooLargeError
from cutline.images import read_image
from cutline.serve.admission import Admission
from cutline.serve.batching import Batcher
from cutline.serve.limits import Limits
from cutline.serve.metrics import Metrics
from cutline.serve.precisions import Load, Precisions
from cutline.serve.problems import Problem, busy
from cutline.serve.requests import Asked

__all__ = ["Service"]

T = TypeVar("T")
MOST_DECODERS = 4  # threads; a large picture takes up to 360 MB while it is decoded


class Way(NamedTuple):
    """Settings that pictures of one batch share."""

    captioner: Captioner
    search: SearchConfig
    n_best: int


class Service:
    """A captioner for many at once.

    Args:
        captioner: the one that is loaded.
        precision: its own.
        load: loads one of another precision, when it is first asked for.
        limits: how much, how many, how long.
    """

    def __init__(
        self,
        captioner: Captioner,
        *,
        precision: Precision = "float32",
        load: Load | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.captioner = captioner
        self.precision: Precision = precision
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.admission = Admission(self.limits)
        self._precisions = Precisions(captioner, precision, load)
        self._decoders = ThreadPoolExecutor(_decoders(), "decode")
        self._batcher: Batcher[Way, Square, list[Caption]] = Batcher(
            self._batch, size=self.limits.batch
        )
        self._started = False

    @property
    def ready(self) -> bool:
        """Return whether pictures are captioned: started, and the batches' worker runs."""
        return self._started and self._batcher.working

    def start(self) -> None:
        """Begin to work, in the loop that runs."""
        self._batcher.start()
        self._started = True

    async def stop(self) -> None:
        """Finish what has begun, and stop."""
        self._started = False
        await self._batcher.stop()
        self._decoders.shutdown(wait=True, cancel_futures=True)

    async def caption(self, asked: Asked) -> list[list[Caption] | Problem]:
        """Return the captions of each picture, or why it has none.

        Raises:
            Problem: they are not done in time (503), or the precision cannot be had (422).
        """
        options, started = asked.options, time.perf_counter()
        precision: Precision = options.precision or self.precision
        several = len(asked.images) > 1
        names = [f"Image {n}" if several else "The image" for n in range(1, len(asked.images) + 1)]
        try:
            async with asyncio.timeout(self.limits.answer):
                captioner = await self._precisions.of(precision)
                beam = max(options.beam or captioner.config.search.beam, options.n_best)
                way = Way(captioner, captioner.search(beam=beam), options.n_best)
                found = await _all(
                    self._one(way, *image) for image in zip(asked.images, names, strict=True)
                )
        except TimeoutError:
            why = f"The captions were not done within {self.limits.answer:g} s"
            raise busy(self.admission.wait(), why) from None
        except MemoryError:
            raise busy(self.admission.wait(), "There is not enough memory now") from None
        self.admission.learn((time.perf_counter() - started) / max(1, self.admission.inside))
        return found

    async def _one(self, way: Way, image: bytes, name: str) -> list[Caption] | Problem:
        loop = asyncio.get_running_loop()
        try:
            square = await loop.run_in_executor(self._decoders, self._square, image, name)
            found = await self._batcher.result(way, square)
        except ImageTooLargeError as error:
            problem = Problem(413, "too_many_pixels", str(error))
        except ImageError as error:
            problem = Problem(422, "unreadable_image", str(error))
        else:
            self.metrics.images.labels("captioned").inc()
            return found
        self.metrics.images.labels(problem.code).inc()
        return problem

    def _square(self, image: bytes, name: str) -> Square:
        preprocessing = self.captioner.config.preprocessing
        limit = self.limits.pixels
        picture = read_image(image, shrink_to=preprocessing.size, max_pixels=limit, name=name)
        return Square(preprocessing.square(picture), preprocessing.area(*picture.size))

    def _batch(self, way: Way, squares: Sequence[Square]) -> list[list[Caption]]:
        self.metrics.batches.observe(len(squares))
        found = way.captioner.caption_squares(
            squares, way.search, n_best=way.n_best, batch_size=len(squares)
        )
        return list(found)


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results of all; when one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        left = [task for task in tasks if task.cancel()]
        await asyncio.gather(*left, return_exceptions=True)


def _decoders() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(MOST_DECODERS, usable or 1)
