"""Additive attention without a `tanh` for each pair of a caption and a region.

The twin of `functional.additive_scores`, `e_nr = v . tanh(key_r + query_n)`. With
`tanh(k + q) = 1 - 2 / (1 + exp(2k) exp(2q))` the exponentials are of the regions and of the
captions, not of their pairs: those of the regions are computed once for all steps, and a pair costs
a product, a sum and a reciprocal, an eighth of what `tanh` takes. Pairs are never stored: they are
computed in chunks that stay in the processor's cache (in its registers where loops are `compiled`),
and again in the backward pass.

Shapes: `B` images, `N = B * K` captions, `R` regions, `A` attention size.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cutline.compiled import compiled_instead_of

__all__ = [
    "Keys",
    "adaptive_attention",
    "additive_attention",
    "additive_scores",
    "exponential_of",
    "pair_sums",
    "pair_sums_backward",
    "prepare_keys",
]

CHUNK = 1 << 18  # pairs at a time: a megabyte
LARGE = 1 << 27  # on a GPU


class Keys(NamedTuple):
    """Projected regions (B, R, A), and `exp(2 key)` beside them, which has no gradient."""

    projected: Tensor
    exponential: Tensor


def prepare_keys(projected: Tensor) -> Keys:
    """Compute the exponentials of projected regions (B, R, A), once for all steps."""
    return Keys(projected, exponential_of(projected))


@torch.no_grad()
def exponential_of(x: Tensor) -> Tensor:
    """`exp(2x)`, in single precision at least, clamped so that no product of two is undefined.

    In single precision `x` is clamped to 40 on both sides. A sum `k + q` of such a `k` with a `q`
    of the other sign is then not exact.
    """
    x = x if x.dtype == torch.float64 else x.float()
    limit = 300.0 if x.dtype == torch.float64 else 40.0
    return (2 * x.clamp(-limit, limit)).exp()


def additive_scores(query: Tensor, keys: Keys, v: Tensor) -> Tensor:
    """Score each region for each caption, as `functional.additive_scores`.

    Args:
        query: projected hidden states, (N, A).
        keys: of the regions of `B` images.
        v: (A,).

    Returns:
        The scores, (B, K, R).
    """
    images, _, size = keys.projected.shape
    query = query.view(images, -1, size)
    if torch.is_grad_enabled():
        scores: Tensor = _Scores.apply(query, *keys, v)
        return scores
    return _scores(query, keys.exponential, v)


def additive_attention(
    h: Tensor, keys: Keys, values: Tensor, Wh: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    """See `functional.additive_attention`."""
    weights = F.softmax(additive_scores(h @ Wh, keys, v), dim=-1)
    return (weights @ values).flatten(0, 1), weights.flatten(0, 1)


def adaptive_attention(
    h: Tensor,
    s: Tensor,
    keys: Keys,
    values: Tensor,
    Wg: Tensor,
    Ws: Tensor,
    w: Tensor,
    closed: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `functional.adaptive_attention`."""
    query = h @ Wg
    scores = additive_scores(query, keys, w).flatten(0, 1)
    sentinel_score = (s @ Ws + query).tanh() @ w
    if closed is not None:
        sentinel_score = sentinel_score.masked_fill(closed, float("-inf"))
    shares = F.softmax(torch.cat([scores, sentinel_score.unsqueeze(1)], 1), dim=1)
    weights, beta = shares[:, :-1], shares[:, -1]
    context = weights.view(values.shape[0], -1, values.shape[1]) @ values
    return beta.unsqueeze(1) * s + context.flatten(0, 1), weights, beta


def _scores(query: Tensor, exp_keys: Tensor, v: Tensor) -> Tensor:
    weight = v.to(exp_keys.dtype)
    exp_query = exponential_of(query)
    sums = pair_sums(exp_keys, exp_query, weight)
    return sums.mul_(-2).add_(weight.sum()).to(query.dtype)


