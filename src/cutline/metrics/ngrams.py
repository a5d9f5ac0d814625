"""N-gram counts of many sentences at once, n = 1 to 4, as numbers.

A word has a number; a longer n-gram has one for the pair of its prefix's number and its last word.
So n-grams are equal exactly when their numbers are, and sorting integers does all the counting.

Shapes: `S` sentences, `W` words of all sentences, `M` distinct n-grams of each sentence, added up.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BITS", "MAX_N", "Ints", "NgramIndex", "Ngrams", "find", "join", "ranges"]

MAX_N = 4
BITS = 31  # of a number; two of them make a key of one integer

Ints = NDArray[np.int64]
Sentences = Sequence[Sequence[str]]


class Ngrams(NamedTuple):
    """Each sentence's distinct n-grams of one n, (M,) each, sorted by sentence, then by number."""

    sentence: Ints
    number: Ints
    times: Ints


class NgramIndex:
    """Numbers for the n-grams of the sentences that it was built from; `ngrams` holds those.

    It never grows: n-grams that it does not know have numbers from `sizes[n - 1]` on, which mean
    something within one call of `count` only.
    """

    def __init__(self, sentences: Sentences) -> None:
        self._words: dict[str, int] = {}
        self._keys: list[Ints] = [np.empty(0, np.int64)] * (MAX_N - 1)
        counted, keys = [], []
        for ngrams, unknown in self._walk(sentences):
            counted.append(ngrams)
            keys.append(unknown)
        for word in chain.from_iterable(sentences):
            self._words.setdefault(word, len(self._words))
        self._keys = keys[1:]
        self.ngrams = tuple(counted)
        self.sizes = (len(self._words), *map(len, self._keys))

    def count(self, sentences: Sentences) -> tuple[Ngrams, ...]:
        """Count the n-grams of other sentences, one `Ngrams` for each n."""
        return tuple(ngrams for ngrams, _ in self._walk(sentences))

    def _walk(self, sentences: Sentences) -> Iterator[tuple[Ngrams, Ints]]:
        """Yield, for each n, what is there, and the sorted keys of what the index does not know."""
        lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
        sentence = np.repeat(np.arange(len(sentences)), lengths)
        left = np.repeat(lengths.cumsum(), lengths) - np.arange(len(sentence))
        words = self._number_words(sentences, len(sentence))
        yield _distinct(sentence, words), np.empty(0, np.int64)
        prefix = words.copy()  # the number of the n-gram that begins at each word
        for known, n in zip(self._keys, range(2, MAX_N + 1), strict=True):
            at = np.flatnonzero(left >= n)
            prefix[at], unknown = _number(known, join(prefix[at], words[at + n - 1]))
            yield _distinct(sentence[at], prefix[at]), unknown

    def _number_words(self, sentences: Sentences, total: int) -> Ints:
        known, new = self._words, dict[str, int]()
        first = len(known)
        numbers = (
            known[word] if word in known else new.setdefault(word, first + len(new))
            for word in chain.from_iterable(sentences)
        )
        return np.fromiter(numbers, np.int64, total)


def join(left: Ints, right: Ints) -> Ints:
    """Make one integer of two, sorted as pairs are."""
    return left << BITS | right


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """Join `range(start, start + length)` of each row.

    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    ends = lengths.cumsum()
    offsets: Ints = np.repeat(starts - ends + lengths, lengths)
    return offsets + np.arange(len(offsets))


def find(keys: Ints, wanted: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Look up `wanted` in sorted `keys`: where each one stands, and whether it is there at all."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    places: Ints = keys.searchsorted(wanted)
    places[places == len(keys)] = 0
    return places, keys[places] == wanted


def _number(known: Ints, keys: Ints) -> tuple[Ints, Ints]:
    """Give keys numbers, their place in `known`, and those that are not there from its end on."""
    numbers, there = find(known, keys)
    new = ~there
    unknown, places = np.unique(keys[new], return_inverse=True)
    numbers[new] = len(known) + places
    return numbers, unknown


def _distinct(sentence: Ints, number: Ints) -> Ngrams:
    rows, times = np.unique(join(sentence, number), return_counts=True)
    return Ngrams(rows >> BITS, rows & (1 << BITS) - 1, times)
