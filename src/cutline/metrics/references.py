"""References of many images, counted once for all candidates.

Shapes: `I` images, `S` references of all images, `C` candidates.
"""

from collections.abc import Collection, Sequence

import numpy as np

from cutline.metrics.ngrams import Ints, NgramIndex

__all__ = ["References"]


class References:
    """The tokenized references of `I` images.

    `index` numbers their n-grams, and those of `known`; `ngrams` has theirs, for each n. `image`
    (S,) says whose each reference is, `length` (S,) how many words it has; those of image `i` are
    rows `first[i]` to `first[i + 1]`.
    """

    def __init__(
        self, references: Sequence[Sequence[Sequence[str]]], known: Collection[Sequence[str]] = ()
    ) -> None:
        sentences = [words for group in references for words in group]
        sizes = np.fromiter(map(len, references), np.int64, len(references))
        self.index = NgramIndex([*sentences, *known])
        self.ngrams = self.index.count(sentences) if known else self.index.ngrams
        self.image: Ints = np.repeat(np.arange(len(references)), sizes)
        self.length: Ints = np.fromiter(map(len, sentences), np.int64, len(sentences))
        self.first: Ints = np.concatenate([[0], sizes.cumsum()])

    def __len__(self) -> int:
        """Count the images."""
        return len(self.first) - 1
