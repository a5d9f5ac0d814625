"""An LSTM over captions of different lengths, back through time by hand.

PyTorch's own, on a CPU, fills a sequence with zeros at each step of the way back. Here that way is
`recurrent.rnn_backward`'s, with the gates between: a weight's gradient is one product over all
words, and rows of captions that have ended are nowhere.

Shapes: `B` images; `Q` prefixes of their captions, as they stand in an `Order`; `H` hidden state.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cutline.functional.order import Order
from cutline.functional.products import lay_out, mixed_dtype

__all__ = ["BackThroughGates", "packed_lstm", "through_gates"]


def packed_lstm(a: Tensor, h0: Tensor, c0: Tensor, Wh: Tensor, order: Order) -> Tensor:
    """Go on from what the inputs say: `a_t + h_{t-1} Wh`, then `lstm_gates`.

    Args:
        a: the share `x Wx + b` of each prefix's last word, gates in the order `i, f, o, g`,
            (Q, 4H).
        h0: hidden states before the first word, (B, H).
        c0: cell states before it, (B, H).
        Wh: (H, 4H).
        order: of the prefixes.

    Returns:
        `h` after each prefix, (Q, H).

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """
    h: Tensor = _PackedLstm.apply(a, h0, c0, Wh, order)
    return h


class _PackedLstm(torch.autograd.Function):
    """With `da_t` for the gradient of a pre-activation: `dWh = sum_t h_{t-1}^T da_t`.

    States stand in one table, the images' first, as `order.came` has it.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, h0: Tensor, c0: Tensor, Wh: Tensor, order: Order) -> Tensor:
        ctx.order, ctx.exact, ctx.given = order, Wh.dtype, (a.dtype, h0.dtype)
        Wh = Wh.to(mixed_dtype(Wh.device.type) or Wh.dtype)
        product = lay_out(Wh.t())
        images, hidden = h0.shape
        gates = torch.empty_like(a, dtype=ctx.exact)
        memory = gates.new_empty(len(a), hidden)
        # room for what comes after the first
        h, c = (torch.cat([start.to(ctx.exact), memory]) for start in (h0, c0))
        for reading in order.readings:
            some, came = reading.prefixes, order.came[reading.prefixes]
            torch.index_select(c, 0, came, out=memory[some])
            torch.add(a[some], product(h.index_select(0, came)), out=gates[some])
            after = slice(images + some.start, images + some.stop)
            through_gates(gates[some], memory[some], h=h[after], c=c[after])
        ctx.save_for_backward(Wh, gates, h, c, memory)
        return h[images:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor | None, ...]:
        Wh, gates, h, c, memory = ctx.saved_tensors
        order, images = ctx.order, len(h) - len(gates)
        product = lay_out(Wh)
        back = BackThroughGates(gates, c[images:], memory)
        felt_h, felt_c = torch.zeros_like(h), torch.zeros_like(c)
        felt_h[images:] = dh
        for reading in reversed(order.readings):
            some, came = reading.prefixes, order.came[reading.prefixes]
            after = slice(images + some.start, images + some.stop)
            felt_c.index_add_(0, came, back(some, felt_h[after], felt_c[after]))
            felt_h.index_add_(0, came, product(back.da[some]))
        da, before = back.da, h[order.came]
        d_weight = (before.to(Wh.dtype).t() @ da.to(Wh.dtype)).to(ctx.exact)
        of_a, of_first = ctx.given
        first = felt_h[:images].to(of_first), felt_c[:images].to(of_first)
        return da.to(of_a), *first, d_weight, None


def through_gates(gates: Tensor, memory: Tensor, *, h: Tensor, c: Tensor) -> None:
    """Open the gates (N, 4H) in place, and write what comes through them to `h` and `c` (N, H)."""
    hidden = h.shape[1]
    gates[:, 3 * hidden :].mul_(2)
    i, f, o, g = gates.sigmoid_().chunk(4, dim=1)
    g.mul_(2).sub_(1)
    torch.mul(f, memory, out=c).addcmul_(i, g)
    h.copy_(_tanh(c)).mul_(o)


class BackThroughGates:
    """From gradients of `h` and `c` to those of pre-activations, `da` (Q, 4H), some rows at a time.

    What no step changes is made here, for all prefixes at once: of open gates (Q, 4H), `c` (Q, H)
    and the `c` before (Q, H).
    """

    def __init__(self, gates: Tensor, c: Tensor, memory: Tensor) -> None:
        i, f, o, g = gates.chunk(4, dim=1)
        squashed = _tanh(c)
        self.forget = f
        self.through = o * (1 - squashed * squashed)
        self.slopes = g * i * (1 - i), memory * f * (1 - f), i * (1 - g * g)
        self.out = squashed * o * (1 - o)
        self.da = torch.empty_like(gates)

    def __call__(self, some: slice, dh: Tensor, dc: Tensor) -> Tensor:
        """Take gradients of some rows of `h` and `c`; return those of the `c` before."""
        cell = torch.addcmul(dc, dh, self.through[some])
        di, df, dg = (slope[some] for slope in self.slopes)
        da_i, da_f, da_o, da_g = self.da[some].chunk(4, dim=1)
        torch.mul(cell, di, out=da_i)
        torch.mul(cell, df, out=da_f)
        torch.mul(dh, self.out[some], out=da_o)
        torch.mul(cell, dg, out=da_g)
        return cell * self.forget[some]


def _tanh(x: Tensor) -> Tensor:
    """`2 sigmoid(2x) - 1`: PyTorch's `tanh` takes as long as nine of its sigmoids."""
    return (2 * x).sigmoid_().mul_(2).sub_(1)