class _Scores(torch.autograd.Function):
    """With `r = 1 / (1 + exp(2k) exp(2q))`: the `tanh` is `1 - 2r`, its slope `4 (r - r^2)`."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, projected: Tensor, exp_keys: Tensor, v: Tensor) -> Any:
        ctx.save_for_backward(query, exp_keys, v)
        ctx.keys_dtype = projected.dtype
        return _scores(query, exp_keys, v)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, Tensor]:
        query, exp_keys, v = ctx.saved_tensors
        grad = grad.to(exp_keys.dtype)
        grad_keys = torch.zeros_like(exp_keys)
        sums, grad_query = pair_sums_backward(exp_keys, exponential_of(query), grad, grad_keys)
        grad_v = grad.sum() - 2 * sums.sum((0, 1))
        weight = 4 * v.to(exp_keys.dtype)
        return (
            grad_query.mul_(weight).to(query.dtype),
            grad_keys.mul_(weight).to(ctx.keys_dtype),
            None,
            grad_v.to(v.dtype),
        )


def _chunked_pair_sums(exp_keys: Tensor, exp_query: Tensor, weight: Tensor) -> Tensor:
    sums = exp_keys.new_empty(*exp_query.shape[:2], exp_keys.shape[1])
    for images, buffer in _chunks(sums, len(weight)):
        pairs = _reciprocals(exp_keys[images], exp_query[images], buffer)
        torch.mv(pairs.flatten(0, 2), weight, out=sums[images].view(-1))
    return sums


@compiled_instead_of(_chunked_pair_sums)
def pair_sums(exp_keys: Tensor, exp_query: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of `r` over `A`: (B, K, R)."""
    r = 1 / (1 + exp_keys.unsqueeze(1) * exp_query.unsqueeze(2))
    return (r * weight).sum(-1)


def _chunked_pair_sums_backward(
    exp_keys: Tensor, exp_query: Tensor, grad: Tensor, grad_keys: Tensor
) -> tuple[Tensor, Tensor]:
    sums = exp_query.new_zeros(exp_query.shape[-1])  # over all captions at once
    grad_query = torch.empty_like(exp_query)
    for images, buffer in _chunks(grad, len(sums)):
        r = _reciprocals(exp_keys[images], exp_query[images], buffer)
        part = grad[images]
        sums.add_(torch.mv(r.flatten(0, 2).t(), part.flatten()))
        slopes = r.addcmul_(r, r, value=-1).mul_(part.unsqueeze(-1))
        torch.sum(slopes, 2, out=grad_query[images])
        grad_keys[images] += slopes.sum(1)
    return sums.view(1, 1, -1), grad_query


@compiled_instead_of(_chunked_pair_sums_backward)
def pair_sums_backward(
    exp_keys: Tensor, exp_query: Tensor, grad: Tensor, grad_keys: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum `r`, and `r - r^2`, over regions, weighted by `grad` (B, K, R): (B, K, A) each.

    The latter, summed over captions, is added to `grad_keys` (B, R, A).
    """
    r = 1 / (1 + exp_keys.unsqueeze(1) * exp_query.unsqueeze(2))
    weighted = r * grad.unsqueeze(-1)
    slopes = weighted - weighted * r
    grad_keys += slopes.sum(1)
    return weighted.sum(2), slopes.sum(2)


def _reciprocals(exp_keys: Tensor, exp_query: Tensor, buffer: Tensor) -> Tensor:
    """From (b, R, A) and (b, K, A) to (b, K, R, A), in `buffer`."""
    one = buffer.new_ones(())
    torch.addcmul(one, exp_keys.unsqueeze(1), exp_query.unsqueeze(2), out=buffer)
    return buffer.reciprocal_()


def _chunks(scores: Tensor, size: int) -> Iterator[tuple[slice, Tensor]]:
    """Divide the images of scores (B, K, R); for each chunk the same buffer for its pairs."""
    images, captions, regions = scores.shape
    chunk = CHUNK if scores.device.type == "cpu" else LARGE
    step = max(1, chunk // max(1, captions * regions * size))
    buffer = scores.new_empty(min(step, images), captions, regions, size)
    for first in range(0, images, step):
        yield slice(first, first + step), buffer[: images - first]
