"""Descriptive statistics of captions: variety, lengths, endings, repeats.

Figures of the captions alone; nothing is compared with references. They are worth reading beside
the same figures of captions that people wrote.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise

from cutline.metrics.ptb import ptb_tokenize

__all__ = ["Description", "describe"]

PREPOSITIONS = """
    about above across after against along amid among around as at before behind below beneath
    beside between beyond by down during for from in inside into near of off on onto out outside
    over past through to toward towards under underneath up upon with within without
    """
ENDINGS = frozenset(("a", "an", "the", *PREPOSITIONS.split()))


@dataclass(frozen=True)
class Description:
    """Shares are of all captions, from 0 to 1.

    Attributes:
        captions: how many there are.
        distinct_captions: share that is left when each text counts once.
        distinct_words: number of different words.
        mean_length: in words.
        bad_endings: share whose last word is an article or a preposition.
        repeats: share with a word twice in a row, or the same two words at two places.
        novel: share that no training caption equals; None without training captions.
    """

    captions: int
    distinct_captions: float
    distinct_words: int
    mean_length: float
    bad_endings: float
    repeats: float
    novel: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return all figures by name."""
        return asdict(self)


def describe(captions: Iterable[str], training: Iterable[str] | None = None) -> Description:
    """Describe captions, compared as words: case and punctuation don't matter.

    >>> told = describe(["A dog on the", "a dog on the.", "a red red bus"], ["A red red bus!"])
    >>> told.distinct_captions, told.bad_endings, told.repeats, told.novel
    (0.6666666666666666, 0.6666666666666666, 0.3333333333333333, 0.6666666666666666)
    """
    texts = [tuple(ptb_tokenize(caption)) for caption in captions]
    known = None if training is None else {tuple(ptb_tokenize(text)) for text in training}
    count = max(1, len(texts))
    return Description(
        captions=len(texts),
        distinct_captions=len(set(texts)) / count,
        distinct_words=len({word for words in texts for word in words}),
        mean_length=sum(map(len, texts)) / count,
        bad_endings=sum(bool(w) and w[-1].rstrip(".") in ENDINGS for w in texts) / count,
        repeats=sum(map(_repeats, texts)) / count,
        novel=None if known is None else sum(words not in known for words in texts) / count,
    )


def _repeats(words: tuple[str, ...]) -> bool:
    pairs = list(pairwise(words))
    return len(set(pairs)) < len(pairs) or any(a == b for a, b in pairs)
