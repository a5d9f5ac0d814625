"""Special words of a search: start, end, and those never written."""

from typing import NamedTuple, Protocol

import numpy as np

from cutline.search.arrays import Ints

__all__ = ["Words"]


class _Vocabulary(Protocol):
    pad: int
    start: int
    end: int
    unk: int


class Words(NamedTuple):
    """Special words of a search: where a caption starts and ends, and what it never contains."""

    start: int
    end: int
    banned: Ints

    @classmethod
    def of(cls, vocabulary: _Vocabulary) -> "Words":
        """Ban `<pad>`, `<start>` and `<unk>`."""
        banned = np.array([vocabulary.pad, vocabulary.start, vocabulary.unk])
        return cls(vocabulary.start, vocabulary.end, banned)
