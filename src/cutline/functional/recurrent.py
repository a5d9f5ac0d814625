"""RNN and LSTM: one step, a whole sequence, and back through time by hand.

Shapes: `B` images, `N` captions, `T` time steps, `E` word embedding, `H` hidden state; a grid of
`h x w` positions. An LSTM's weights are stacked by gate, in the order `i, f, o, g`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from cutline.functional.attention import dot_product_attention

__all__ = [
    "RnnGradients",
    "attention_lstm",
    "attention_lstm_step",
    "lstm",
    "lstm_gates",
    "lstm_step",
    "rnn",
    "rnn_backward",
    "rnn_step",
]


# --- the vanilla RNN


def rnn_step(x: Tensor, h: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    """One step of a vanilla RNN: `h' = tanh(x Wx + h Wh + b)`.

    Args:
        x: input, (N, E).
        h: hidden state, (N, H).
        Wx: (E, H).
        Wh: (H, H).
        b: (H,).

    Returns:
        `h'`, (N, H).

    Source: Elman 1990; as a captioner, Karpathy & Li 2015 (arXiv 1412.2306), equations 13 to 15.
    """
    return (x @ Wx + (h @ Wh + b)).tanh()


def rnn(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    """Run `rnn_step` over a sequence; the inputs are mapped for all steps at once.

    Args:
        x: inputs, (N, T, E).
        h0: hidden state before the first, (N, H).
        Wx: (E, H).
        Wh: (H, H).
        b: (H,).

    Returns:
        The hidden states after each step, (N, T, H).
    """
    h, states = h0, []
    for a_t in (x @ Wx + b).unbind(1):
        h = (a_t + h @ Wh).tanh()
        states.append(h)
    return torch.stack(states, 1)


class RnnGradients(NamedTuple):
    """Gradients of a loss by what `rnn` was given; each has the shape of its own."""

    dx: Tensor
    dh0: Tensor
    dWx: Tensor  # noqa: N815
    dWh: Tensor  # noqa: N815
    db: Tensor


def rnn_backward(
    dh: Tensor, x: Tensor, h0: Tensor, h: Tensor, Wx: Tensor, Wh: Tensor
) -> RnnGradients:
    """Back-propagate through time, by hand.

    With `a_t = x_t Wx + h_{t-1} Wh + b` and `h_t = tanh(a_t)`, the loss feels `h_t` in two ways:
    directly, and through the next step. From the last step to the first,

        da_t    = (dh_t + da_{t+1} Wh^T) * (1 - h_t^2)      nothing follows the last step
        dx_t    = da_t Wx^T                dh_0 = da_1 Wh^T
        dWx     = sum_t x_t^T da_t         dWh  = sum_t h_{t-1}^T da_t         db = sum_t da_t

    Args:
        dh: gradient of the loss by each hidden state as the loss itself sees it, (N, T, H).
        x: inputs, (N, T, E).
        h0: hidden state before the first step, (N, H).
        h: what `rnn` returned, (N, T, H).
        Wx: (E, H).
        Wh: (H, H).

    Returns:
        The gradients `dx` (N, T, E), `dh0` (N, H), `dWx` (E, H), `dWh` (H, H), `db` (H,).

    Source: Werbos 1990, "Backpropagation through time: what it does and how to do it".
    """
    through_time = torch.zeros_like(h0)
    da = torch.empty_like(h)
    for t in reversed(range(h.shape[1])):
        da[:, t] = (dh[:, t] + through_time) * (1 - h[:, t].square())
        through_time = da[:, t] @ Wh.T
    before = torch.cat([h0.unsqueeze(1), h[:, :-1]], 1)
    return RnnGradients(
        dx=da @ Wx.T,
        dh0=through_time,
        dWx=x.flatten(0, 1).T @ da.flatten(0, 1),
        dWh=before.flatten(0, 1).T @ da.flatten(0, 1),
        db=da.sum((0, 1)),
    )


# --- the LSTM


def lstm_gates(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Finish an LSTM step from its pre-activation.

    `i, f, o = sigmoid(a_i, a_f, a_o)`; `g = tanh(a_g)`; `c' = f*c + i*g`; `h' = o*tanh(c')`.

    Args:
        a: pre-activation, gates in the order `i, f, o, g`, (N, 4H).
        c: cell state, (N, H).

    Returns:
        `(h', c')`, each (N, H).
    """
    hidden = c.shape[1]
    i, f, o = a[:, : 3 * hidden].sigmoid().chunk(3, dim=1)
    g = a[:, 3 * hidden :].tanh()
    c = f * c + i * g
    return o * c.tanh(), c


def lstm_step(
    x: Tensor, h: Tensor, c: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: `a = x Wx + h Wh + b`, then `lstm_gates`.

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


def lstm(
    x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor, c0: Tensor | None = None
) -> Tensor:
    """Run `lstm_step` over a sequence.

    Args:
        x: inputs, (N, T, E).
        h0: hidden state before the first, (N, H).
        Wx: (E, 4H).
        Wh: (H, 4H).
        b: (4H,).
        c0: cell state before the first, (N, H); zeros if not given.

    Returns:
        The hidden states after each step, (N, T, H).
    """
    h, c, states = h0, torch.zeros_like(h0) if c0 is None else c0, []
    for x_t in x.unbind(1):
        h, c = lstm_step(x_t, h, c, Wx, Wh, b)
        states.append(h)
    return torch.stack(states, 1)


# --- the LSTM with attention


def attention_lstm_step(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    context: Tensor,
    Wx: Tensor,
    Wh: Tensor,
    Wattn: Tensor,
    b: Tensor,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM that reads a context too: `a = x Wx + h Wh + context Wattn + b`.

    Args:
        x: input, (N, E).
        h: hidden state, (N, H).
        c: cell state, (N, H).
        context: attention's weighted mean of the regions, (N, H).
        Wx: (E, 4H).
        Wh: (H, 4H).
        Wattn: (H, 4H).
        b: (4H,).

    Returns:
        `(h', c')`, each (N, H).
    """
    return lstm_gates(x @ Wx + (h @ Wh + b) + context @ Wattn, c)


def attention_lstm(
    x: Tensor, A: Tensor, Wx: Tensor, Wh: Tensor, Wattn: Tensor, b: Tensor
) -> Tensor:
    """Run `attention_lstm_step` over a sequence, attending with the previous state at each step.

    Both states start as the mean of the grid over its positions. With fewer images than captions
    (`N = B * K`) the captions of an image share its grid.

    Args:
        x: inputs, (N, T, E).
        A: the projected grid, (B, H, h, w), `N` a multiple of `B`.
        Wx: (E, 4H).
        Wh: (H, 4H).
        Wattn: (H, 4H).
        b: (4H,).

    Returns:
        The hidden states after each step, (N, T, H).
    """
    h = A.mean((2, 3)).repeat_interleave(x.shape[0] // A.shape[0], 0)
    c, states = h, []
    for x_t in x.unbind(1):
        context, _ = dot_product_attention(h, A)
        h, c = attention_lstm_step(x_t, h, c, context, Wx, Wh, Wattn, b)
        states.append(h)
    return torch.stack(states, 1)
