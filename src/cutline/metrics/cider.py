"""CIDEr, as the reference COCO evaluation computes it (the variant that the paper calls CIDEr-D).

    g_n(s)[w]  = count of w in s * (log N - log max(1, df(w)))     over all n-grams w
    S_n(c, r)  = exp(-(|c| - |r|)^2 / (2 sigma^2))
                 * min(g_n(c), g_n(r)) . g_n(r) / (|g_n(c)| |g_n(r)|)
    CIDEr_n    = mean of S_n(c, r) over references r
    CIDEr      = 10 * mean of CIDEr_n over n = 1 to 4,  sigma = 6

From 0 to 10. df(w) is the number of images of N whose references contain w. Vedantam et al.,
"CIDEr: Consensus-based Image Description Evaluation", CVPR 2015, https://arxiv.org/abs/1411.5726.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, log, sqrt
from typing import NamedTuple

from cutline.metrics.ngrams import MAX_N, Ngram, count_ngrams

__all__ = ["SIGMA", "DocumentFrequencies", "NgramWeights", "cider_d", "consensus", "weigh"]

SIGMA = 6.0


@dataclass(frozen=True, eq=False)
class DocumentFrequencies:
    """In how many images' references each n-gram occurs: built once, used for every candidate.

    With an `end` word, that word is counted as the last one of every sentence, here and in
    whatever is scored with these frequencies: a reward that knows where a caption should stop.
    """

    images: int
    counts: Mapping[Ngram, int]
    end: str | None = None

    @cached_property
    def _log_images(self) -> float:
        return log(self.images)

    @classmethod
    def of(
        cls, references: Iterable[Sequence[Sequence[str]]], *, end: str | None = None
    ) -> "DocumentFrequencies":
        """Count over images, each given as its tokenized references."""
        images, counts = 0, Counter[Ngram]()
        tail = [] if end is None else [end]
        for sentences in references:
            images += 1
            counts.update({w for words in sentences for w in count_ngrams([*words, *tail])})
        return cls(images, counts, end)

    def surprise(self, ngram: Ngram) -> float:
        """Compute log N - log df: 0 for what is everywhere, log N for what is nowhere."""
        return self._log_images - log(max(1, self.counts.get(ngram, 0)))


class NgramWeights(NamedTuple):
    """One sentence as four vectors, one per n, with their norms and its length."""

    vectors: tuple[dict[Ngram, float], ...]
    norms: tuple[float, ...]
    length: int


def weigh(words: Sequence[str], frequencies: DocumentFrequencies) -> NgramWeights:
    """Compute g_n(s). References that are compared often are worth weighing once."""
    words = words if frequencies.end is None else [*words, frequencies.end]
    vectors: tuple[dict[Ngram, float], ...] = tuple({} for _ in range(MAX_N))
    for ngram, count in count_ngrams(words).items():
        vectors[len(ngram) - 1][ngram] = count * frequencies.surprise(ngram)
    norms = tuple(sqrt(sum(weight * weight for weight in v.values())) for v in vectors)
    # The reference measures length in pairs of words.
    return NgramWeights(vectors, norms, max(0, len(words) - 1))


def consensus(candidate: NgramWeights, references: Sequence[NgramWeights]) -> float:
    """Compute CIDEr of one weighed candidate, from 0 to 10."""
    total = 0.0
    for reference in references:
        penalty = exp(-((candidate.length - reference.length) ** 2) / (2 * SIGMA**2))
        total += penalty * sum(map(_cosine, *candidate[:2], *reference[:2]))
    return 10 * total / MAX_N / len(references)


def cider_d(
    candidate: Sequence[str],
    references: Sequence[Sequence[str]],
    frequencies: DocumentFrequencies,
) -> float:
    """Compute CIDEr of one tokenized candidate, from 0 to 10."""
    weighed = [weigh(reference, frequencies) for reference in references]
    return consensus(weigh(candidate, frequencies), weighed)


def _cosine(
    candidate: dict[Ngram, float],
    candidate_norm: float,
    reference: dict[Ngram, float],
    reference_norm: float,
) -> float:
    """Compare two vectors, each n-gram counted at most as often as the reference has it."""
    dot = sum(
        min(weight, reference[ngram]) * reference[ngram]
        for ngram, weight in candidate.items()
        if ngram in reference
    )
    norm = candidate_norm * reference_norm
    return dot / norm if norm else dot
