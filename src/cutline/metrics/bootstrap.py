"""Bootstrap confidence intervals over images.

The images are drawn again, as many, with replacement, and the corpus' figures are computed of each
draw; the middle 95% of them is the interval. Two systems are compared on the same draws, so that
what is hard about an image is hard for both. Document frequencies of CIDEr stay those of the whole
set. Efron & Tibshirani 1993, chapter 13; Koehn 2004 (https://aclanthology.org/W04-3250) for BLEU.

Shapes: `N` draws, `I` images.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "draws", "interval"]

# Counts of so many draws are held at a time.
_AT_A_TIME = 256


class Interval(NamedTuple):
    """A 95% confidence interval: the percentiles 2.5 and 97.5 of the draws."""

    low: float
    high: float


def draws(images: int, samples: int, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """Yield how often each image was drawn, (N, I) each, `samples` rows in all."""
    generator = np.random.default_rng(seed)
    for start in range(0, samples, _AT_A_TIME):
        rows = min(_AT_A_TIME, samples - start)
        yield generator.multinomial(images, np.full(images, 1 / images), size=rows)


def interval(values: NDArray[np.float64]) -> Interval:
    """Return the 2.5th and the 97.5th percentile."""
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))
