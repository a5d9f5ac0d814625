"""Batches: pictures (or their features) with all their captions as numbers.

Shapes: `B` images, `K` captions an image, `T` words, `S` side in pixels, `R` regions, `D` feature
size.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler

from cutline.data.augment import Augment, sided
from cutline.data.cache import Bytes, Halves
from cutline.data.examples import Example, Picture
from cutline.data.readers.shards import ShardExamples
from cutline.data.shard_order import shard_order
from cutline.images.unreadable import Unreadable, attempt
from cutline.preprocessing import Preprocessing
from cutline.vocabulary import Vocabulary

__all__ = [
    "Batch",
    "CaptionedImages",
    "EpochShuffle",
    "Inputs",
    "Pictures",
    "ShardShuffle",
    "Shares",
    "Turn",
    "batches",
    "collate",
]

KEPT_IN_MEMORY = 1 << 30  # bytes of decoded pictures


class Inputs(Protocol):
    """Inputs of the network, by row: bytes (S, S, 3) or features (R, D)."""

    def __getitem__(self, row: int, /) -> Bytes | Halves:
        """Return one row."""


class Pictures:
    """Pictures made square when asked for, kept in memory while they all fit in 1 GiB."""

    def __init__(self, pictures: Sequence[Picture], preprocessing: Preprocessing) -> None:
        self.pictures = pictures
        self.preprocessing = preprocessing
        self.keep = len(pictures) * 3 * preprocessing.size**2 <= KEPT_IN_MEMORY
        self.kept: dict[int, Bytes] = {}

    def __getitem__(self, row: int, /) -> Bytes:
        """Return picture `row` as (S, S, 3)."""
        if row in self.kept:
            return self.kept[row]
        square = self.preprocessing.square(self.pictures[row].open())
        if self.keep:
            self.kept[row] = square
        return square


class Turn(NamedTuple):
    """An image, and the epoch whose turn it is."""

    row: int
    epoch: int


class Batch(NamedTuple):
    """`inputs` are bytes (B, 3, S, S) or packed features (B, R, D) in half precision.

    `words` (B, K, T + 1) run from `<start>` to `<end>` and are padded; `lengths` (B, K) count the
    words to predict, the `<end>` included, and are 0 for a caption that is not there. Images stand
    in the order of their longest caption, an image's captions in the order of their length.
    `unreadable` are pictures that were left out, because they have broken meanwhile; a batch of
    which nothing is left has no `ids`.
    """

    inputs: Tensor
    words: Tensor
    lengths: Tensor
    ids: list[str]
    unreadable: tuple[Unreadable, ...] = ()


Item = tuple[Any, list[list[int]], str]


class CaptionedImages(Dataset[Item | Unreadable]):
    """Examples with their captions as numbers; a picture that cannot be read is given as such.

    With `augment` each turn shows another view of a picture, a function of `seed`, row and epoch.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        inputs: Inputs,
        vocabulary: Vocabulary,
        *,
        captions_per_image: int,
        max_words: int,
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        self.examples = examples
        self.inputs = inputs
        self.augment = augment
        self.seed = seed
        self.captions = _Numbers(
            sorted(
                (
                    vocabulary.encode(caption, max_words=max_words)
                    for caption in example.captions[:captions_per_image]
                ),
                key=len,
                reverse=True,
            )
            for example in examples
        )

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, turn: Turn | int) -> Item | Unreadable:
        row, epoch = turn if isinstance(turn, Turn) else (turn, 0)
        example = self.examples[row]
        seen: Any = attempt(self.inputs.__getitem__, row, name=example.picture.name)
        if isinstance(seen, Unreadable):
            return seen
        if self.augment is not None:
            dice = np.random.default_rng((self.seed, epoch, row))
            seen = self.augment(seen, dice, mirror=not sided(example.captions))
        return seen, self.captions[row], example.image_id


