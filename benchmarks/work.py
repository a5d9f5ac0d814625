"""A piece of work that is done twice, plainly and our way, and what came of measuring it."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median

import torch

from benchmarks.machine import Product, seconds_of

__all__ = ["Row", "Work", "measure"]

Run = Callable[[], object]

SHORT = 0.75  # seconds


@dataclass
class Work:
    """`amount` units of work by `ours`, `plain_amount` by `plain`.

    `products` are the multiplications of `ours` that no way of doing it can be without.
    """

    name: str
    unit: str
    ours: Run
    plain: Run | None = None
    amount: float = 1
    plain_amount: float | None = None
    dtype: str = "float32"
    products: list[Product] = field(default_factory=list)
    rounds: int = 3
    note: str = ""


@dataclass(frozen=True)
class Row:
    """Units a second (seconds where that is the unit), and how many times as fast ours is."""

    work: str
    dtype: str
    plain: float | None
    ours: float
    unit: str
    ratio: float | None
    floor_share: float | None
    note: str = ""

    def json(self) -> dict[str, object]:
        """Return what `latest.json` keeps."""
        return asdict(self)


def measure(work: Work) -> Row:
    """Measure both in turns, medians; once each before that does not count."""
    plain_seconds: list[float] = []
    our_seconds: list[float] = []
    for number in range(work.rounds + 1):
        if work.plain is not None and number <= max(1, work.rounds - 1):
            _timed(work.plain, plain_seconds)
        _timed(work.ours, our_seconds)
    ours = median(our_seconds[1:])
    plain = median(plain_seconds[1:]) if plain_seconds else None
    share = None
    if work.products:
        dtype = torch.bfloat16 if work.dtype == "bfloat16" else torch.float32
        share = seconds_of(work.products, dtype) / ours
    per_ours = ours / work.amount
    per_plain = None if plain is None else plain / (work.plain_amount or work.amount)
    by_second = work.unit.endswith("/s")
    return Row(
        work.name,
        work.dtype,
        None if per_plain is None else _rounded(1 / per_plain if by_second else per_plain),
        _rounded(1 / per_ours if by_second else per_ours),
        work.unit,
        None if per_plain is None else _rounded(per_plain / per_ours),
        None if share is None else round(share, 3),
        work.note,
    )


def _timed(run: Run, kept: list[float]) -> None:
    """Time a run; a short one is done again at once, and that counts.

    A warm process has its weights in the caches, where the other side's would be otherwise.
    """
    for _ in range(2):
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        if seconds > SHORT:
            break
    kept.append(seconds)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
