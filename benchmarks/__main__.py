"""Run all benchmarks and print one table.

Each row compares a plain way with ours, in turns, in the same process, after checking that both
compute the same. The machines are noisy: only the ratio means something.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks import scores, sharing

Work = Callable[[], object]


class Row(NamedTuple):
    """Seconds of the plain way and of ours."""

    work: str
    plain: float
    ours: float


def measure(plain: Work, ours: Work, *, rounds: int = 5) -> tuple[float, float]:
    """Return the median seconds of both, taken in turns."""
    seconds: tuple[list[float], list[float]] = ([], [])
    plain(), ours()
    for _ in range(rounds):
        for work, kept in zip((plain, ours), seconds, strict=True):
            start = time.perf_counter()
            work()
            kept.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main() -> None:
    """Measure and print."""
    rows = []
    for name, plain, ours in [*sharing.works(), *scores.works()]:
        rows.append(Row(name, *measure(plain, ours)))
    print(f"{'work':<58}{'plain':>10}{'ours':>10}{'ratio':>8}")
    for row in rows:
        seconds = "".join(f"{seconds * 1e3:>7.1f} ms" for seconds in (row.plain, row.ours))
        print(f"{row.work:<58}{seconds}{row.plain / row.ours:>7.2f}x")


if __name__ == "__main__":
    main()
