"""The order in which many captions are read: step by step, and what begins alike only once.

Captions of an image that begin with the same words are in the same state until they part. So
captions are read as a prefix tree: of Flickr8k's words one in six ends a prefix that another
caption of the image has, too.

Shapes: `B` images with `K` captions each, `N = B * K`, `T` words a caption; `M` words of all
captions, `Q` prefixes that differ; `n` captions that look at a step, one for those that are alike.
"""

from functools import cached_property
from typing import Any, NamedTuple

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
    the look before that word, and `came` the state: of the `B` images, then after each prefix. Of
    each look, (L,), `image` is the one that is looked at, and `alone` says whether the caption is
    one that is read by itself, with looks of its own: those that are asked for, (N,).
    """

    def __init__(self, lengths: Tensor, words: Tensor, alone: Tensor | None = None) -> None:
        self.lengths = lengths
        images, each = lengths.shape
        counts, known = lengths.flatten().cpu().numpy(), words.cpu().numpy()
        apart = np.arange(1, images * each + 1)  # what tells captions from each other, or 0
        apart *= 0 if alone is None else alone.cpu().numpy()
        self.longest = int(counts.max())
        self._steps: list[tuple[Any, ...]] = []
        of_words: list[tuple[Ints, ...]] = []
        of_prefixes: list[tuple[Ints, ...]] = []
        of_looks: list[tuple[Any, ...]] = []
        image = np.arange(images)  # of each state before the step
        state = image.repeat(each)  # of each caption
        before = looked = read = 0
        for t in range(self.longest):
            now = np.flatnonzero(counts > t)
            first, look = _alike(state[now], apart[now])
            stay, lonely = state[now][first], apart[now][first] > 0
            first, prefix = _alike(look, known[now, t])
            like = look[first]
            looks = slice(looked, looked + len(stay))
            prefixes = slice(read, read + len(like))
            block, places = _block(image[stay])
            rows = (
                None if _all_of(rows, count) else rows
                for rows, count in (
                    (places, block[0] * block[1]),
                    (stay, len(image)),
                    (like, len(stay)),
                )
            )
            self._steps.append((looks, prefixes, block, len(image), *rows))
            sort = prefix.argsort(kind="stable")
            of_words.append((np.full(len(now), t), now[sort], read + prefix[sort]))
            of_prefixes.append((looked + like, before + stay[like]))
            of_looks.append((image[stay], lonely))
            before = images + read
            looked, read = looks.stop, prefixes.stop
            state[now], image = prefix, image[stay[like]]
        self.step, self.caption, self.prefix = _joined(of_words, lengths.device)
        self.look, self.came = _joined(of_prefixes, lengths.device)
        self.image, self.alone = _joined(of_looks, lengths.device)
        self.first = torch.searchsorted(self.prefix, torch.arange(read, device=lengths.device))

    @cached_property
    def readings(self) -> list[Reading]:
        """The steps, first to last."""
        device = self.lengths.device
        return [
            Reading(*known, *(r if r is None else torch.from_numpy(r).to(device) for r in rows))
            for known, rows in ((step[:4], step[4:]) for step in self._steps)
        ]

    def places(self, longest: int) -> Tensor:
        """Say where each word stands in the flattened (B, K, longest)."""
        return self.caption * longest + self.step

    def ending(self, words: Tensor) -> Tensor:
        """Of words (N, T) choose the last of each prefix, (Q,)."""
        return words[self.caption[self.first], self.step[self.first]]


def _alike(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Give pairs numbers, alike ones the same; return where each number is first, and the numbers.

    What is on the `right` is not negative.
    """
    pairs = left * (right.max() + 1) + right
    _, first, number = np.unique(pairs, return_index=True, return_inverse=True)
    return first, number


def _block(image: Ints) -> tuple[tuple[int, int], Ints]:
    """Return the block that holds rows of these images, in their order, and places in it (n,)."""
    row = np.arange(len(image)) - np.searchsorted(image, image)
    block = int(image[-1]) + 1, int(row.max()) + 1
    return block, image * block[1] + row


def _all_of(rows: Ints, count: int) -> bool:
    return len(rows) == count and bool((np.diff(rows) == 1).all())


def _joined(parts: list[tuple[Any, ...]], device: torch.device) -> tuple[Tensor, ...]:
    """Put the steps' numbers one after the other, each of them."""
    joined = map(np.concatenate, zip(*parts, strict=True))
    return tuple(torch.from_numpy(numbers).to(device) for numbers in joined)
