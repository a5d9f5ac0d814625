"""Whole captions of `soft` and `hard` at once, for training on a CPU.

Shapes: `B` images with `K` captions each, `N = B * K`, `T` words a caption, `R` regions; `Q` nodes
and `n` queries of a step of a `PrefixTree`.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders import Hard, Soft, Unrolled
from cutline.decoders.contract import take_rows
from cutline.decoders.hard import locate
from cutline.fast.additive import prepare_keys
from cutline.fast.attention_lstm import Weights, attention_lstm
from cutline.fast.context import Sample
from cutline.fast.prefix_tree import PrefixTree, TreeStep
from cutline.fast.products import cast_once, mixed_dtype
from cutline.fast.results import unrolled
from cutline.functional import Features

__all__ = ["hard", "soft"]


def soft(decoder: Soft, features: Features, words: Tensor, lengths: Tensor) -> Unrolled | None:
    """Unroll `soft`; None where its steps are to be taken."""
    if not _applies(decoder, words):
        return None
    gate = decoder.f_beta.weight, decoder.f_beta.bias
    weights = Weights(decoder.Wx, decoder.Wh, decoder.b, decoder.W_h, decoder.v, *gate)
    tree = PrefixTree(lengths, words.flatten(0, 1))
    output, alpha = _run(decoder, features, words, tree, weights)
    return unrolled(tree, words, output, attention=alpha)


def hard(decoder: Hard, features: Features, words: Tensor, lengths: Tensor) -> Unrolled | None:
    """Unroll `hard` in training; a caption whose regions are sampled shares no query."""
    if not (decoder.training and _applies(decoder, words)):
        return None
    weights = Weights(decoder.Wx, decoder.Wh, decoder.b, decoder.W_h, decoder.v)
    expected = decoder.choose_expected(lengths.numel(), words.device)
    tree = PrefixTree(lengths, words.flatten(0, 1), unshared=~expected)
    regions: list[Tensor] = []

    def sample(step: TreeStep, alpha: Tensor) -> Tensor:
        regions.append(decoder.sample(alpha).masked_fill(~tree.unshared[step.queries], -1))
        return regions[-1]

    output, alpha = _run(decoder, features, words, tree, weights, sample)
    location = take_rows(locate(alpha, torch.cat(regions)[tree.query]), tree.node)
    return unrolled(tree, words, output, attention=alpha, location=location)


def _applies(decoder: Soft | Hard, words: Tensor) -> bool:
    """Return whether this is a CPU, in single precision or in a mixed one that it is fast at."""
    device = words.device.type
    by_autocast = torch.is_autocast_enabled(device) and not mixed_dtype(device)
    return decoder.scratch is None and device == "cpu" and not by_autocast


def _run(
    decoder: Soft | Hard,
    features: Features,
    words: Tensor,
    tree: PrefixTree,
    weights: Weights,
    sample: Sample | None = None,
) -> tuple[Tensor, Tensor]:
    """Return outputs (Q, O) and attention (Q, R) of all nodes."""
    memory = decoder.prepare(cast_once(features))
    state = decoder.first_state(memory)
    y = decoder.embed(tree.last_words(words.flatten(0, 1)))
    y = F.dropout(y, decoder.dropout, decoder.training)
    h, z, alpha = attention_lstm(
        y, state.h, state.c, memory.grid, prepare_keys(memory.keys), weights, tree, sample
    )
    h = F.dropout(h, decoder.dropout, decoder.training)
    return y + decoder.L_h(h) + decoder.L_z(z)[tree.query], alpha[tree.query]
