"""Tokenized candidates and references, their n-grams counted once."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from cutline.metrics.ptb import ptb_tokenize
from cutline.metrics.references import References

__all__ = ["TOKENIZER", "Tokenized"]

TOKENIZER = "ptb-3.4.1"

# What `<unk>` in a candidate becomes: something that no reference can contain.
UNKNOWN, NO_MATCH = "<unk>", "<unk>\0"

Tokens = list[str]


class Tokenized:
    """One candidate and all references of each of `I` images, in one order.

    `candidates` and `references` are PTB tokens. A few tokens have a no-break space inside; the
    n-gram metrics read those as two words, so `words` and `counted` have them split.
    """

    def __init__(
        self, candidates: Mapping[Any, str], references: Mapping[Any, Sequence[str]]
    ) -> None:
        self.candidates = [
            [NO_MATCH if token == UNKNOWN else token for token in ptb_tokenize(text)]
            for text in candidates.values()
        ]
        self.references = [[ptb_tokenize(t) for t in references[image]] for image in candidates]

    @cached_property
    def words(self) -> list[Tokens]:
        """The candidates' words."""
        return _split(self.candidates)

    @cached_property
    def counted(self) -> References:
        """The references' words, their n-grams counted."""
        return References([_split(group) for group in self.references])


def _split(sentences: Iterable[Tokens]) -> list[Tokens]:
    return [" ".join(tokens).split() for tokens in sentences]
