"""Faults of the service's parts, which must not stop the whole."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from cutline.serve import Limits, Service
from cutline.serve.batching import Batcher
from cutline.serve.problems import Problem
from cutline.serve.requests import Asked, Options
from cutline.serve.service import _all


def test_a_batch_with_too_few_results_fails_and_the_next_one_is_computed() -> None:
    def run(way: str, given: Sequence[int]) -> list[int]:
        return [] if way == "short" else list(given)

    async def scene() -> None:
        batcher: Batcher[str, int, int] = Batcher(run, size=4)
        batcher.start()
        with pytest.raises(ValueError, match="shorter"):
            await asyncio.wait_for(batcher.result("short", 1), 5)
        assert batcher.working
        assert await asyncio.wait_for(batcher.result("whole", 2), 5) == 2
        await batcher.stop()
        assert not batcher.working

    asyncio.run(scene())


def test_when_one_picture_fails_the_others_are_cancelled() -> None:
    cancelled = []

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError

    async def scene() -> None:
        with pytest.raises(KeyError):
            await _all([waits(), fails(), waits()])
        assert len(cancelled) == 2  # here: `asyncio.run` cancels what is left, too

    asyncio.run(scene())


def test_loading_another_precision_holds_up_nobody_and_outlives_who_asked(captioner, jpeg) -> None:
    begun, may_end, loads = threading.Event(), threading.Event(), []

    def load(precision):
        loads.append(precision)
        begun.set()
        may_end.wait(30)
        return captioner

    async def scene() -> None:
        service = Service(captioner, load=load, limits=Limits(answer=30))
        service.start()
        other = Asked([jpeg], Options(precision="int8"))
        leaves = asyncio.create_task(service.caption(other))
        stays = asyncio.create_task(service.caption(other))
        await asyncio.to_thread(begun.wait, 30)
        assert await service.caption(Asked([jpeg], Options()))
        leaves.cancel()
        await asyncio.gather(leaves, return_exceptions=True)
        assert not stays.done()
        may_end.set()
        assert await stays
        assert await service.caption(other)
        assert loads == ["int8"]
        await service.stop()

    asyncio.run(scene())


def test_a_load_that_takes_too_long_is_busy_and_one_that_fails_is_tried_again(captioner, jpeg):
    may_end, loads = threading.Event(), []

    def load(precision):
        loads.append(precision)
        may_end.wait(30)
        if len(loads) == 1:
            raise MemoryError
        return captioner

    async def scene() -> None:
        service = Service(captioner, load=load, limits=Limits(answer=0.2))
        service.start()
        asked = Asked([jpeg], Options(precision="int8"))
        with pytest.raises(Problem, match=r"not done within 0\.2 s"):
            await service.caption(asked)
        service.limits = Limits()
        late = asyncio.create_task(service.caption(asked))
        await asyncio.sleep(0)
        may_end.set()
        with pytest.raises(Problem, match="not enough memory"):
            await late
        assert await service.caption(asked)
        assert loads == ["int8", "int8"]
        await service.stop()

    asyncio.run(scene())
