"""Examples of sharded data sets: read from the index when they are asked for, never all at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from cutline.data.examples import Dataset, Example
from cutline.data.readers.shards.index import SPLITS, Index, Record
from cutline.data.readers.shards.pictures import ParquetPicture, ShardFile, TarPicture
from cutline.errors import UsageError, did_you_mean

__all__ = ["ShardDataset", "ShardExamples"]

READ = 500  # rows that are asked for at once
LONGEST_RUN = 256  # images of a tar that are shuffled as one


class ShardExamples(Sequence[Example]):
    """Some images of an index, in its order.

    Args:
        source: index of all images.
        images: their numbers, ascending.
    """

    def __init__(self, source: Index, images: NDArray[np.int32]) -> None:
        self.source = source
        self.images = images
        self.files = [
            ShardFile(path, facts.st_size, facts.st_mtime_ns, column)
            for path, column in zip(source.shards, source.pictures, strict=True)
            for facts in [path.stat()]
        ]

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, row: int) -> Example: ...
    @overload
    def __getitem__(self, row: slice) -> "ShardExamples": ...
    def __getitem__(self, row: int | slice) -> "Example | ShardExamples":
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        return self._example(self.source.records([int(self.images[row])])[0])

    def __iter__(self) -> Iterator[Example]:
        for start in range(0, len(self), READ):
            images = self.images[start : start + READ].tolist()
            yield from map(self._example, self.source.records(images))

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> "ShardExamples":
        """Return some of the examples, by ascending rows."""
        return ShardExamples(self.source, self.images[np.asarray(rows, dtype=np.intp)])

    def by_shard(self) -> Iterator[range]:
        """Yield the rows of each shard that has any of the examples."""
        yield from self._between(self.source.starts())

    def runs(self) -> list[tuple[int, int]]:
        """Return runs of rows to shuffle, as `cutline.data.shard_order` takes them."""
        firsts, held = self.source.runs()
        runs = []
        for rows in self._between(firsts):
            here = np.searchsorted(firsts, self.images[rows.start], side="right") - 1
            step = len(rows) if held[here] else LONGEST_RUN
            runs += [
                (len(rows[at : at + step]), int(held[here])) for at in range(0, len(rows), step)
            ]
        return runs

    def _between(self, firsts: NDArray[np.int32]) -> Iterator[range]:
        ends = [*np.searchsorted(self.images, firsts[1:]).tolist(), len(self)]
        start = 0
        for end in ends:
            if end > start:
                yield range(start, end)
            start = end

    def _example(self, record: Record) -> Example:
        shard = self.files[record.shard]
        kind = ParquetPicture if shard.column else TarPicture
        picture = kind(shard, record.name, record.place, record.extent)
        captions = tuple(record.captions.split("\n"))
        return Example(record.name, picture, captions, SPLITS[record.split])


@dataclass(frozen=True)
class ShardDataset(Dataset):
    """A data set in shards; `examples` are `ShardExamples`, and so are those of a split."""

    @classmethod
    def of(cls, index: Index, *, kind: str, source: Path, notes: Sequence[str]) -> "ShardDataset":
        """Return the data set of an index."""
        images = np.sort(np.concatenate([index.of_split(split) for split in SPLITS]))
        examples = ShardExamples(index, images)
        said = (*notes, *index.notes)
        return cls(kind, str(source), examples, said, damaged=tuple(index.damaged))

    def split(self, name: str) -> Sequence[Example]:
        """Return the examples of one split; an unknown or empty split is a `UsageError`."""
        counts = self._counts()
        if not counts.get(name):
            raise UsageError(f"{self.source} has no split '{name}'; {did_you_mean(name, counts)}.")
        return ShardExamples(self._index, self._index.of_split(name))

    def describe(self) -> str:
        """Say in one line what was recognised."""
        parts = ", ".join(f"{name} {count:,}" for name, count in self._counts().items())
        shards, captions = len(self._index.shards), self._index.captions
        return (
            f"{self.kind}: {len(self.examples):,} images, {captions:,} captions ({parts}), "
            f"{shards:,} shard{'' if shards == 1 else 's'}"
        )

    @property
    def _index(self) -> Index:
        assert isinstance(self.examples, ShardExamples)
        return self.examples.source

    def _counts(self) -> dict[str, int]:
        counts = {split: len(self._index.of_split(split)) for split in SPLITS}
        return {split: count for split, count in counts.items() if count}
