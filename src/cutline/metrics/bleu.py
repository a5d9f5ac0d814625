"""BLEU-1 to BLEU-4, as the reference COCO evaluation counts them.

    p_n = correct_n / guess_n                    clipped n-gram precision
    BLEU-N = (p_1 ... p_N)^(1/N) * min(1, exp(1 - reflen / testlen))

From 0 to 1. `reflen` is, per image, the length of the reference closest to the candidate, the
shorter of two equally close. Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine
Translation", ACL 2002, https://aclanthology.org/P02-1040.

Shapes: `C` candidates, one for each image of the references.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np

from cutline.metrics.ngrams import MAX_N, Ints, Ngrams, find, join
from cutline.metrics.references import References

__all__ = ["BleuTotals", "bleu", "bleu_totals"]

# The reference adds these to numerators and denominators, so that nothing divides by zero.
TINY, SMALL = 1e-15, 1e-9


@dataclass(frozen=True)
class BleuTotals:
    """Sufficient statistics of BLEU: lengths in words, n-grams guessed and correct per order."""

    testlen: int = 0
    reflen: int = 0
    guess: tuple[int, ...] = (0,) * MAX_N
    correct: tuple[int, ...] = (0,) * MAX_N

    @classmethod
    def of(cls, row: Sequence[int]) -> "BleuTotals":
        """Read what `row` returned."""
        return cls(row[0], row[1], tuple(row[2 : 2 + MAX_N]), tuple(row[2 + MAX_N :]))

    @classmethod
    def total(cls, parts: Iterable["BleuTotals"]) -> "BleuTotals":
        """Add up the totals of many images."""
        return cls.of([sum(column) for column in zip(*(p.row() for p in parts), strict=True)])

    def row(self) -> tuple[int, ...]:
        """Return all counts in a row, so that they can be added up."""
        return (self.testlen, self.reflen, *self.guess, *self.correct)


def bleu_totals(candidates: Sequence[Sequence[str]], references: References) -> list[BleuTotals]:
    """Count each candidate's n-grams, and those that its image's references grant."""
    correct = [
        _granted(ours, theirs, references.image, len(candidates)).tolist()
        for ours, theirs in zip(references.index.count(candidates), references.ngrams, strict=True)
    ]
    lengths = [len(words) for words in candidates]
    closest = _closest(lengths, references)
    return [
        BleuTotals(length, reflen, tuple(max(0, length - n) for n in range(MAX_N)), granted)
        for length, reflen, granted in zip(
            lengths, closest, zip(*correct, strict=True), strict=True
        )
    ]


def bleu(totals: BleuTotals) -> tuple[float, ...]:
    """Compute BLEU-1 to BLEU-4 of an image or a corpus.

    >>> totals = bleu_totals(["a red bus".split()], References([["a red bus".split()]]))
    >>> [round(b, 3) for b in bleu(totals[0])][:3]
    [1.0, 1.0, 1.0]
    """
    ratio = (totals.testlen + TINY) / (totals.reflen + SMALL)
    brevity = exp(1 - 1 / ratio) if ratio < 1 else 1.0
    scores, product = [], 1.0
    for n, (correct, guess) in enumerate(zip(totals.correct, totals.guess, strict=True), 1):
        product *= (correct + TINY) / (guess + SMALL)
        scores.append(product ** (1 / n) * brevity)
    return tuple(scores)


def _granted(ours: Ngrams, theirs: Ngrams, image: Ints, images: int) -> Ints:
    """Count, per candidate, its n-grams, each at most as often as one reference has it."""
    keys = join(image[theirs.sentence], theirs.number)
    order = keys.argsort(kind="stable")
    ceilings, starts = np.unique(keys[order], return_index=True)
    most = np.maximum.reduceat(theirs.times[order], starts) if len(starts) else theirs.times
    at, granted = find(ceilings, join(ours.sentence, ours.number))
    clipped = np.minimum(ours.times[granted], most[at[granted]])
    counts = np.zeros(images, np.int64)
    np.add.at(counts, ours.sentence[granted], clipped)
    return counts


def _closest(lengths: Sequence[int], references: References) -> list[int]:
    theirs, first = references.length.tolist(), references.first.tolist()
    return [
        min((abs(other - length), other) for other in theirs[start:end])[1]
        for length, start, end in zip(lengths, first[:-1], first[1:], strict=True)
    ]
