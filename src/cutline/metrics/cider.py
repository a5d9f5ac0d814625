"""CIDEr, as the reference COCO evaluation computes it (the variant that the paper calls CIDEr-D).

    g_n(s)[w]  = count of w in s * (log N - log max(1, df(w)))     over all n-grams w
    S_n(c, r)  = exp(-(|c| - |r|)^2 / (2 sigma^2))
                 * min(g_n(c), g_n(r)) . g_n(r) / (|g_n(c)| |g_n(r)|)
    CIDEr_n    = mean of S_n(c, r) over references r
    CIDEr      = 10 * mean of CIDEr_n over n = 1 to 4,  sigma = 6

From 0 to 10. df(w) is the number of images of N whose references contain w. Vedantam et al.,
"CIDEr: Consensus-based Image Description Evaluation", CVPR 2015, https://arxiv.org/abs/1411.5726.

Shapes: `C` candidates, `P` pairs of a candidate and one of its image's references, `S` references.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cutline.metrics.ngrams import BITS, MAX_N, Ints, Ngrams, find, join, ranges
from cutline.metrics.references import References

__all__ = ["SIGMA", "Cider", "DocumentFrequencies"]

SIGMA = 6.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DocumentFrequencies:
    """In how many of `images` images' references each n-gram occurs, counted somewhere else."""

    images: int
    counts: Mapping[tuple[str, ...], int]


class _Order(NamedTuple):
    """All references' vectors g_n for one n: the weight of each row (M,), and the norms (S,).

    The n-grams of reference `s` are rows `first[s]` to `first[s + 1]`. `surprise` is
    log N - log max(1, df) of each n-gram that is known, and last, of one that is not.
    """

    number: Ints
    weight: Floats
    norm: Floats
    first: Ints
    surprise: Floats


class Cider:
    """CIDEr against references that are counted and weighed once, for any number of candidates.

    Args:
        references: of each image, as words; or counted already, then without `frequencies`.
        frequencies: document frequencies from elsewhere; by default those of `references`.

    A reward that knows where a caption should stop has an `<end>` word after every reference and
    after the candidates that have ended.

    >>> cider = Cider([["a red bus".split()], ["two dogs".split()]])
    >>> cider(["a red bus".split(), "a dog".split()]).round(2).tolist()
    [7.5, 0.0]
    """

    def __init__(
        self,
        references: Sequence[Sequence[Sequence[str]]] | References,
        *,
        frequencies: DocumentFrequencies | None = None,
    ) -> None:
        known = frequencies.counts if frequencies else ()
        if not isinstance(references, References):
            references = References(references, known)
        self.references = references
        images = frequencies.images if frequencies else len(references)
        counts = _given(frequencies, references) if frequencies else _own(references)
        self._orders = [
            _weigh(ngrams, np.log(images) - np.log(np.maximum(1, df)), len(references.length))
            for ngrams, df in zip(references.ngrams, counts, strict=True)
        ]

    def __call__(
        self, candidates: Sequence[Sequence[str]], images: Sequence[int] | Ints | None = None
    ) -> Floats:
        """Compute CIDEr of each candidate (C,), from 0 to 10.

        `images` (C,) says which image each one describes; by default the first the first, and so
        on.
        """
        theirs = self.references
        image = np.arange(len(theirs)) if images is None else np.asarray(images, np.int64)
        sizes = theirs.first[image + 1] - theirs.first[image]
        pairs = _Pairs(
            np.repeat(np.arange(len(candidates)), sizes), ranges(theirs.first[image], sizes)
        )
        similar = np.zeros(len(pairs.candidate))
        for ours, order in zip(theirs.index.count(candidates), self._orders, strict=True):
            similar += _cosine(ours, order, pairs, len(candidates))
        length = np.fromiter(map(len, candidates), np.int64, len(candidates))
        apart = length[pairs.candidate] - theirs.length[pairs.reference]
        similar *= np.exp(-(apart**2) / (2 * SIGMA**2))
        total = np.bincount(pairs.candidate, similar, len(candidates))
        mean: Floats = 10 * total / MAX_N / sizes
        return mean


class _Pairs(NamedTuple):
    """Pairs of candidates and references that are compared, (P,) each."""

    candidate: Ints
    reference: Ints


def _own(references: References) -> list[Ints]:
    """Count, for each n, in how many images' references each n-gram occurs."""
    return [
        np.bincount(np.unique(join(number, references.image[sentence])) >> BITS, minlength=size + 1)
        for (sentence, number, _), size in zip(
            references.ngrams, references.index.sizes, strict=True
        )
    ]


def _given(frequencies: DocumentFrequencies, references: References) -> list[Ints]:
    """Look the frequencies up by the references' numbers."""
    counts = np.fromiter(frequencies.counts.values(), np.int64, len(frequencies.counts))
    length = np.fromiter(map(len, frequencies.counts), np.int64, len(frequencies.counts))
    found = []
    for n, (ngrams, size) in enumerate(
        zip(references.index.count(list(frequencies.counts)), references.index.sizes, strict=True),
        1,
    ):
        whole = length[ngrams.sentence] == n  # an n-gram as a sentence has one n-gram of its length
        df = np.zeros(size + 1, np.int64)
        df[ngrams.number[whole]] = counts[ngrams.sentence[whole]]
        found.append(df)
    return found


def _weigh(ngrams: Ngrams, surprise: Floats, references: int) -> _Order:
    weight = ngrams.times * surprise[ngrams.number]
    return _Order(
        ngrams.number,
        weight,
        np.sqrt(np.bincount(ngrams.sentence, weight**2, references)),
        ngrams.sentence.searchsorted(np.arange(references + 1)),
        surprise,
    )


def _cosine(ours: Ngrams, order: _Order, pairs: _Pairs, candidates: int) -> Floats:
    """Compare vectors (P,), each n-gram counted at most as often as the reference has it."""
    weight = ours.times * order.surprise[np.minimum(ours.number, len(order.surprise) - 1)]
    norm = np.sqrt(np.bincount(ours.sentence, weight**2, candidates))
    starts = order.first[pairs.reference]
    lengths = order.first[pairs.reference + 1] - starts
    rows = ranges(starts, lengths)
    pair = np.repeat(np.arange(len(lengths)), lengths)
    at, both = find(
        join(ours.sentence, ours.number), join(pairs.candidate[pair], order.number[rows])
    )
    theirs = order.weight[rows[both]]
    dot = np.bincount(pair[both], np.minimum(weight[at[both]], theirs) * theirs, len(lengths))
    norms = norm[pairs.candidate] * order.norm[pairs.reference]
    return np.divide(dot, norms, out=np.zeros(len(dot)), where=norms > 0)
