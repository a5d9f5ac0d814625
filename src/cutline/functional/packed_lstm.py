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

__all__ = ["packed_lstm"]


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
            ifo, g = gates[some, : 3 * hidden].sigmoid_(), gates[some, 3 * hidden :].tanh_()
            i, f, o = ifo.chunk(3, dim=1)
            torch.mul(f, memory[:size], out=c[some]).addcmul_(i, g)
            torch.tanh(c[some], out=h[some]).mul_(o)
            before, memory = h[some], c[some]
        ctx.sizes = sizes
        ctx.save_for_backward(h0, c0, Wh, gates, h, c)
        return h, c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        h0, c0, Wh, gates, h, c = ctx.saved_tensors
        product = lay_out(Wh, dtype=ctx.dtype)
        i, f, o, g = gates.chunk(4, dim=1)
        before = _shifted(h0, h, ctx.sizes)
        memory = _shifted(c0, c, ctx.sizes)
        # what no step changes, for all words at once
        squashed = c.tanh()
        through = o * (1 - squashed * squashed)
        slopes = torch.cat([g * i * (1 - i), memory * f * (1 - f), i * (1 - g * g)], 1)
        out = squashed * o * (1 - o)
        da = torch.empty_like(gates)
        hidden = h0.shape[1]
        felt_h, felt_c = torch.zeros_like(h0), torch.zeros_like(c0)
        for some in reversed(_steps(ctx.sizes)):
            size = some.stop - some.start
            now = dh[some] + felt_h[:size]
            cell = torch.addcmul(dc[some] + felt_c[:size], now, through[some])
            di, df, dg = slopes[some].chunk(3, dim=1)
            torch.mul(cell, di, out=da[some, :hidden])
            torch.mul(cell, df, out=da[some, hidden : 2 * hidden])
            torch.mul(now, out[some], out=da[some, 2 * hidden : 3 * hidden])
            torch.mul(cell, dg, out=da[some, 3 * hidden :])
            felt_h[:size] = product(da[some])
            torch.mul(cell, f[some], out=felt_c[:size])
        narrow = ctx.dtype or before.dtype
        d_weight = (before.to(narrow).t() @ da.to(narrow)).to(Wh.dtype)
        return da.to(ctx.given), felt_h, felt_c, d_weight, None


def _steps(sizes: Sequence[int]) -> list[slice]:
    ends = list(accumulate(sizes))
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _shifted(first: Tensor, rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return for each word the state before it, of states after each, (M, H)."""
    steps = zip(_steps(sizes[:-1]), sizes[1:], strict=True)
    return torch.cat([first, *(rows[step.start : step.start + size] for step, size in steps)])
