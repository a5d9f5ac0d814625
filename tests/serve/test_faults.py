"""Faults of the service's parts, which must not stop the whole."""

import asyncio
from collections.abc import Sequence

import pytest

from cutline.serve.batching import Batcher
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
