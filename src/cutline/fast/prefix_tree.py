"""Captions as a prefix tree: what begins alike is computed once.

Captions of an image that begin with the same words are in the same state until they part. So their
states are the nodes of a tree: of Flickr8k's words one in six ends a prefix that another caption of
the image has, too.

Shapes: `B` images with `K` captions each, `N = B * K`, `T` words a caption; `M` words of all
captions, `Q` nodes (different prefixes), `L` attention queries, `n` queries of one step.
"""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["PrefixTree", "TreeStep"]

Ints = NDArray[np.int64]


class TreeStep(NamedTuple):
    """One time step: `n` states go on, each with one attention query and one or several words.

    `queries` and `nodes` are the slices, among all, of the queries and of the nodes that the words
    make. The queries are of the first images, and of each the first few rows, a `block` (images,
    rows) in which they stand at `slots` (n,). `active` (n,) are those that go on of the `previous`
    nodes of the step before (at the first step of the images), and `parent` says which query each
    new node comes of. None stands for all in their order.
    """

    queries: slice
    nodes: slice
    block: tuple[int, int]
    previous: int
    slots: Tensor | None = None
    active: Tensor | None = None
    parent: Tensor | None = None

    def scatter(self, rows: Tensor) -> Tensor:
        """Put the queries' rows into the block, zeros elsewhere: (images, rows, ...)."""
        if self.slots is not None:
            empty = rows.new_zeros(self.block[0] * self.block[1], *rows.shape[1:])
            rows = empty.index_copy_(0, self.slots, rows)
        return rows.view(*self.block, *rows.shape[1:])

    def gather(self, block: Tensor) -> Tensor:
        """Select the queries' rows of the block, (n, ...)."""
        rows = block.flatten(0, 1)
        return rows if self.slots is None else rows.index_select(0, self.slots)

    def select_active(self, rows: Tensor) -> Tensor:
        """From rows of the previous nodes to those that go on."""
        return rows if self.active is None else rows.index_select(0, self.active)

    def select_active_backward(self, grad: Tensor) -> Tensor:
        """Gradient of `select_active`."""
        if self.active is None:
            return grad
        return grad.new_zeros(self.previous, *grad.shape[1:]).index_add_(0, self.active, grad)

    def expand(self, rows: Tensor) -> Tensor:
        """From rows of queries to rows of the nodes that come of them."""
        return rows if self.parent is None else rows.index_select(0, self.parent)

    def expand_backward(self, grad: Tensor) -> Tensor:
        """Gradient of `expand`."""
        if self.parent is None:
            return grad
        queries = self.queries.stop - self.queries.start
        return grad.new_zeros(queries, *grad.shape[1:]).index_add_(0, self.parent, grad)


class PrefixTree:
    """The tree of `words` (N, T), the captions' `lengths` being (B, K).

    Of each word, (M,), `step` and `caption` say where it stands, and `node` which one it ends:
    never less than the word before. Of each node, (Q,), `first_word` is a word that ends it,
    `query` the attention query before that word, and `parent_state` the row of the state before it
    in a table of the states of `B` images, then of all nodes. Of each query, (L,), `image` is its
    image, and `unshared` says whether its caption is one that shares nothing: those that were asked
    for, (N,).
    """

    def __init__(self, lengths: Tensor, words: Tensor, unshared: Tensor | None = None) -> None:
        self.lengths = lengths
        images, each = lengths.shape
        counts, known = lengths.flatten().cpu().numpy(), words.cpu().numpy()
        apart = np.arange(1, images * each + 1)  # what tells captions from each other, or 0
        apart *= 0 if unshared is None else unshared.cpu().numpy()
        self.longest = int(counts.max())
        self._steps: list[tuple[Any, ...]] = []
        of_words: list[tuple[Ints, ...]] = []
        of_nodes: list[tuple[Ints, ...]] = []
        of_queries: list[tuple[Any, ...]] = []
        image = np.arange(images)  # of each state before the step
        state = image.repeat(each)  # of each caption
        before = asked = made = 0
        for t in range(self.longest):
            now = np.flatnonzero(counts > t)
            first, query = _unique_pairs(state[now], apart[now])
            active, alone = state[now][first], apart[now][first] > 0
            first, node = _unique_pairs(query, known[now, t])
            parent = query[first]
            queries = slice(asked, asked + len(active))
            nodes = slice(made, made + len(parent))
            block, slots = _block(image[active])
            rows = (
                None if _is_identity(rows, count) else rows
                for rows, count in (
                    (slots, block[0] * block[1]),
                    (active, len(image)),
                    (parent, len(active)),
                )
            )
            self._steps.append((queries, nodes, block, len(image), *rows))
            sort = node.argsort(kind="stable")
            of_words.append((np.full(len(now), t), now[sort], made + node[sort]))
            of_nodes.append((asked + parent, before + active[parent]))
            of_queries.append((image[active], alone))
            before = images + made
            asked, made = queries.stop, nodes.stop
            state[now], image = node, image[active[parent]]
        self.step, self.caption, self.node = _joined(of_words, lengths.device)
        self.query, self.parent_state = _joined(of_nodes, lengths.device)
        self.image, self.unshared = _joined(of_queries, lengths.device)
        every_node = torch.arange(made, device=lengths.device)
        self.first_word = torch.searchsorted(self.node, every_node)

    @cached_property
    def steps(self) -> list[TreeStep]:
        """The time steps, first to last."""
        device = self.lengths.device
        return [
            TreeStep(*known, *(r if r is None else torch.from_numpy(r).to(device) for r in rows))
            for known, rows in ((step[:4], step[4:]) for step in self._steps)
        ]

    def places(self, longest: int) -> Tensor:
        """Return where each word stands in the flattened (B, K, longest)."""
        return self.caption * longest + self.step

    def last_words(self, words: Tensor) -> Tensor:
        """Of words (N, T, ...) select the last of each node, (Q, ...)."""
        return words[self.caption[self.first_word], self.step[self.first_word]]


def _unique_pairs(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Return where each different pair stands first, and of each pair the number of its kind.

    What is on the `right` is not negative.
    """
    pairs = left * (right.max() + 1) + right
    _, first, number = np.unique(pairs, return_index=True, return_inverse=True)
    return first, number


def _block(image: Ints) -> tuple[tuple[int, int], Ints]:
    """Return the block that holds rows of these images, in their order, and slots in it (n,)."""
    row = np.arange(len(image)) - np.searchsorted(image, image)
    block = int(image[-1]) + 1, int(row.max()) + 1
    return block, image * block[1] + row


def _is_identity(rows: Ints, count: int) -> bool:
    return len(rows) == count and bool((np.diff(rows) == 1).all())


def _joined(parts: list[tuple[Any, ...]], device: torch.device) -> tuple[Tensor, ...]:
    """Concatenate the steps' numbers, each of them."""
    joined = map(np.concatenate, zip(*parts, strict=True))
    return tuple(torch.from_numpy(numbers).to(device) for numbers in joined)
