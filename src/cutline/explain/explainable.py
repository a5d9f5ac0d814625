"""Explainable captions: words with probabilities, attention and sentinel.

Shapes: `T` words, `h x w` the attention grid.
"""

from collections.abc import Mapping
from math import exp
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cutline.captioned import Captioned
from cutline.errors import UsageError

__all__ = ["NOT_ATTENDING", "Area", "Array", "Explainable", "Word", "labelled", "looks", "words"]

NOT_ATTENDING = (
    "This captioner does not attend: it reads the picture as a whole, so no word has a place in it."
)

Array = NDArray[np.floating]
Area = tuple[float, float, float, float]


class Explainable(Captioned, Protocol):
    """A caption of `T` words with its attention. `cutline.Caption` is one."""

    @property
    def attention(self) -> Array | None:
        """Attention of each word over the grid, (T, h, w); None of a captioner without it."""

    @property
    def area(self) -> Area:
        """The rectangle that the grid divides: left, top, right, bottom.

        In shares of the picture's width and height. It reaches beyond 0..1 where the picture was
        padded, and is a middle square where it was cropped.
        """


class Word:
    """One word of a caption, with its numbers ready to be shown."""

    def __init__(self, text: str, log_prob: float, beta: float | None) -> None:
        self.text = text
        self.probability = exp(min(log_prob, 0.0))
        self.beta = beta

    @property
    def percent(self) -> str:
        """The probability in whole percent; an unlikely word is not called impossible."""
        return share(self.probability)

    @property
    def memory(self) -> str:
        """The sentinel's share of attention (`beta`), in percent; "" if unknown."""
        return "" if self.beta is None else share(self.beta)


def words(caption: Explainable) -> list[Word]:
    """Return the caption's words, T of them."""
    count = len(caption.words)
    betas = [None] * count if caption.sentinel is None else [float(b) for b in caption.sentinel]
    return [Word(*word) for word in zip(caption.words, caption.log_probs, betas, strict=True)]


def labelled(given: Explainable | Mapping[str, Explainable]) -> Mapping[str, Explainable]:
    """Return captions by the names of their captioners; a single caption has the name "".

    Raises:
        UsageError: there is none.
    """
    if not isinstance(given, Mapping):
        return {"": given}
    if not given:
        raise UsageError("There is no caption to explain; give one, or several by name.")
    return given


def looks(caption: Explainable) -> Array | None:
    """Return the caption's attention, (T, h, w); None where the captioner does not attend.

    Raises:
        UsageError: the attention is of another shape.
    """
    if caption.attention is None:
        return None
    attention = np.nan_to_num(np.asarray(caption.attention, dtype=np.float64))
    if attention.ndim != 3 or len(attention) != len(caption.words) or 0 in attention.shape[1:]:
        raise UsageError(
            f"A caption of {len(caption.words)} words is explained by attention of the shape "
            f"({len(caption.words)}, height, width), not {attention.shape}."
        )
    return attention


def share(value: float) -> str:
    """Return a share of 1 in percent.

    >>> share(0.999), share(0.004), share(0.0)
    ('100%', '<1%', '0%')
    """
    return "<1%" if 0 < value < 0.005 else f"{value:.0%}"
