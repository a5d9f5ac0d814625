"""An LSTM that looks before it reads, over captions of different lengths; back by hand.

What `soft` does from its first word to its last (Xu et al. 2015, arXiv 1502.03044, equations 1 to
6, section 4.2.1), as one function with one gradient. Autograd would keep each of some thirty
operations of a step, and walk through all of them on the way back. Here rows of captions that have
ended are nowhere, captions of an image that begin alike are read once until they part, and weights'
gradients are one product over all steps.

    [a; q; f] = h_{t-1} [Wh, Wq, Wf]        e_ti = v . tanh(key_i + q)      alpha_t = softmax(e_t)
    s_t = sum_i alpha_ti a_i                z_t = sigmoid(f + bf) * s_t
    h_t, c_t = lstm_gates([y_t; z_t] Wx + a + b, c_{t-1})

And what `hard` does, where `z_t` is a region that was drawn, or `s_t` as it is (section 4.1).

Shapes: `B` images, `R` regions, `D` feature size, `E` word embedding, `H` hidden state, `A`
attention size; `Q` prefixes in an `Order`, and `L` looks.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cutline.functional.additive import Keys, exponential_of, pair_sums, pair_sums_back
from cutline.functional.glimpse import Draw, Drawn, Gated
from cutline.functional.order import Order, Reading
from cutline.functional.packed_lstm import BackThroughGates, through_gates
from cutline.functional.products import lay_out, mixed_dtype

__all__ = ["LookWeights", "attended_lstm"]


class LookWeights(NamedTuple):
    """`Wx` (E + D, 4H), `Wh` (H, 4H), `b` (4H,), `Wq` (H, A), `v` (A,), `Wf` (D, H), `bf` (D,).

    Gates stand in the order `i, f, o, g`. `Wf` and `bf`, as in `torch.nn.Linear`, are not there
    where places are drawn.
    """

    Wx: Tensor
    Wh: Tensor
    b: Tensor
    Wq: Tensor
    v: Tensor
    Wf: Tensor | None = None
    bf: Tensor | None = None

    def by_input(self, size: int) -> tuple[Tensor, Tensor]:
        """Return what words and features of this size are multiplied with, (E, 4H), (D, 4H)."""
        return self.Wx[:-size], self.Wx[-size:]

    def narrowed(self, dtype: torch.dtype | None) -> "LookWeights":
        """Return the matrices in another type, if one is given; the rest stays."""
        if dtype is None:
            return self
        Wf = None if self.Wf is None else self.Wf.to(dtype)
        return self._replace(
            Wx=self.Wx.to(dtype), Wh=self.Wh.to(dtype), Wq=self.Wq.to(dtype), Wf=Wf
        )


class Kept(NamedTuple):
    """What the way back needs of each look and of each prefix."""

    y: Tensor  # (Q, E)
    before: Tensor  # the state that looked, (L, H)
    asked: Tensor  # exp(2q), (L, A)
    alpha: Tensor  # (L, R)
    z: Tensor  # (L, D)
    gates: Tensor  # of the LSTM, open, (Q, 4H)
    memory: Tensor  # the c before, (Q, H)
    h: Tensor  # (Q, H)
    c: Tensor  # (Q, H)


def attended_lstm(
    y: Tensor,
    h0: Tensor,
    c0: Tensor,
    grid: Tensor,
    keys: Keys,
    weights: LookWeights,
    order: Order,
    draw: Draw | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Read all captions.

    Args:
        y: embeddings of each prefix's last word, (Q, E).
        h0: hidden states before the first word, (B, H).
        c0: cell states before it, (B, H).
        grid: what contexts are made of, (B, R, D).
        keys: projected regions, of `B` images.
        weights: with those of a gate, or without and what is seen is drawn.
        order: of the prefixes; with a `draw`, captions it is not to share are `alone`.
        draw: see `glimpse`.

    Returns:
        `h` (Q, H) after each prefix, and of each look `z` (L, D) and `alpha` (L, R): `order.look`
        says which look was before each prefix's last word.
    """
    found: tuple[Tensor, Tensor, Tensor] = _AttendedLstm.apply(
        y, h0, c0, grid, *keys, *weights, order, draw
    )
    return found


