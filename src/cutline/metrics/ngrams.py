"""Counting n-grams of one to four words."""

from collections import Counter
from collections.abc import Sequence

__all__ = ["MAX_N", "Ngram", "count_ngrams"]

MAX_N = 4

Ngram = tuple[str, ...]


def count_ngrams(words: Sequence[str]) -> Counter[Ngram]:
    """Count all runs of one to four words.

    >>> count_ngrams(["a", "a"])
    Counter({('a',): 2, ('a', 'a'): 1})
    """
    counts: Counter[Ngram] = Counter()
    for n in range(MAX_N):
        counts.update(zip(*(words[i:] for i in range(n + 1)), strict=False))
    return counts
