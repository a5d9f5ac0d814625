"""An LSTM with additive attention over a prefix tree, with its backward pass written by hand.

The steps of `soft`, from its first word to its last (Xu et al. 2015, arXiv 1502.03044, equations 1
to 6, section 4.2.1), as one function with one gradient. Autograd would store the results of some
thirty operations of a step, and walk through all of them backward. Here captions that have ended
take no time, captions of an image that begin alike are computed once until they part, and a
weight's gradient is one product over all steps.

    [a; q; f] = h_{t-1} [Wh, Wq, Wf]        e_ti = v . tanh(key_i + q)      alpha_t = softmax(e_t)
    s_t = sum_i alpha_ti a_i                z_t = sigmoid(f + bf) * s_t
    h_t, c_t = lstm_gates([y_t; z_t] Wx + a + b, c_{t-1})

And those of `hard`, where `z_t` is a region that was sampled, or `s_t` as it is (section 4.1).

Shapes: `B` images, `R` regions, `D` feature size, `E` word embedding, `H` hidden state, `A`
attention size; `Q` nodes and `L` attention queries of a `PrefixTree`.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cutline.fast.additive import Keys, exponential_of, pair_sums, pair_sums_backward
from cutline.fast.context import GatedContext, Sample, SampledContext
from cutline.fast.packed_lstm import LstmGatesBackward, lstm_gates_
from cutline.fast.prefix_tree import PrefixTree, TreeStep
from cutline.fast.products import lay_out, mixed_dtype

__all__ = ["Weights", "attention_lstm"]


class Weights(NamedTuple):
    """`Wx` (E + D, 4H), `Wh` (H, 4H), `b` (4H,), `Wq` (H, A), `v` (A,), `Wf` (D, H), `bf` (D,).

    Gates stand in the order `i, f, o, g`. `Wf` and `bf`, as in `torch.nn.Linear`, are None where
    regions are sampled.
    """

    Wx: Tensor
    Wh: Tensor
    b: Tensor
    Wq: Tensor
    v: Tensor
    Wf: Tensor | None = None
    bf: Tensor | None = None

    def by_input(self, size: int) -> tuple[Tensor, Tensor]:
        """Divide `Wx` into the rows of words and those of features of this size."""
        return self.Wx[:-size], self.Wx[-size:]

    def cast(self, dtype: torch.dtype | None) -> "Weights":
        """Return the matrices in another type, if one is given; the rest stays."""
        if dtype is None:
            return self
        Wf = None if self.Wf is None else self.Wf.to(dtype)
        return self._replace(
            Wx=self.Wx.to(dtype), Wh=self.Wh.to(dtype), Wq=self.Wq.to(dtype), Wf=Wf
        )


class Cache(NamedTuple):
    """Cache of the forward pass, for the backward pass: of each query and each node."""

    y: Tensor  # (Q, E)
    h_prev: Tensor  # the state of each query, (L, H)
    exp_query: Tensor  # exp(2q), (L, A)
    alpha: Tensor  # (L, R)
    z: Tensor  # (L, D)
    gates: Tensor  # of the LSTM, activated, (Q, 4H)
    c_prev: Tensor  # (Q, H)
    h: Tensor  # (Q, H)
    c: Tensor  # (Q, H)


def attention_lstm(
    y: Tensor,
    h0: Tensor,
    c0: Tensor,
    grid: Tensor,
    keys: Keys,
    weights: Weights,
    tree: PrefixTree,
    sample: Sample | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run all steps of all captions.

    Args:
        y: embeddings of each node's last word, (Q, E).
        h0: hidden states before the first word, (B, H).
        c0: cell states before it, (B, H).
        grid: what contexts are made of, (B, R, D).
        keys: projected regions, of `B` images.
        weights: with those of a gate, or without where regions are sampled.
        tree: of the captions; with a `sample`, captions that it is for are `unshared`.
        sample: see `context`.

    Returns:
        `h` (Q, H) after each node, and of each query `z` (L, D) and `alpha` (L, R):
        `PrefixTree.query` says which query was before each node's last word.
    """
    result: tuple[Tensor, Tensor, Tensor] = _AttentionLstm.apply(
        y, h0, c0, grid, *keys, *weights, tree, sample
    )
    return result


