"""BLEU-1 to BLEU-4, as the reference COCO evaluation counts them.

    p_n = correct_n / guess_n                    clipped n-gram precision
    BLEU-N = (p_1 ... p_N)^(1/N) * min(1, exp(1 - reflen / testlen))

From 0 to 1. `reflen` is, per image, the length of the reference closest to the candidate, the
shorter of two equally close. Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine
Translation", ACL 2002, https://aclanthology.org/P02-1040.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp

from cutline.metrics.ngrams import MAX_N, count_ngrams

__all__ = ["BleuTotals", "bleu", "bleu_totals"]

# The reference adds these to numerators and denominators, so that nothing divides by zero.
TINY, SMALL = 1e-15, 1e-9


@dataclass(frozen=True)
class BleuTotals:
    """What BLEU is computed from: lengths in words, and n-grams guessed and correct per order."""

    testlen: int = 0
    reflen: int = 0
    guess: tuple[int, ...] = (0,) * MAX_N
    correct: tuple[int, ...] = (0,) * MAX_N

    @classmethod
    def total(cls, parts: Iterable["BleuTotals"]) -> "BleuTotals":
        """Add up the totals of many images."""
        rows = [(part.testlen, part.reflen, *part.guess, *part.correct) for part in parts]
        testlen, reflen, *counts = map(sum, zip(*rows, strict=True))
        return cls(testlen, reflen, tuple(counts[:MAX_N]), tuple(counts[MAX_N:]))


def bleu_totals(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> BleuTotals:
    """Count one candidate's n-grams and those that its references grant."""
    granted: Counter[tuple[str, ...]] = Counter()
    for reference in references:
        granted |= count_ngrams(reference)
    correct = [0] * MAX_N
    for ngram, count in count_ngrams(candidate).items():
        correct[len(ngram) - 1] += min(count, granted[ngram])
    length = len(candidate)
    return BleuTotals(
        testlen=length,
        reflen=min((abs(len(words) - length), len(words)) for words in references)[1],
        guess=tuple(max(0, length - n) for n in range(MAX_N)),
        correct=tuple(correct),
    )


def bleu(totals: BleuTotals) -> tuple[float, ...]:
    """Compute BLEU-1 to BLEU-4 of an image or a corpus.

    >>> [round(b, 3) for b in bleu(bleu_totals("a red bus".split(), ["a red bus".split()]))][:3]
    [1.0, 1.0, 1.0]
    """
    ratio = (totals.testlen + TINY) / (totals.reflen + SMALL)
    brevity = exp(1 - 1 / ratio) if ratio < 1 else 1.0
    scores, product = [], 1.0
    for n, (correct, guess) in enumerate(zip(totals.correct, totals.guess, strict=True), 1):
        product *= (correct + TINY) / (guess + SMALL)
        scores.append(product ** (1 / n) * brevity)
    return tuple(scores)
