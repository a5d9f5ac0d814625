"""The order in which the words of many captions are read: step by step, by those that go on.

Shapes: `B` images with `K` captions each, `M` words of all, `n` captions at a step.
"""

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Order", "Reading"]


class Reading(NamedTuple):
    """One step: `n` captions look, and read a word each.

    They are of the first images and captions, a `block` (images, captions), and stand at `places`
    (n,) in it. `looks` and `words` say which they are among all looks and all words. `stay` (n,)
    are those that go on of `before` captions, at the first step of the images, and `like` (n,) says
    whose look each has. None stands for all in their order.
    """

    looks: slice
    words: slice
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
        """Give what was made for those that look to those that read."""
        return rows if self.like is None else rows.index_select(0, self.like)

    def share_back(self, rows: Tensor) -> Tensor:
        """From a gradient of what was shared to that of what was made."""
        if self.like is None:
            return rows
        looking = self.looks.stop - self.looks.start
        return rows.new_zeros(looking, *rows.shape[1:]).index_add_(0, self.like, rows)


class Order:
    """The order of captions of these `lengths` (B, K); an image's captions stay together.

    All of them begin in the same state. So at the first step each image looks once, for all of its
    captions, but where looks are `drawn`: then each caption has its own.
    """

    def __init__(self, lengths: Tensor, *, drawn: bool = False) -> None:
        self.lengths = lengths
        self.drawn = drawn
        self.longest = int(lengths.max())
        t = torch.arange(self.longest, device=lengths.device).unsqueeze(1)
        # of each word: at which step it is read, by which of the N captions
        self.step, self.caption = (t < lengths.flatten()).nonzero(as_tuple=True)

    def places(self, longest: int) -> Tensor:
        """Say where each word stands in the flattened (B, K, longest)."""
        return self.caption * longest + self.step

    @property
    def image(self) -> Tensor:
        """Say which image each word is of, (M,)."""
        return self.caption // self.lengths.shape[1]

    @cached_property
    def looks(self) -> Tensor:
        """Say which look was before each word, (M,)."""
        # a word is as far from the last as its look is
        words = torch.arange(len(self.step), device=self.step.device)
        looks = words + self.readings[-1].looks.stop - len(words)
        return looks if self.drawn else torch.where(self.step == 0, self.image, looks)

    @cached_property
    def readings(self) -> list[Reading]:
        """The steps, first to last."""
        each = self.lengths.shape[1]
        counts = torch.bincount(self.step, minlength=self.longest).tolist()
        found: list[Reading] = []
        looked = read = 0
        before: Tensor | None = None
        for now in torch.split(self.caption, counts):
            image, caption = now // each, now % each
            block = int(image.max()) + 1, int(caption.max()) + 1
            words = slice(read, read + len(now))
            if before is None and not self.drawn:
                looks, alone = slice(0, block[0]), (block[0], 1)
                found.append(Reading(looks, words, alone, block[0], like=image))
            else:
                looks = slice(looked, looked + len(now))
                places = None
                if len(now) < block[0] * block[1]:
                    places = image * block[1] + caption
                stay: Tensor | None = image
                size = block[0] if before is None else len(before)
                if before is not None:
                    stay = torch.searchsorted(before, now) if len(now) < size else None
                found.append(Reading(looks, words, block, size, places, stay))
            looked, read, before = looks.stop, words.stop, now
        return found