class _AttentionLstm(torch.autograd.Function):
    """With `dzWz` and `dquery` for the gradients of `z Wz` and of `q`."""

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        h0: Tensor,
        c0: Tensor,
        grid: Tensor,
        projected: Tensor,
        exp_keys: Tensor,
        *rest: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights, tree, sample = Weights(*rest[:-2]), *rest[-2:]
        ctx.tree, ctx.dtype = tree, mixed_dtype(y.device.type)
        ctx.dtypes = h0.dtype, projected.dtype
        weights = weights.cast(ctx.dtype)
        Wy, Wz = weights.by_input(grid.shape[2])
        times_Wz, times_Wh, times_Wq = (lay_out(W.t()) for W in (Wz, weights.Wh, weights.Wq))
        v = weights.v.to(exp_keys.dtype) * -2
        cache = _empty_cache(y, exp_keys, grid, weights, tree, ctx.dtype or y.dtype)
        ctx.context = (
            SampledContext(sample, grid, tree)
            if sample
            else GatedContext(weights.Wf, weights.bf, cache.z, y.dtype)
        )
        torch.add(lay_out(Wy.t())(y), weights.b, out=cache.gates)
        h, c = h0.to(y.dtype), c0.to(y.dtype)
        for step in tree.steps:
            images, queries, nodes = step.block[0], step.queries, step.nodes
            h_prev, c_prev = cache.h_prev[queries], step.expand(step.select_active(c))
            h_prev.copy_(step.select_active(h))
            exp_query = exponential_of(times_Wq(h_prev))
            alpha = pair_sums(exp_keys[:images], step.scatter(exp_query), v).softmax(-1)
            expected = step.gather(alpha.to(grid.dtype) @ grid[:images])
            cache.exp_query[queries], cache.c_prev[nodes] = exp_query, c_prev
            cache.alpha[queries] = step.gather(alpha)
            z = ctx.context.forward(step, h_prev, expected, cache.alpha[queries], cache.z[queries])
            gates = cache.gates[nodes].add_(step.expand(times_Wz(z).add_(times_Wh(h_prev))))
            h, c = cache.h[nodes], cache.c[nodes]
            lstm_gates_(gates, c_prev, h=h, c=c)
        ctx.save_for_backward(grid, exp_keys, *weights, *cache)
        return cache.h, cache.z, cache.alpha

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor, dz: Tensor, dalpha: Tensor) -> tuple[Tensor | None, ...]:
        grid, exp_keys, *rest = ctx.saved_tensors
        weights, cache = Weights(*rest[:7]), Cache(*rest[7:])
        Wy, Wz = weights.by_input(grid.shape[2])
        times_Wz_t, times_Wh_t, times_Wq_t = (lay_out(W) for W in (Wz, weights.Wh, weights.Wq))
        gates_backward = LstmGatesBackward(cache.gates, cache.c, cache.c_prev)
        attention = _AttentionBackward(grid, exp_keys, weights.v, ctx.needs_input_grad[3])
        ctx.context.begin_backward(attention.grad_grid)
        dzWz = cache.z.new_empty(cache.z.shape[0], cache.gates.shape[1])
        dquery = torch.empty_like(cache.exp_query, dtype=dzWz.dtype)
        last = ctx.tree.steps[-1].nodes
        dh_next, dc_next = torch.zeros_like(dh[last]), torch.zeros_like(dh[last])
        for step in reversed(ctx.tree.steps):
            queries, nodes = step.queries, step.nodes
            dc_next = step.expand_backward(gates_backward(nodes, dh[nodes] + dh_next, dc_next))
            dzWz[queries] = step.expand_backward(gates_backward.da[nodes])
            dexpected, dh_next = ctx.context.backward(step, times_Wz_t(dzWz[queries]) + dz[queries])
            dquery[queries] = attention(
                step, cache.exp_query[queries], cache.alpha[queries], dexpected, dalpha[queries]
            )
            dh_next = dh_next + times_Wh_t(dzWz[queries]) + times_Wq_t(dquery[queries])
            dh_next, dc_next = map(step.select_active_backward, (dh_next, dc_next))
        # the weights' gradients, over all steps at once
        da, y = (each.to(dzWz.dtype) for each in (gates_backward.da, cache.y))
        dWx = da.new_empty(weights.Wx.shape)
        torch.mm(y.t(), da, out=dWx[: y.shape[1]])
        torch.mm(cache.z.t(), dzWz, out=dWx[y.shape[1] :])
        return (
            lay_out(Wy)(gates_backward.da),
            dh_next.to(ctx.dtypes[0]),
            dc_next.to(ctx.dtypes[0]),
            attention.grad_grid,
            attention.grad_keys().to(ctx.dtypes[1]),
            None,
            dWx.to(dh.dtype),
            (cache.h_prev.t() @ dzWz).to(dh.dtype),
            gates_backward.da.sum(0),
            (cache.h_prev.t() @ dquery).to(dh.dtype),
            attention.grad_v.mul_(-2).to(weights.v.dtype),
            *ctx.context.weight_grads(cache.h_prev),
            None,
            None,
        )


