"""An LSTM over captions of different lengths, back through time by hand.

PyTorch's own, on a CPU, fills a sequence with zeros at each step of the way back. Here that way is
`recurrent.rnn_backward`'s, with the gates between: a weight's gradient is one product over all
words, and rows of captions that have ended are nowhere.

Shapes: `N` captions, the longest first; `M` words of all of them; `H` hidden state. Words stand as
in PyTorch's `PackedSequence`: the first of all captions, then the second of those that have one.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cutline.functional.products import lay_out, mixed_dtype

__all__ = ["BackThroughGates", "packed_lstm", "through_gates"]


def packed_lstm(
    a: Tensor, h0: Tensor, c0: Tensor, Wh: Tensor, sizes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Go on from what the inputs say: `a_t + h_{t-1} Wh`, then `lstm_gates`.

    Args:
        a: the inputs' share `x Wx + b` of all words, gates in the order `i, f, o, g`, (M, 4H).
        h0: hidden states before the first word, (N, H).
        c0: cell states before it, (N, H).
        Wh: (H, 4H).
        sizes: how many captions have a first word, a second one and so on, `N` at first, never
            more than before; `M` in all.

    Returns:
        `(h, c)` after each word, each (M, H), as the words stand.

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """
    states: tuple[Tensor, Tensor] = _PackedLstm.apply(a, h0, c0, Wh, tuple(sizes))
    return states


class _PackedLstm(torch.autograd.Function):
    """With `da_t` for the gradient of a pre-activation: `dWh = sum_t h_{t-1}^T da_t`."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, h0: Tensor, c0: Tensor, Wh: Tensor, sizes: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        ctx.dtype, ctx.given = mixed_dtype(Wh.device.type), a.dtype
        product = lay_out(Wh.t(), dtype=ctx.dtype)
        hidden = h0.shape[1]
        gates = torch.empty(len(a), 4 * hidden, dtype=h0.dtype, device=a.device)
        h, c = gates.new_empty(len(a), hidden), gates.new_empty(len(a), hidden)
        before, memory = h0, c0
        for some, size in zip(_steps(sizes), sizes, strict=True):
            torch.add(a[some], product(before[:size]), out=gates[some])
            through_gates(gates[some], memory[:size], h=h[some], c=c[some])
            before, memory = h[some], c[some]
        ctx.sizes = sizes
        ctx.save_for_backward(h0, c0, Wh, gates, h, c)
        return h, c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        h0, c0, Wh, gates, h, c = ctx.saved_tensors
        product = lay_out(Wh, dtype=ctx.dtype)
        before = _shifted(h0, h, ctx.sizes)
        back = BackThroughGates(gates, c, _shifted(c0, c, ctx.sizes))
        felt_h, felt_c = torch.zeros_like(h0), torch.zeros_like(c0)
        for some in reversed(_steps(ctx.sizes)):
            size = some.stop - some.start
            felt_c[:size] = back(some, dh[some] + felt_h[:size], dc[some] + felt_c[:size])
            felt_h[:size] = product(back.da[some])
        da = back.da
        narrow = ctx.dtype or before.dtype
        d_weight = (before.to(narrow).t() @ da.to(narrow)).to(Wh.dtype)
        return da.to(ctx.given), felt_h, felt_c, d_weight, None


def through_gates(gates: Tensor, memory: Tensor, *, h: Tensor, c: Tensor) -> None:
    """Open the gates (N, 4H) in place, and write what comes through them to `h` and `c` (N, H)."""
    hidden = h.shape[1]
    gates[:, 3 * hidden :].mul_(2)
    i, f, o, g = gates.sigmoid_().chunk(4, dim=1)
    g.mul_(2).sub_(1)
    torch.mul(f, memory, out=c).addcmul_(i, g)
    h.copy_(_tanh(c)).mul_(o)


class BackThroughGates:
    """From gradients of `h` and `c` to those of pre-activations, `da` (M, 4H), some rows at a time.

    What no step changes is made here, for all words at once: of open gates (M, 4H), `c` (M, H) and
    the `c` before (M, H).
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


def _steps(sizes: Sequence[int]) -> list[slice]:
    ends = list(accumulate(sizes))
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _shifted(first: Tensor, rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return for each word the state before it, of states after each, (M, H)."""
    steps = zip(_steps(sizes[:-1]), sizes[1:], strict=True)
    return torch.cat([first, *(rows[step.start : step.start + size] for step, size in steps)])
