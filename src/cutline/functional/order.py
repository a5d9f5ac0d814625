"""The order in which many captions are read: step by step, and what begins alike only once.

Captions of an image that begin with the same words are in the same state until they part. So
captions are read as a prefix tree: of Flickr8k's words one in six ends a prefix that another
caption of the image has, too.

Shapes: `B` images with `K` captions each, `N = B * K`, `T` words a caption; `M` words of all
captions, `Q` prefixes that differ; `n` captions that look at a step, one for those that are alike.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Order", "Reading"]

Ints = NDArray[np.int64]


class Reading(NamedTuple):
    """One step: `n` captions look, and go on with a word each, or with several where they part.

    They are of the first images, and of each the first few, a `block` (images, captions), and
    stand at `places` (n,) in it. `looks` and `prefixes` say which they are, and which come of them,
    among all. `stay` (n,) are those that go on of the `before` prefixes of the step before, at the
    first step of the images, and `like` says which of those that look each prefix comes of. None
    stands for all in their order.
    """

    looks: slice
    prefixes: slice
    block: tuple[int, int]
    before: int
    places: Tensor | None = None
    stay: Tensor | None = None
    like: Tensor | None = None

    def spread(self, rows: Tensor) -> Tensor:
        """Put rows of those that look in the block, zeros elsewhere: (images, captions, ...)."""
        if self.places is not None:
            empty = rows.new_zeros(self.block[0] * self.block[1], *rows.shape[1:])
            rows = empty.index_copy_(0, self.places, rows)
        return rows.view(*self.block, *rows.shape[1:])

    def gather(self, block: Tensor) -> Tensor:
        """Choose out of the block the rows of those that look."""
        rows = block.flatten(0, 1)
        return rows if self.places is None else rows.index_select(0, self.places)

    def remain(self, rows: Tensor) -> Tensor:
        """Of rows of the step before choose those that go on."""
        return rows if self.stay is None else rows.index_select(0, self.stay)

    def remain_back(self, rows: Tensor) -> Tensor:
        """From a gradient of what remained to that of all there were."""
        if self.stay is None:
            return rows
        return rows.new_zeros(self.before, *rows.shape[1:]).index_add_(0, self.stay, rows)

    def share(self, rows: Tensor) -> Tensor:
        """Give what was made for those that look to the prefixes that come of them."""
        return rows if self.like is None else rows.index_select(0, self.like)

    def share_back(self, rows: Tensor) -> Tensor:
        """From a gradient of what was shared to that of what was made."""
        if self.like is None:
            return rows
        looking = self.looks.stop - self.looks.start
        return rows.new_zeros(looking, *rows.shape[1:]).index_add_(0, self.like, rows)


class Order:
    """The order of `words` (N, T), the captions' `lengths` being (B, K).

    Of each word, (M,), `step` and `caption` say where it stands, and `prefix` which one it ends:
    never less than the word before. Of each prefix, (Q,), `first` is a word that ends it, `look`
    the look before that word, and `came` the state: of the `B` images, then after each prefix.
    `readings` are the steps, first to last.

    Without `words` no caption is like another, and each has looks of its own.
    """

    def __init__(self, lengths: Tensor, words: Tensor | None = None) -> None:
        self.lengths = lengths
        images, each = lengths.shape
        counts, device = lengths.flatten().cpu().numpy(), lengths.device
        known = None if words is None else words.cpu().numpy()
        self.longest = int(counts.max())
        self.readings: list[Reading] = []
        found: list[tuple[Ints, Ints, Ints]] = []  # of words
        whence: list[tuple[Ints, Ints]] = []  # of prefixes
        image = np.arange(images)  # of each state before the step
        state = image.repeat(each)  # of each caption
        before = looked = read = 0
        for t in range(self.longest):
            now = np.flatnonzero(counts > t)
            parent, prefix = _part(state[now], None if known is None else known[now, t])
            stay, like = parent, np.arange(len(parent))
            if known is not None:
                stay, like = np.unique(parent, return_inverse=True)
            looks = slice(looked, looked + len(stay))
            prefixes = slice(read, read + len(parent))
            block, places = _block(image[stay])
            rows = (
                None if _all_of(r, n) else torch.from_numpy(r).to(device)
                for r, n in ((places, block[0] * block[1]), (stay, len(image)), (like, len(stay)))
            )
            self.readings.append(Reading(looks, prefixes, block, len(image), *rows))
            sort = prefix.argsort(kind="stable")
            found.append((np.full(len(now), t), now[sort], read + prefix[sort]))
            whence.append((looked + like, before + parent))
            before = images + read
            looked, read = looks.stop, prefixes.stop
            state[now], image = prefix, image[parent]
        step, caption, ends = map(np.concatenate, zip(*found, strict=True))
        look, came = map(np.concatenate, zip(*whence, strict=True))
        first = np.searchsorted(ends, np.arange(read))
        self.step, self.caption, self.prefix, self.first, self.look, self.came = (
            torch.from_numpy(each).to(device) for each in (step, caption, ends, first, look, came)
        )

    def places(self, longest: int) -> Tensor:
        """Say where each word stands in the flattened (B, K, longest)."""
        return self.caption * longest + self.step

    def ending(self, words: Tensor) -> Tensor:
        """Of words (N, T) choose the last of each prefix, (Q,)."""
        return words[self.caption[self.first], self.step[self.first]]


def _part(state: Ints, words: Ints | None) -> tuple[Ints, Ints]:
    """Say which prefix (n,) captions have that go on from a state with a word; from which it came.

    Without words each has one of its own.
    """
    if words is None:
        return state, np.arange(len(state))
    both = state * (words.max() + 1) + words
    _, first, prefix = np.unique(both, return_index=True, return_inverse=True)
    return state[first], prefix


def _block(image: Ints) -> tuple[tuple[int, int], Ints]:
    """Return the block that holds rows of these images, in their order, and places in it (n,)."""
    row = np.arange(len(image)) - np.searchsorted(image, image)
    block = int(image[-1]) + 1, int(row.max()) + 1
    return block, image * block[1] + row


def _all_of(rows: Ints, count: int) -> bool:
    return len(rows) == count and bool((np.diff(rows) == 1).all())
