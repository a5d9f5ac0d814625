"""The machine: what it is, and how fast it multiplies."""

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

__all__ = ["Product", "describe", "matmul_precision", "seconds", "seconds_of"]

VERSIONS = ("onnxruntime", "torch", "torchvision", "timm", "numpy", "pillow")


class Product(NamedTuple):
    """A matrix product (m, k) x (k, n), `times` of them."""

    m: int
    k: int
    n: int
    times: float = 1


def seconds_of(products: list[Product], dtype: torch.dtype) -> float:
    """Return the seconds that products cannot be without: at the speed of `torch.mm` here."""
    return sum(product.times * _seconds_of_one(*product[:3], dtype) for product in products)


@cache
def _seconds_of_one(m: int, k: int, n: int, dtype: torch.dtype) -> float:
    a, b = torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)
    with matmul_precision("medium"):
        return seconds(lambda: a @ b, rounds=15)


def seconds(work: Callable[[], object], *, rounds: int) -> float:
    """Return the median seconds of `rounds`, after one that does not count."""
    work()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return median(found)


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Choose torch's library for float32 products, as `torch.set_float32_matmul_precision`."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def describe() -> dict[str, str | int]:
    """Return the processor, its cores, and the versions that matter."""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: version(name) for name in VERSIONS},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.machine()