class _AttentionBackward:
    """From gradients of contexts and weights to those of queries, step by step.

    Those of the regions (if they need one), of their keys and of `v` are accumulated.
    """

    def __init__(self, grid: Tensor, exp_keys: Tensor, v: Tensor, needs_grad: bool) -> None:
        self.grid = grid
        self.exp_keys = exp_keys
        self.slope = v.to(exp_keys.dtype) * 4
        self.grad_grid = torch.zeros_like(grid) if needs_grad else None
        self.grad_v = torch.zeros_like(self.slope)
        self.pair_sums = torch.zeros_like(exp_keys)

    def __call__(
        self, step: TreeStep, exp_query: Tensor, alpha: Tensor, dexpected: Tensor, dalpha: Tensor
    ) -> Tensor:
        """Take the gradients of a step's contexts and weights; return the queries' (n, A)."""
        images = step.block[0]
        dexpected = step.scatter(dexpected.to(self.grid.dtype))
        if self.grad_grid is not None:
            weights = step.scatter(alpha.to(self.grid.dtype))
            self.grad_grid[:images].baddbmm_(weights.mT, dexpected)
        weighted = alpha * (step.gather(dexpected @ self.grid[:images].mT) + dalpha)
        dscores = weighted - alpha * weighted.sum(1, keepdim=True)
        sums, dquery = pair_sums_backward(
            self.exp_keys[:images],
            step.scatter(exp_query),
            step.scatter(dscores),
            self.pair_sums[:images],
        )
        self.grad_v += sums.sum((0, 1))
        return step.gather(dquery) * self.slope

    def grad_keys(self) -> Tensor:
        """Return the gradient of the projected regions, (B, R, A)."""
        return self.pair_sums * self.slope


def _empty_cache(
    y: Tensor,
    exp_keys: Tensor,
    grid: Tensor,
    weights: Weights,
    tree: PrefixTree,
    dtype: torch.dtype,
) -> Cache:
    """Allocate the cache; what only products read is stored in the type they read."""
    nodes, queries = tree.steps[-1].nodes.stop, tree.steps[-1].queries.stop
    hidden, attention = weights.Wq.shape
    regions, size = grid.shape[1:]
    return Cache(
        y=y,
        h_prev=y.new_empty(queries, hidden, dtype=dtype),
        exp_query=exp_keys.new_empty(queries, attention),
        alpha=y.new_empty(queries, regions),
        z=y.new_empty(queries, size, dtype=dtype),
        gates=y.new_empty(nodes, 4 * hidden),
        c_prev=y.new_empty(nodes, hidden),
        h=y.new_empty(nodes, hidden),
        c=y.new_empty(nodes, hidden),
    )
