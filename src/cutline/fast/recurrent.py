"""Whole captions of `nic` and `rnn` at once, for training.

Shapes: `B` images with `K` captions each, `N = B * K`, `T` words a caption, `Q` nodes of a
`PrefixTree`, `E` embedding, `H` hidden.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from cutline.decoders import Nic, Rnn, Unrolled
from cutline.decoders.contract import repeat_rows, take_rows
from cutline.decoders.lstm import FusedLSTM
from cutline.fast.packed_lstm import packed_lstm
from cutline.fast.prefix_tree import PrefixTree
from cutline.fast.results import unrolled
from cutline.functional import Features, lstm_gates, rnn, rnn_backward

__all__ = ["nic", "read_packed", "read_tree", "rnn_by_hand", "rnn_with_manual_backward"]

CHUNKS = 5  # fewer compute more padding, more make smaller products: 4 to 8 are alike on Flickr8k


def nic(decoder: Nic, features: Features, words: Tensor, lengths: Tensor) -> Unrolled | None:
    """Unroll `nic` with a fused LSTM over a prefix tree; on a GPU over a packed sequence."""
    lstm = decoder.lstm
    if not isinstance(lstm, FusedLSTM):
        return None
    memory = decoder.prepare(features)
    tree = PrefixTree(lengths, words.flatten(0, 1))
    y = decoder.embed(tree.last_words(words.flatten(0, 1)))
    x = decoder.drop(torch.cat([memory.image, y]))
    read = read_tree if words.device.type == "cpu" else read_packed
    return unrolled(tree, words, read(lstm, x, tree))


def read_tree(lstm: FusedLSTM, x: Tensor, tree: PrefixTree) -> Tensor:
    """Read what each image begins with and what each node ends with, (B + Q, E): `h` (Q, H)."""
    images = tree.lengths.shape[0]
    for layer in range(lstm.layers):
        weights = lstm.stacked(layer)
        below = F.dropout(x, lstm.dropout, lstm.training) if layer else x
        a = below @ weights.Wx + weights.b
        h0, c0 = lstm_gates(a[:images], a.new_zeros(images, lstm.hidden))
        h, _ = packed_lstm(a[images:], h0, c0, weights.Wh, tree)
        x = torch.cat([h0, h]) if layer + 1 < lstm.layers else h
    return x


def read_packed(lstm: FusedLSTM, x: Tensor, tree: PrefixTree) -> Tensor:
    """As `read_tree`, each caption by itself in a packed sequence, which cuDNN computes."""
    first, x = x[: tree.lengths.shape[0]], x[tree.lengths.shape[0] :]
    _, state = lstm.step(first, lstm.start(first.shape[0]))
    lengths = tree.lengths.flatten()
    real = int(lengths.count_nonzero())  # an empty caption cannot be packed
    longest_first = lengths.argsort(descending=True, stable=True)[:real]
    rank = torch.empty_like(lengths)
    rank[longest_first] = torch.arange(real, device=rank.device)
    packed = (tree.step * lengths.shape[0] + rank[tree.caption]).argsort()
    sizes = torch.bincount(tree.step).cpu()
    start = take_rows(state, longest_first // tree.lengths.shape[1])
    h, _ = lstm(PackedSequence(x[tree.node[packed]], sizes), start)
    by_node: Tensor = h.data[packed.argsort()[tree.first_word]]
    return by_node


def rnn_with_manual_backward(
    decoder: Rnn, features: Features, words: Tensor, lengths: Tensor
) -> Unrolled | None:
    """Unroll `rnn` with `backward="manual"`, in chunks of similar length; None without.

    Not faster than its steps (0.95 to 1.05 of their time): it is there for `rnn_backward`.
    """
    if not decoder.by_hand:
        return None
    state = repeat_rows(decoder.start(decoder.prepare(features)), lengths.shape[1])
    tree = PrefixTree(lengths, words.flatten(0, 1))
    flat, counts = words.flatten(0, 1)[:, : tree.longest], lengths.flatten()
    longest_first = counts.argsort(descending=True)
    outputs = []
    for rows in longest_first.chunk(CHUNKS):
        longest = max(1, int(counts[rows[0]]))
        x = decoder.drop(decoder.embed(flat[rows, :longest]))
        h = rnn_by_hand(x, state.h[rows], decoder.Wx, decoder.Wh, decoder.b)
        outputs.append(F.pad(h, (0, 0, 0, flat.shape[1] - longest)))
    by_caption = torch.cat(outputs)[longest_first.argsort()]
    return unrolled(tree, words, tree.last_words(by_caption))


def rnn_by_hand(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    """`functional.rnn`, whose gradient `functional.rnn_backward` computes."""
    # mixed precision would make the forward's types differ from those the gradient needs
    with torch.autocast(x.device.type, enabled=False):
        h: Tensor = _RnnByHand.apply(x, h0.to(x.dtype), Wx, Wh, b)
    return h


class _RnnByHand(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
        h = rnn(x, h0, Wx, Wh, b)
        ctx.save_for_backward(x, h0, h, Wx, Wh)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor, ...]:
        return tuple(rnn_backward(dh, *ctx.saved_tensors))
