"""Random choices that fall the same way for a seed, in every process and on every machine."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

__all__ = ["Dice"]

T = TypeVar("T")

# Uniform numbers are drawn in blocks: one call of NumPy costs as much as thirty numbers.
_BLOCK = 48


class Dice:
    """A stream of choices that depends on nothing but `entropy`.

    Everything is made from PCG64's uniform doubles, the part of NumPy's generators whose stream
    stays as it is from version to version.
    """

    def __init__(self, *entropy: int) -> None:
        self._next = _uniforms(entropy).__next__

    def uniform(self, low: float, high: float) -> float:
        """Draw a number from low (included) to high (excluded)."""
        return low + (high - low) * self._next()

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return self._next() < probability

    def choice(self, options: Sequence[T]) -> T:
        """Draw one of the options, all equally likely."""
        return options[int(self._next() * len(options))]

    def weighted(self, options: Sequence[T], cumulative: Sequence[float]) -> T:
        """Draw one of the options; `cumulative` are their weights, summed up to each."""
        mark = self._next() * cumulative[-1]
        for option, bound in zip(options, cumulative, strict=True):
            if mark < bound:
                return option
        return options[-1]


def _uniforms(entropy: tuple[int, ...]) -> Iterator[float]:
    generator = np.random.Generator(np.random.PCG64(entropy))
    while True:
        yield from generator.random(_BLOCK).tolist()
