"""Attention over image regions: dot-product, additive, hard, adaptive with a visual sentinel.

Several captions may share an image: with `B` images and `N = B * K` captions, caption `n` belongs
to image `n // K`, and scores and contexts are products batched over images, so that nothing of an
image is copied `K` times.

Shapes: `B` images, `N` captions, `R` regions (a grid of `h x w`), `D` feature size, `E` input of
the LSTM, `H` hidden state, `A` attention size.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "adaptive_attention",
    "additive_attention",
    "additive_scores",
    "dot_product_attention",
    "multinoulli",
    "take_regions",
    "visual_sentinel",
]


def dot_product_attention(h: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    """Attend to a grid by scaled dot products: `M = softmax(h . A / sqrt(H))`, `context = A M`.

    Args:
        h: hidden states, (N, H).
        A: the projected grid, (B, H, h, w), `N` a multiple of `B`.

    Returns:
        `(context (N, H), weights (N, h, w))`; the weights are not negative and sum to one.

    Source: Luong et al. 2015 (arXiv 1508.04025), section 3.1, "dot"; scaled as in Vaswani et al.
    2017 (arXiv 1706.03762), equation 1.
    """
    images, hidden, height, width = A.shape
    regions = A.flatten(2)
    scores = h.reshape(images, -1, hidden) @ regions / hidden**0.5
    weights = F.softmax(scores, dim=-1)
    context = weights @ regions.transpose(1, 2)
    return context.flatten(0, 1), weights.view(-1, height, width)


def additive_scores(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """Score each region for each caption with a small MLP: `e_nr = v . tanh(key_r + query_n)`.

    Args:
        query: projected hidden states, (N, A).
        keys: projected regions, (B, R, A), `N = B * K`.
        v: (A,).

    Returns:
        The scores, (B, K, R).

    Source: Bahdanau et al. 2015 (arXiv 1409.0473), section A.1.2.
    """
    query = query.view(keys.shape[0], -1, 1, keys.shape[2])
    return v @ (keys.unsqueeze(1) + query).tanh().mT


def additive_attention(
    h: Tensor,
    keys: Tensor,
    values: Tensor,
    Wh: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Attend to regions with a small MLP: `e_i = v . tanh(key_i + h Wh)`, `alpha = softmax(e)`.

    `keys` are the projected regions `W_a a_i`: they do not change from step to step, so they are
    computed once. With fewer images than captions (`N = B * K`) each image's keys and values are
    shared by its `K` captions without being copied.

    Args:
        h: hidden states, (N, H).
        keys: projected regions, (B, R, A), `N` a multiple of `B`.
        values: what the context is made of, (B, R, D).
        Wh: (H, A).
        v: (A,).
        mask: true where a region may be looked at, (B, R); everywhere by default.

    Returns:
        `(context (N, D), weights (N, R))`; the weights are not negative and sum to one.

    Source: Bahdanau et al. 2015; Xu et al. 2015 (arXiv 1502.03044), equations 4 to 6; with the new
    state in the place of the old one, Lu et al. 2017 (arXiv 1612.01887), equations 6 to 8.
    """
    scores = additive_scores(h @ Wh, keys, v)
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(1), float("-inf"))
    weights = F.softmax(scores, dim=-1)
    context = weights @ values
    return context.flatten(0, 1), weights.flatten(0, 1)


def take_regions(values: Tensor, region: Tensor) -> Tensor:
    """Gather one region for each caption: `z_n = a_{s_n}`.

    Args:
        values: what the regions are made of, (B, R, D).
        region: where each caption looks, (N,), `N` a multiple of `B`.

    Returns:
        `z`, (N, D).

    Source: Xu et al. 2015 (arXiv 1502.03044), equation 9.
    """
    captions = region.shape[0] // values.shape[0]
    image = torch.arange(region.shape[0], device=region.device) // captions
    return values[image, region]


def multinoulli(weights: Tensor, region: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of a Multinoulli distribution over regions.

    `log p(s = i) = log alpha_i` and `H[s] = -sum_i alpha_i log alpha_i`, both with a gradient.

    Args:
        weights: the distribution `alpha` of each caption, (N, R).
        region: where each caption looked, (N,).

    Returns:
        `(log_prob (N,), entropy (N,))`, in nats.

    Source: Xu et al. 2015 (arXiv 1502.03044), equation 8 and section 4.1.
    """
    # a weight that has underflowed to zero adds nothing, and its gradient must stay finite
    log_weights = weights.clamp_min(torch.finfo(weights.dtype).tiny).log()
    log_prob = log_weights.gather(1, region.unsqueeze(1))[:, 0]
    return log_prob, -(weights * log_weights).sum(1)


def visual_sentinel(x: Tensor, h: Tensor, m: Tensor, Wx: Tensor, Wh: Tensor) -> Tensor:
    """Visual sentinel: `g = sigmoid(x Wx + h Wh)`, `s = g * tanh(m)`.

    Args:
        x: input of this step, (N, E).
        h: hidden state before this step, (N, H).
        m: cell state after this step, (N, H).
        Wx: (E, H).
        Wh: (H, H).

    Returns:
        The sentinel `s`, (N, H).

    Source: Lu et al. 2017 (arXiv 1612.01887), equations 9 and 10.
    """
    return (x @ Wx + h @ Wh).sigmoid() * m.tanh()


def adaptive_attention(
    h: Tensor,
    s: Tensor,
    keys: Tensor,
    values: Tensor,
    Wg: Tensor,
    Ws: Tensor,
    w: Tensor,
    closed: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Adaptive attention: over the regions and the visual sentinel together.

    `z_i = w . tanh(key_i + h Wg)`, and for the sentinel `z_{R+1} = w . tanh(s Ws + h Wg)`;
    `alpha^ = softmax(z)`, whose last entry is `beta`; `c^ = beta s + sum_i alpha^_i v_i`. As
    `alpha^_i = (1 - beta) alpha_i`, that is the paper's `beta s + (1 - beta) c`.

    Args:
        h: hidden states after this step, (N, H).
        s: sentinels, (N, H).
        keys: projected regions `W_v v_i`, (B, R, A), `N` a multiple of `B`.
        values: the regions `v_i`, (B, R, H).
        Wg: (H, A).
        Ws: (H, A).
        w: (A,).
        closed: true where only regions may be looked at, (N,); nowhere by default.

    Returns:
        `(context c^ (N, H), weights (N, R), beta (N,))`; the weights sum to `1 - beta`.

    Source: Lu et al. 2017 (arXiv 1612.01887), equations 6 to 8, 11 and 12.
    """
    query = h @ Wg
    looked = additive_scores(query, keys, w).flatten(0, 1)
    away = (s @ Ws + query).tanh() @ w
    if closed is not None:
        away = away.masked_fill(closed, float("-inf"))
    shares = F.softmax(torch.cat([looked, away.unsqueeze(1)], 1), dim=1)
    weights, beta = shares[:, :-1], shares[:, -1]
    seen = weights.view(values.shape[0], -1, values.shape[1]) @ values
    return beta.unsqueeze(1) * s + seen.flatten(0, 1), weights, beta
