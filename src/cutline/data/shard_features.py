"""Features of a frozen encoder for sharded images: a cache for each shard.

A shard that is added or changed costs its own features only.

Shapes: `R` regions, `D` feature size.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import overload

from cutline.data.cache import FeatureTable, Halves
from cutline.data.examples import Picture
from cutline.data.readers.shards.examples import ShardExamples

__all__ = ["PicturesOf", "ShardFeatures"]

OPEN = 64  # tables that are mapped at once; a process may have few files open


class PicturesOf(Sequence[Picture]):
    """Pictures of examples, made when they are asked for."""

    def __init__(self, examples: ShardExamples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, row: int) -> Picture: ...
    @overload
    def __getitem__(self, row: slice) -> "PicturesOf": ...
    def __getitem__(self, row: int | slice) -> "Picture | PicturesOf":
        if isinstance(row, slice):
            return PicturesOf(self.examples[row])
        return self.examples[row].picture

    def take(self, rows: Sequence[int]) -> "PicturesOf":
        """Return some of the pictures, by ascending rows."""
        return PicturesOf(self.examples.take(rows))

    def __iter__(self) -> Iterator[Picture]:
        return (example.picture for example in self.examples)


class ShardFeatures:
    """Features (R, D) by row, from the table of the row's shard.

    Args:
        examples: of which features are wanted; all are computed here, shard by shard.
        table: returns the features of some pictures, from their cache.

    `failed` names the rows whose pictures cannot be read.
    """

    def __init__(
        self, examples: ShardExamples, table: Callable[[Sequence[Picture]], FeatureTable]
    ) -> None:
        self.examples = examples
        self.table = table
        self.shards = list(examples.by_shard())
        self.firsts = [rows.start for rows in self.shards]
        self.failed: dict[int, str] = {}
        self._open: OrderedDict[int, FeatureTable] = OrderedDict()
        for shard, first in enumerate(self.firsts):
            failed = self._table(shard).failed
            self.failed |= {first + row: reason for row, reason in failed.items()}

    def __getitem__(self, row: int, /) -> Halves:
        shard = bisect_right(self.firsts, row) - 1
        found: Halves = self._table(shard).features[row - self.firsts[shard]]
        return found

    def _table(self, shard: int) -> FeatureTable:
        if shard not in self._open:
            rows = self.shards[shard]
            pictures = PicturesOf(self.examples[rows.start : rows.stop])
            self._open[shard] = self.table(pictures)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(shard)
        return self._open[shard]
