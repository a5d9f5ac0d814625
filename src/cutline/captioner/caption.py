"""Caption: the text of one picture, its probabilities, confidence and attention.

Shapes: `T` words, `h x w` the attention grid.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Caption"]

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Caption:
    """A caption of one picture.

    Attributes:
        text: the caption.
        words: its words.
        log_probs: the natural log-probability of each word.
        log_prob: of the whole caption, its end included when `finished`.
        confidence: 0 to 1; of a calibrated model the probability that the caption is right, of any
            other the geometric mean of the words' probabilities.
        finished: false when the longest allowed caption was reached before an end.
        attention: where the model looked for each word, (T, h, w), or None.
        sentinel: how much of each look went to the model's own memory instead, (T,), or None.
        area: the rectangle of the picture that the attention grid divides, as left, top, right,
            bottom in shares of its width and height (0 to 1; beyond where a picture was padded).
        unsure: whether the picture is like none that the model learned from, or the confidence very
            low; None where the model is not calibrated (`cutline calibrate`).
    """

    text: str
    words: tuple[str, ...]
    log_probs: tuple[float, ...]
    log_prob: float
    confidence: float
    finished: bool
    attention: Array | None = None
    sentinel: Array | None = None
    area: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    unsure: bool | None = None

    @property
    def hedged(self) -> str:
        """The text for a person, with a word of doubt before it where there is reason to."""
        return f"perhaps: {self.text}" if self.unsure else self.text
