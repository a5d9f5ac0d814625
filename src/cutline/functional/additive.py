"""The scores of additive attention, `e_nr = v . tanh(key_r + query_n)`, without a single `tanh`.

With `tanh(k + q) = 1 - 2 / (1 + exp(2k) exp(2q))` the exponentials are of the regions and of the
captions, not of their pairs: those of the regions are computed once for all steps, and a pair costs
a product, a sum and a reciprocal, an eighth of what `tanh` takes. Pairs are never kept: they are
made in pieces that stay in the processor's cache (in its registers where loops are `compiled`), and
once more on the way back.

Shapes: `B` images, `N = B * K` captions, `R` regions, `A` attention size.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cutline.compiled import compiled_instead_of

__all__ = [
    "Keys",
    "additive_scores",
    "exponential_of",
    "pair_sums",
    "pair_sums_back",
    "prepare_keys",
]

PIECE = 1 << 18  # pairs at a time: a megabyte


class Keys(NamedTuple):
    """Projected regions (B, R, A), and `exp(2 key)` beside them, which has no gradient."""

    projected: Tensor
    exponential: Tensor


def prepare_keys(projected: Tensor) -> Keys:
    """Do once for all steps what additive attention needs of its projected regions (B, R, A)."""
    return Keys(projected, exponential_of(projected))


@torch.no_grad()
def exponential_of(x: Tensor) -> Tensor:
    """`exp(2x)`, in single precision at least, kept so that no product of two is undefined."""
    x = x if x.dtype == torch.float64 else x.float()
    limit = 300.0 if x.dtype == torch.float64 else 40.0  # tanh is 1 long before
    return (2 * x.clamp(-limit, limit)).exp()


def additive_scores(query: Tensor, keys: Keys | Tensor, v: Tensor) -> Tensor:
    """Score each region for each caption: `e_nr = v . tanh(key_r + query_n)`.

    Args:
        query: projected hidden states, (N, A).
        keys: projected regions, (B, R, A), `N` a multiple of `B`, or `prepare_keys` of them.
        v: (A,).

    Returns:
        The scores, (B, K, R).
    """
    keys = keys if isinstance(keys, Keys) else prepare_keys(keys)
    images, _, size = keys.projected.shape
    query = query.view(images, -1, size)
    if torch.is_grad_enabled():
        scores: Tensor = _Scores.apply(query, *keys, v)
        return scores
    return _scores(query, keys.exponential, v)


def _scores(query: Tensor, exponential: Tensor, v: Tensor) -> Tensor:
    weight = v.to(exponential.dtype)
    asked = exponential_of(query)
    if torch.compiler.is_exporting():
        # a graph has no pieces; ONNX Runtime is slow at a matrix and a constant vector, or one that
        # is scaled, and quick the other way round
        pairs = 1 / (1 + exponential.unsqueeze(1) * asked.unsqueeze(2))
        sums = ((weight * -2).unsqueeze(0) @ pairs.mT).squeeze(-2)
        return (sums + weight.sum()).to(query.dtype)
    sums = pair_sums(exponential, asked, weight)
    return sums.mul_(-2).add_(weight.sum()).to(query.dtype)


class _Scores(torch.autograd.Function):
    """With `r = 1 / (1 + exp(2k) exp(2q))`: the `tanh` is `1 - 2r`, its slope `4 (r - r^2)`."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, projected: Tensor, exponential: Tensor, v: Tensor) -> Any:
        ctx.save_for_backward(query, exponential, v)
        ctx.projected = projected.dtype
        return _scores(query, exponential, v)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, Tensor]:
        query, exponential, v = ctx.saved_tensors
        grad = grad.to(exponential.dtype)
        asked = exponential_of(query)
        d_keys = torch.zeros_like(exponential)
        felt, d_query = pair_sums_back(exponential, asked, grad, d_keys)
        d_v = grad.sum() - 2 * felt.sum((0, 1))
        weight = 4 * v.to(exponential.dtype)
        return (
            d_query.mul_(weight).to(query.dtype),
            d_keys.mul_(weight).to(ctx.projected),
            None,
            d_v.to(v.dtype),
        )


def _sums_in_pieces(exponential: Tensor, asked: Tensor, weight: Tensor) -> Tensor:
    sums = exponential.new_empty(*asked.shape[:2], exponential.shape[1])
    for some, room in _pieces(sums, len(weight)):
        pairs = _reciprocals(exponential[some], asked[some], room)
        torch.mv(pairs.flatten(0, 2), weight, out=sums[some].view(-1))
    return sums


@compiled_instead_of(_sums_in_pieces)
def pair_sums(exponential: Tensor, asked: Tensor, weight: Tensor) -> Tensor:
    """Sum `r` over `A`, weighed: (B, K, R)."""
    r = 1 / (1 + exponential.unsqueeze(1) * asked.unsqueeze(2))
    return (r * weight).sum(-1)


def _sums_back_in_pieces(
    exponential: Tensor, asked: Tensor, grad: Tensor, over_captions: Tensor
) -> tuple[Tensor, Tensor]:
    felt = asked.new_zeros(asked.shape[-1])  # over all captions at once
    over_regions = torch.empty_like(asked)
    for some, room in _pieces(grad, len(felt)):
        r = _reciprocals(exponential[some], asked[some], room)
        each = grad[some]
        felt.add_(torch.mv(r.flatten(0, 2).t(), each.flatten()))
        slopes = r.addcmul_(r, r, value=-1).mul_(each.unsqueeze(-1))
        torch.sum(slopes, 2, out=over_regions[some])
        over_captions[some] += slopes.sum(1)
    return felt.view(1, 1, -1), over_regions


@compiled_instead_of(_sums_back_in_pieces)
def pair_sums_back(
    exponential: Tensor, asked: Tensor, grad: Tensor, over_captions: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum what comes back: `r` over regions, `r - r^2` likewise, (B, K, A) each.

    The latter is also added to what is there `over_captions` (B, R, A).
    """
    r = 1 / (1 + exponential.unsqueeze(1) * asked.unsqueeze(2))
    felt = r * grad.unsqueeze(-1)
    slopes = felt - felt * r
    over_captions += slopes.sum(1)
    return felt.sum(2), slopes.sum(2)


def _reciprocals(exponential: Tensor, asked: Tensor, room: Tensor) -> Tensor:
    """From (b, R, A) and (b, K, A) to (b, K, R, A), in `room`."""
    one = room.new_ones(())
    torch.addcmul(one, exponential.unsqueeze(1), asked.unsqueeze(2), out=room)
    return room.reciprocal_()


def _pieces(scores: Tensor, size: int) -> Iterator[tuple[slice, Tensor]]:
    """Divide the images of scores (B, K, R); for each piece the same room for its pairs."""
    images, captions, regions = scores.shape
    step = max(1, PIECE // max(1, captions * regions * size))
    room = scores.new_empty(min(step, images), captions, regions, size)
    for first in range(0, images, step):
        yield slice(first, first + step), room[: images - first]
