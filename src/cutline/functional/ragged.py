"""Additive attention of captions that are not as many for each image; without a gradient.

Shapes: `B` images, `M` captions in all, an image's together, `R` regions, `D` feature size, `A`
attention size.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.functional.additive import Keys, exponential_of

__all__ = ["ragged_contexts", "ragged_weights"]


def ragged_weights(query: Tensor, keys: Keys, v: Tensor, counts: list[int]) -> Tensor:
    """Weigh an image's regions for its captions: the softmax of `additive_scores`.

    Of a score `sum(v) - 2 v . r`, see `additive`, the first part is the same for all regions, and
    left out.

    Args:
        query: projected hidden states, (M, A).
        keys: of `B` images.
        v: (A,).
        counts: how many captions each image has, `B` numbers whose sum is `M`.

    Returns:
        The weights, (M, R).
    """
    known, asked = keys.exponential, exponential_of(query).unsqueeze(1)
    weight = v.to(known.dtype) * -2
    scores = known.new_empty(len(query), known.shape[1])
    room, one = known.new_empty(max(counts), *known.shape[1:]), known.new_ones(())
    parts = torch.split(asked, counts), torch.split(scores, counts)
    for image, its_asked, its_scores in zip(known.unbind(), *parts, strict=True):
        pairs = room[: len(its_scores)]
        torch.addcmul(one, image, its_asked, out=pairs).reciprocal_()
        torch.mv(pairs.flatten(0, 1), weight, out=its_scores.view(-1))
    return F.softmax(scores, dim=1).to(query.dtype)


def ragged_contexts(alpha: Tensor, grid: Tensor, counts: list[int]) -> Tensor:
    """Sum the regions (B, R, D) with the weights of each caption (M, R), `counts` as above: (M, D).

    In bfloat16 a product lays the regions out first, for one caption as for five: there all images
    are multiplied in one go, as if each had as many captions as the one with most.
    """
    alpha = alpha.to(grid.dtype)
    most = max(counts)
    if min(counts) == most:
        return (alpha.view(len(grid), most, -1) @ grid).flatten(0, 1)
    if grid.dtype == torch.bfloat16:
        there = torch.arange(most) < torch.tensor(counts).unsqueeze(1)
        rows = there.flatten().nonzero()[:, 0]
        block = alpha.new_zeros(len(grid) * most, alpha.shape[1]).index_copy_(0, rows, alpha)
        return ragged_contexts(block, grid, [most] * len(grid)).index_select(0, rows)
    contexts = alpha.new_empty(len(alpha), grid.shape[2])
    parts = torch.split(alpha, counts), torch.split(contexts, counts)
    for image, its_alpha, its_contexts in zip(grid.unbind(), *parts, strict=True):
        torch.mm(its_alpha, image, out=its_contexts)
    return contexts
