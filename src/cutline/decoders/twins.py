"""Captions that go on from the same one: what they see before they read their word is the same.

A beam's captions differ in the word that is read next, but several stem from one parent, whose
state they share. Where a decoder looks before it reads, these twins look alike: a look is made once
for all of them. Of a beam of five about half are left.

Shapes: `B` images, `N = B * K` captions, `M` of them that differ.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Twins", "find_twins"]


class Twins(NamedTuple):
    """Which rows differ: `first` (M,), an image's together, `counts` of them for each image.

    `like` (N,) says which of the `M` each row is like. Where all rows differ, both are None.
    """

    first: Tensor | None
    like: Tensor | None
    counts: list[int]

    def choose(self, rows: Tensor) -> Tensor:
        """Of `N` rows choose those that differ."""
        return rows if self.first is None else rows.index_select(0, self.first)

    def spread(self, rows: Tensor) -> Tensor:
        """Give each of the `N` what was made for the one that it is like."""
        return rows if self.like is None else rows.index_select(0, self.like)


def find_twins(parent: Tensor, images: int) -> Twins:
    """Find an image's captions that have the same parent, (N,): the row it had, one step before."""
    parents: list[int] = parent.tolist()
    captions = len(parents) // images
    first: list[int] = []
    like: list[int] = []
    counts = []
    for start in range(0, len(parents), captions):
        found: dict[int, int] = {}
        for row in range(start, start + captions):
            place = found.setdefault(parents[row], len(first))
            if place == len(first):
                first.append(row)
            like.append(place)
        counts.append(len(found))
    if len(first) == len(parents):
        return Twins(None, None, counts)
    return Twins(torch.tensor(first), torch.tensor(like), counts)