class _AttendedLstm(torch.autograd.Function):
    """With `dseen` and `dquery` for the gradients of `a`, which is that of `z Wz`, and of `q`."""

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        h0: Tensor,
        c0: Tensor,
        grid: Tensor,
        projected: Tensor,
        exponential: Tensor,
        *rest: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights, order, draw = LookWeights(*rest[:-2]), *rest[-2:]
        ctx.order, ctx.dtype = order, mixed_dtype(y.device.type)
        ctx.types = h0.dtype, projected.dtype
        weights = weights.narrowed(ctx.dtype)
        Wy, Wz = weights.by_input(grid.shape[2])
        by_z, by_h, by_q = lay_out(Wz.t()), lay_out(weights.Wh.t()), lay_out(weights.Wq.t())
        v = weights.v.to(exponential.dtype) * -2
        kept = _room(y, exponential, grid, weights, order, ctx.dtype or y.dtype)
        ctx.glimpse = (
            Drawn(draw, grid, order) if draw else Gated(weights.Wf, weights.bf, kept.z, y.dtype)
        )
        torch.add(lay_out(Wy.t())(y), weights.b, out=kept.gates)
        h, c = h0.to(y.dtype), c0.to(y.dtype)
        for reading in order.readings:
            images, looks, read = reading.block[0], reading.looks, reading.prefixes
            before, memory = kept.before[looks], reading.share(reading.remain(c))
            before.copy_(reading.remain(h))
            asked = exponential_of(by_q(before))
            alpha = pair_sums(exponential[:images], reading.spread(asked), v).softmax(-1)
            context = reading.gather(alpha.to(grid.dtype) @ grid[:images])
            kept.asked[looks], kept.memory[read] = asked, memory
            kept.alpha[looks] = reading.gather(alpha)
            z = ctx.glimpse.see(reading, before, context, kept.alpha[looks], kept.z[looks])
            gates = kept.gates[read].add_(reading.share(by_z(z).add_(by_h(before))))
            h, c = kept.h[read], kept.c[read]
            through_gates(gates, memory, h=h, c=c)
        ctx.save_for_backward(grid, exponential, *weights, *kept)
        return kept.h, kept.z, kept.alpha

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor, dz: Tensor, dalpha: Tensor) -> tuple[Tensor | None, ...]:
        grid, exponential, *rest = ctx.saved_tensors
        weights, kept = LookWeights(*rest[:7]), Kept(*rest[7:])
        Wy, Wz = weights.by_input(grid.shape[2])
        by_z, by_h, by_q = lay_out(Wz), lay_out(weights.Wh), lay_out(weights.Wq)
        back = BackThroughGates(kept.gates, kept.c, kept.memory)
        attention = _BackThroughAttention(grid, exponential, weights.v, ctx.needs_input_grad[3])
        ctx.glimpse.turn(attention.dgrid)
        dseen = kept.z.new_empty(len(kept.z), kept.gates.shape[1])
        dquery = torch.empty_like(kept.asked, dtype=dseen.dtype)
        last = ctx.order.readings[-1].prefixes
        felt_h, felt_c = torch.zeros_like(dh[last]), torch.zeros_like(dh[last])
        for reading in reversed(ctx.order.readings):
            looks, read = reading.looks, reading.prefixes
            felt_c = reading.share_back(back(read, dh[read] + felt_h, felt_c))
            dseen[looks] = reading.share_back(back.da[read])
            dcontext, felt_h = ctx.glimpse.back(reading, by_z(dseen[looks]) + dz[looks])
            dquery[looks] = attention(
                reading, kept.asked[looks], kept.alpha[looks], dcontext, dalpha[looks]
            )
            felt_h = felt_h + by_h(dseen[looks]) + by_q(dquery[looks])
            felt_h, felt_c = reading.remain_back(felt_h), reading.remain_back(felt_c)
        # from here on for all prefixes at once
        da, y = (each.to(dseen.dtype) for each in (back.da, kept.y))
        dWx = da.new_empty(weights.Wx.shape)
        torch.mm(y.t(), da, out=dWx[: y.shape[1]])
        torch.mm(kept.z.t(), dseen, out=dWx[y.shape[1] :])
        return (
            lay_out(Wy)(back.da),
            felt_h.to(ctx.types[0]),
            felt_c.to(ctx.types[0]),
            attention.dgrid,
            attention.dkeys().to(ctx.types[1]),
            None,
            dWx.to(dh.dtype),
            (kept.before.t() @ dseen).to(dh.dtype),
            back.da.sum(0),
            (kept.before.t() @ dquery).to(dh.dtype),
            attention.dv.mul_(-2).to(weights.v.dtype),
            *ctx.glimpse.gradients(kept.before),
            None,
            None,
        )


class _BackThroughAttention:
    """From gradients of contexts and weights to those of queries, step by step.

    Of the regions (if that is wanted), of their keys and of `v` they are added up.
    """

    def __init__(self, grid: Tensor, exponential: Tensor, v: Tensor, wanted: bool) -> None:
        self.grid = grid
        self.exponential = exponential
        self.slope = v.to(exponential.dtype) * 4
        self.dgrid = torch.zeros_like(grid) if wanted else None
        self.dv = torch.zeros_like(self.slope)
        self.over_captions = torch.zeros_like(exponential)

    def __call__(
        self, reading: Reading, asked: Tensor, alpha: Tensor, dcontext: Tensor, dalpha: Tensor
    ) -> Tensor:
        """Take those of the rows that look; return the queries' (n, A)."""
        images = reading.block[0]
        felt = reading.spread(dcontext.to(self.grid.dtype))
        if self.dgrid is not None:
            weighed = reading.spread(alpha.to(self.grid.dtype))
            self.dgrid[:images].baddbmm_(weighed.mT, felt)
        weighed = alpha * (reading.gather(felt @ self.grid[:images].mT) + dalpha)
        dscores = weighed - alpha * weighed.sum(1, keepdim=True)
        over_pairs, over_regions = pair_sums_back(
            self.exponential[:images],
            reading.spread(asked),
            reading.spread(dscores),
            self.over_captions[:images],
        )
        self.dv += over_pairs.sum((0, 1))
        return reading.gather(over_regions) * self.slope

    def dkeys(self) -> Tensor:
        """Of the projected regions, (B, R, A)."""
        return self.over_captions * self.slope


def _room(
    y: Tensor,
    exponential: Tensor,
    grid: Tensor,
    weights: LookWeights,
    order: Order,
    narrow: torch.dtype,
) -> Kept:
    """Make room; what products read only is kept as they read it."""
    reads, looks = order.readings[-1].prefixes.stop, order.readings[-1].looks.stop
    hidden, attention = weights.Wq.shape
    regions, size = grid.shape[1:]
    return Kept(
        y=y,
        before=y.new_empty(looks, hidden, dtype=narrow),
        asked=exponential.new_empty(looks, attention),
        alpha=y.new_empty(looks, regions),
        z=y.new_empty(looks, size, dtype=narrow),
        gates=y.new_empty(reads, 4 * hidden),
        memory=y.new_empty(reads, hidden),
        h=y.new_empty(reads, hidden),
        c=y.new_empty(reads, hidden),
    )
