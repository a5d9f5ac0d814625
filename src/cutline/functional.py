"""The equations of the captioners as pure functions of tensors.

What `torch.nn.functional` is to layers, this is to captioners: no parameters are kept, any float
dtype goes, and the decoders call these very functions.

Shapes: `B` images, `N` captions (`N = B * K` where several captions share an image), `T` time
steps, `E` word embedding, `H` hidden state, `R` image regions, `D` feature size, `A` attention
size. Caption `n` belongs to image `n // K`.
"""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

__all__ = ["Features", "additive_attention", "doubly_stochastic_penalty", "lstm_step"]


class Features(NamedTuple):
    """What an encoder sees: `grid` (B, R, D) in rows of `width`, and `pooled` (B, D).

    `R = height * width`; region `r` lies in row `r // width`, column `r % width`.
    """

    grid: Tensor
    pooled: Tensor
    height: int
    width: int


def lstm_step(
    x: Tensor, h: Tensor, c: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM, gates stacked in the order `i, f, o, g`.

    `a = x Wx + h Wh + b`; `i, f, o = sigmoid(a_i, a_f, a_o)`; `g = tanh(a_g)`;
    `c' = f*c + i*g`; `h' = o*tanh(c')`.

    Args:
        x: input, (N, E).
        h: hidden state, (N, H).
        c: cell state, (N, H).
        Wx: (E, 4H).
        Wh: (H, 4H).
        b: (4H,).

    Returns:
        `(h', c')`, each (N, H).

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """
    return lstm_gates(x @ Wx + (h @ Wh + b), c)


def lstm_gates(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Finish an LSTM step from its pre-activation `a` (N, 4H), gates in the order `i, f, o, g`."""
    hidden = c.shape[1]
    i, f, o = a[:, : 3 * hidden].sigmoid().chunk(3, dim=1)
    g = a[:, 3 * hidden :].tanh()
    c = f * c + i * g
    return o * c.tanh(), c


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

    Source: Bahdanau et al. 2015; Xu et al. 2015 (arXiv 1502.03044), equations 4 to 6.
    """
    images, regions, size = keys.shape
    captions = h.shape[0] // images
    query = (h @ Wh).view(images, captions, 1, size)
    scores = (keys.unsqueeze(1) + query).tanh() @ v
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(1), float("-inf"))
    weights = F.softmax(scores, dim=-1)
    context = weights @ values
    return context.flatten(0, 1), weights.view(-1, regions)


def doubly_stochastic_penalty(weights: Tensor, lengths: Tensor) -> Tensor:
    """Ask every region to be looked at once: mean over captions of `sum_i (1 - sum_t alpha_ti)^2`.

    Args:
        weights: attention, (N, T, R).
        lengths: number of steps that count for each caption, (N,); later steps are left out.

    Returns:
        A scalar.

    Source: Xu et al. 2015 (arXiv 1502.03044), section 4.2.1, equation 14.
    """
    steps = weights.new_ones(weights.shape[1]).cumsum(0) - 1
    counted = (steps < lengths.unsqueeze(1)).to(weights.dtype)
    looked = (weights * counted.unsqueeze(-1)).sum(1)
    return (1 - looked).square().sum(1).mean()
