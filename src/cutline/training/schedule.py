"""How the learning rate changes, as a factor of the full one by step."""

import math
from collections.abc import Callable

__all__ = ["cosine_with_warmup", "warmup"]

Factor = Callable[[int], float]


def warmup(steps: int) -> Factor:
    """Rise in a line to 1 over `steps`, then stay."""
    return lambda step: min(1.0, (step + 1) / (steps + 1))


def cosine_with_warmup(steps: int, total: int) -> Factor:
    """Rise over `steps`, then fall to 0 at `total` (Loshchilov & Hutter 2017, arXiv 1608.03983)."""
    rise = warmup(steps)
    return lambda step: rise(step) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
