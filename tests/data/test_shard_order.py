"""The order of shards: each row once, a pure function, read run by run, shared among processes."""

import numpy as np
import pytest

from cutline.data.shard_order import BUFFER_BYTES, shard_order

RUNS = [(5, 0), (1, 0), (7, 0), (4, 0), (3, 0), (6, 0)]
TOTAL = 26


def order(**given):
    return list(shard_order(RUNS, **{"seed": 1, "epoch": 0, "buffer": 8, **given}))


@pytest.mark.parametrize("buffer", [1, 8, 25, 26, 1000])
def test_each_row_comes_once_and_the_order_is_a_function_of_seed_and_epoch(buffer):
    orders = [order(buffer=buffer, epoch=epoch) for epoch in range(3)]
    assert all(sorted(one) == list(range(TOTAL)) for one in orders)
    assert order(buffer=buffer, epoch=1) == orders[1]
    assert len({tuple(one) for one in [*orders, order(buffer=buffer, seed=2)]}) == 4


def test_a_buffer_that_holds_all_gives_the_order_of_files():
    for epoch in range(3):
        files = np.random.default_rng((1, epoch)).permutation(TOTAL).tolist()
        assert order(buffer=TOTAL, epoch=epoch) == files


def test_rows_are_mixed_within_the_buffer_only():
    starts = np.cumsum([0, *(length for length, _ in RUNS)])
    run_of = [int(np.searchsorted(starts, row, side="right")) for row in order()]
    opened, closed = set(), set()
    for place, run in enumerate(run_of):
        assert run not in closed
        opened.add(run)
        if run not in run_of[place + 1 :]:
            opened.remove(run)
            closed.add(run)
        waiting = sum(RUNS[one - 1][0] for one in opened)
        assert waiting <= 8


def test_row_groups_are_mixed_as_far_as_memory_holds_them():
    half = BUFFER_BYTES // 2
    rows = list(shard_order([(3, half)] * 6, seed=0, epoch=0, buffer=1000))
    assert sorted(rows) == list(range(18))
    for start in range(0, 18, 6):
        assert len({row // 3 for row in rows[start : start + 6]}) == 2


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_processes_share_the_order_of_one(size):
    shares = [order(rank=rank, size=size) for rank in range(size)]
    together = [share[step] for step in range(TOTAL) for share in shares if step < len(share)]
    assert together[:TOTAL] == order()
