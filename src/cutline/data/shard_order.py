"""Shuffled order of sharded images: run by run, through a buffer.

Runs of images that lie together in a shard are drawn in a random order. As many as the buffer holds
are mixed with each other, then the next ones. So an epoch reads few shards at a time, each from its
beginning to its end, and holds few row groups.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

__all__ = ["BUFFER_BYTES", "shard_order"]

BUFFER_BYTES = 128_000_000  # of row groups that are mixed with each other


def shard_order(
    runs: Sequence[tuple[int, int]],
    *,
    seed: int,
    epoch: int,
    buffer: int,
    rank: int = 0,
    size: int = 1,
) -> Iterator[int]:
    """Return the rows of one epoch in a random order, a pure function of its arguments.

    A data set that the buffer holds as a whole is permuted as one of files is, by the same numbers.

    Args:
        runs: of each run of rows how many rows, and how many bytes are held to read one.
        seed: of the training.
        epoch: from 0.
        buffer: rows that are mixed with each other.
        rank: of the process, from 0.
        size: number of processes; each gets every `size`-th row of the order of one process, so
            together they read each row once, and in step what one process would read.
    """
    return islice(_order(runs, seed=seed, epoch=epoch, buffer=buffer), rank, None, size)


def _order(runs: Sequence[tuple[int, int]], *, seed: int, epoch: int, buffer: int) -> Iterator[int]:
    dice = np.random.default_rng((seed, epoch))
    lengths = np.array([length for length, _ in runs], dtype=np.int64)
    held = np.array([held for _, held in runs], dtype=np.int64)
    if lengths.sum() <= buffer and held.sum() <= BUFFER_BYTES:
        yield from dice.permutation(int(lengths.sum())).tolist()
        return
    starts = np.cumsum(lengths) - lengths
    mixed: list[int] = []
    for run in dice.permutation(len(runs)).tolist():
        rows, there = lengths[[*mixed, run]].sum(), held[[*mixed, run]].sum()
        if mixed and (rows > buffer or there > BUFFER_BYTES):
            yield from _mixed(mixed, starts, lengths, dice)
            mixed = []
        mixed.append(run)
    yield from _mixed(mixed, starts, lengths, dice)


def _mixed(
    runs: list[int], starts: np.ndarray, lengths: np.ndarray, dice: np.random.Generator
) -> list[int]:
    rows = [np.arange(starts[run], starts[run] + lengths[run]) for run in runs]
    mixed: list[int] = dice.permutation(np.concatenate(rows)).tolist()
    return mixed
