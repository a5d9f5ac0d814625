"""Whole captions of `spatial` and `adaptive` at once, for training on a CPU.

Their attention is driven by the new hidden state, and the LSTM does not read what it gives: so the
LSTM runs over all words first, and then all words attend together.

Shapes: `B` images with `K` captions each, `T` words a caption, `R` regions, `E` embedding, `H`
hidden; `Q` nodes of a `PrefixTree`; `b` images of a block with room for `q` nodes each.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders import Adaptive, Spatial, Unrolled
from cutline.decoders.lstm import FusedLSTM
from cutline.decoders.spatial import Memory
from cutline.fast.additive import Keys, adaptive_attention, additive_attention, prepare_keys
from cutline.fast.packed_lstm import packed_lstm
from cutline.fast.prefix_tree import PrefixTree
from cutline.fast.results import unrolled
from cutline.functional import Features, visual_sentinel

__all__ = ["adaptive", "spatial"]

IMAGES = 8  # in a block, of similar numbers of nodes, so that little of it is padding


def spatial(
    decoder: Spatial, features: Features, words: Tensor, lengths: Tensor
) -> Unrolled | None:
    """Unroll `spatial`; None where its steps are to be taken."""
    read = _read(decoder, features, words, lengths)
    if read is None:
        return None

    def attend(keys: Keys, V: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return additive_attention(h, keys, V, decoder.W_g, decoder.w_z)

    c, alpha = _by_image(read, attend, read.h)
    return unrolled(read.tree, words, c + read.h, attention=alpha)


def adaptive(
    decoder: Adaptive, features: Features, words: Tensor, lengths: Tensor
) -> Unrolled | None:
    """Unroll `adaptive`; None where its steps are to be taken."""
    read = _read(decoder, features, words, lengths)
    if read is None:
        return None
    h, tree = read.h, read.tree
    first = h.new_zeros(lengths.shape[0], h.shape[1])
    h_prev = torch.cat([first, h]).index_select(0, tree.parent_state)
    s = visual_sentinel(read.x, h_prev, read.m, decoder.W_x, decoder.W_h)
    share = decoder.sentinel_dropout if decoder.training else 0.0
    closed = torch.rand(h.shape[0]) < share

    def attend(
        keys: Keys, V: Tensor, h: Tensor, s: Tensor, closed: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights = decoder.W_g, decoder.W_s, decoder.w_z
        return adaptive_attention(h, s, keys, V, *weights, closed if share else None)

    c, alpha, beta = _by_image(read, attend, h, s, closed)
    return unrolled(tree, words, c + h, attention=alpha, sentinel=beta)


class _Read(NamedTuple):
    """The LSTM's inputs `x` (Q, E + H), hidden states `h` and cell states `m` (Q, H) of nodes."""

    tree: PrefixTree
    memory: Memory
    x: Tensor
    h: Tensor
    m: Tensor


def _read(
    decoder: Spatial | Adaptive, features: Features, words: Tensor, lengths: Tensor
) -> _Read | None:
    """Run the LSTM over all words, if it is a fused one and this is a CPU."""
    lstm = decoder.lstm
    if not isinstance(lstm, FusedLSTM) or words.device.type != "cpu":
        return None
    memory = decoder.prepare(features)
    tree = PrefixTree(lengths, words.flatten(0, 1))
    v_g = memory.v_g.index_select(0, tree.image[tree.query])
    x = torch.cat([decoder.embed(tree.last_words(words.flatten(0, 1))), v_g], 1)
    x = F.dropout(x, decoder.dropout, decoder.training)
    weights = lstm.stacked(0)
    zeros = x.new_zeros(lengths.shape[0], lstm.hidden)
    h, m = packed_lstm(x @ weights.Wx + weights.b, zeros, zeros, weights.Wh, tree)
    return _Read(tree, memory, x, h, m)


def _by_image(
    read: _Read, attend: Callable[..., tuple[Tensor, ...]], *rows: Tensor
) -> tuple[Tensor, ...]:
    """Let all nodes attend to their images.

    Args:
        read: of the captions.
        attend: from keys and regions of `b` images and rows of `b * q` nodes to results of these.
        rows: what it takes of each node, (Q, ...).
    """
    image = read.tree.image[read.tree.query]
    slots: list[Tensor] = []
    results: list[Any] = []
    for images, nodes, real in _blocks(image, read.memory.V.shape[0]):
        keys = prepare_keys(read.memory.keys.index_select(0, images))
        V = read.memory.V.index_select(0, images)
        found = attend(keys, V, *(each.index_select(0, nodes) for each in rows))
        results.append([each[real] for each in found])
        slots.append(nodes[real])
    back = torch.cat(slots).argsort()
    return tuple(torch.cat(parts).index_select(0, back) for parts in zip(*results, strict=True))


def _blocks(image: Tensor, images: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Divide nodes of `image` (Q,) into blocks: images (b,), nodes (b * q,), and which are real."""
    counts = torch.bincount(image, minlength=images)
    by_image = image.argsort(stable=True)
    first = counts.cumsum(0) - counts
    most_first = counts.argsort(descending=True, stable=True)
    for some in torch.split(most_first[: int(counts.count_nonzero())], IMAGES):
        place = torch.arange(int(counts[some[0]]))
        real = place < counts[some].unsqueeze(1)
        nodes = by_image[torch.where(real, first[some].unsqueeze(1) + place, 0)]
        yield some, nodes.flatten(), real.flatten()