class _Numbers:
    """Captions of each image as numbers, 4 bytes a word: all of a data set stay in memory."""

    def __init__(self, images: Iterable[list[list[int]]]) -> None:
        self.words, self.ends, self.images = array("i"), array("q", [0]), array("q", [0])
        for captions in images:
            for numbers in captions:
                self.words.extend(numbers)
                self.ends.append(len(self.words))
            self.images.append(len(self.ends) - 1)

    def __getitem__(self, image: int, /) -> list[list[int]]:
        each = range(self.images[image], self.images[image + 1])
        return [self.words[self.ends[n] : self.ends[n + 1]].tolist() for n in each]


class EpochShuffle(Sampler[Turn]):
    """An order that is a function of the seed and the epoch, so that a resumed run repeats it."""

    def __init__(self, size: int, *, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch (Lightning calls this)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Turn]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size)
        return (Turn(row, self.epoch) for row in order.tolist())


class ShardShuffle(EpochShuffle):
    """The same for shards: run by run through a buffer, see `cutline.data.shard_order`."""

    def __init__(self, examples: ShardExamples, *, seed: int, buffer: int) -> None:
        super().__init__(len(examples), seed=seed)
        self.runs = examples.runs()
        self.buffer = buffer

    def __iter__(self) -> Iterator[Turn]:
        order = shard_order(self.runs, seed=self.seed, epoch=self.epoch, buffer=self.buffer)
        return (Turn(row, self.epoch) for row in order)


class Shares(Sampler[list[Any]]):
    """The images of each batch that process `rank` of `size` reads: every `size`-th of them.

    The processes together read each batch of one process, each image once; a share may be empty.
    """

    def __init__(self, sampler: Sampler[Any], *, batch_size: int, rank: int, size: int) -> None:
        self.sampler: Any = sampler  # Lightning sets its epoch
        self.batch_size = batch_size
        self.rank = rank
        self.size = size

    def __len__(self) -> int:
        return math.ceil(len(self.sampler) / self.batch_size)

    def __iter__(self) -> Iterator[list[Any]]:
        order = list(self.sampler)
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size][self.rank :: self.size]


def batches(
    images: CaptionedImages,
    *,
    batch_size: int,
    sampler: Sampler[Turn] | None = None,
    workers: int = 0,
    rank: int = 0,
    size: int = 1,
) -> DataLoader[Any]:
    """Load batches of `batch_size` images, in the order of `sampler`.

    Of `size` processes the one of `rank` loads its share of each batch, see `Shares`.
    """
    if size > 1:
        order: Sampler[Any] = sampler or SequentialSampler(images)
        return DataLoader(
            images,
            batch_sampler=Shares(order, batch_size=batch_size, rank=rank, size=size),
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
    return DataLoader(
        images,
        batch_size=batch_size,
        sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def collate(given: Sequence[Item | Unreadable]) -> Batch:
    """Put images into one batch, the longest captions first."""
    unreadable = tuple(item for item in given if isinstance(item, Unreadable))
    items = [item for item in given if not isinstance(item, Unreadable)]
    if not items:
        nothing = torch.zeros(0, dtype=torch.int64)
        return Batch(nothing, nothing.view(0, 0, 1), nothing.view(0, 0), [], unreadable)
    items = sorted(items, key=lambda item: -max(map(len, item[1]), default=0))
    captions = max(len(item[1]) for item in items)
    longest = max(map(len, items[0][1]), default=0)
    words = np.zeros((len(items), captions, longest), dtype=np.int64)
    lengths = np.zeros((len(items), captions), dtype=np.int64)
    for b, (_, all_numbers, _) in enumerate(items):
        for k, numbers in enumerate(all_numbers):
            words[b, k, : len(numbers)] = numbers
            lengths[b, k] = len(numbers) - 1
    inputs = torch.from_numpy(np.stack([np.asarray(item[0]) for item in items]))
    if inputs.dtype == torch.uint8:
        inputs = inputs.permute(0, 3, 1, 2)
    ids = [item[2] for item in items]
    return Batch(inputs, torch.from_numpy(words), torch.from_numpy(lengths), ids, unreadable)
