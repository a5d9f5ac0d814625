"""Samples of a shard as its file describes them, and what was left out of it."""

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["LARGEST_NAME", "LARGEST_TEXT", "Findings", "Sample", "storable"]

MEGABYTE = 1_000_000
LARGEST_TEXT = MEGABYTE
LARGEST_NAME = 500  # characters
NAMED = 3


class Sample(NamedTuple):
    """One image of a shard.

    Attributes:
        name: unique in the shard, and if possible in the data set.
        place: of the picture: the first byte in a tar, the row in its row group in Parquet.
        extent: of the picture: bytes in a tar, the number of its row group in Parquet.
        captions: as they are written there.
        split: train, val, test or one of their other names; None where the shard does not say.
    """

    name: str
    place: int
    extent: int
    captions: list[str]
    split: str | None


@dataclass
class Findings:
    """Findings of a shard's reader beside samples.

    Attributes:
        group_bytes: of each row group, what has to be held in memory to read one of its rows.
        picture: the column of the pictures.
        columns: which columns are read, for people.
        damage: what is wrong with the file.
        left: what was left out, counted by a sentence such as `left out {} of no use: {}.`; the
            first are named.
    """

    group_bytes: list[int] = field(default_factory=list)
    picture: str = ""
    columns: str = ""
    damage: str = ""
    left: dict[str, tuple[int, list[str]]] = field(default_factory=dict)

    def leave(self, sentence: str, name: str) -> None:
        """Count one more of a kind."""
        count, names = self.left.get(sentence, (0, []))
        self.left[sentence] = (count + 1, [*names, name][:NAMED])


def storable(text: str) -> str:
    r"""Return text that UTF-8 can hold: halves of surrogate pairs are escaped.

    >>> storable("caf\xe9 \udcff")
    'café \\udcff'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
