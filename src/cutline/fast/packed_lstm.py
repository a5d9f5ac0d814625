"""An LSTM over the nodes of a prefix tree, with its backward pass written by hand.

The twin of `functional.lstm_step` in a loop. PyTorch's own `nn.LSTM`, on a CPU, fills a sequence
with zeros at each step of its backward pass. Here that pass is `functional.rnn_backward`'s, with
the gates between: a weight's gradient is one product over all words, and captions that have ended
take no time.

Shapes: `B` images; `Q` nodes of a `PrefixTree`; `H` hidden state.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cutline.fast.prefix_tree import PrefixTree
from cutline.fast.products import lay_out, mixed_dtype

__all__ = ["LstmGatesBackward", "lstm_gates_", "packed_lstm"]


def packed_lstm(
    a: Tensor, h0: Tensor, c0: Tensor, Wh: Tensor, tree: PrefixTree
) -> tuple[Tensor, Tensor]:
    """Run the recurrence `lstm_gates(a_t + h_{t-1} Wh, c_{t-1})` over all nodes.

    Args:
        a: the input's share `x Wx + b` for each node's last word, gates in the order `i, f, o, g`,
            (Q, 4H).
        h0: hidden states before the first word, (B, H).
        c0: cell states before it, (B, H).
        Wh: (H, 4H).
        tree: of the captions.

    Returns:
        `h` and `c` after each node, (Q, H) each.

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """
    states: tuple[Tensor, Tensor] = _PackedLstm.apply(a, h0, c0, Wh, tree)
    return states


class _PackedLstm(torch.autograd.Function):
    """With `da_t` for the gradient of a pre-activation: `dWh = sum_t h_{t-1}^T da_t`.

    States stand in one table, the images' first, as `PrefixTree.parent_state` has it.
    """

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, h0: Tensor, c0: Tensor, Wh: Tensor, tree: PrefixTree
    ) -> tuple[Tensor, Tensor]:
        ctx.tree, ctx.dtype, ctx.dtypes = tree, Wh.dtype, (a.dtype, h0.dtype)
        Wh = Wh.to(mixed_dtype(Wh.device.type) or Wh.dtype)
        times_Wh = lay_out(Wh.t())
        images, hidden = h0.shape
        gates = torch.empty_like(a, dtype=ctx.dtype)
        c_prev = gates.new_empty(a.shape[0], hidden)
        # room for what comes after the first states
        h, c = (torch.cat([start.to(ctx.dtype), c_prev]) for start in (h0, c0))
        for step in tree.steps:
            nodes, parents = step.nodes, tree.parent_state[step.nodes]
            torch.index_select(c, 0, parents, out=c_prev[nodes])
            torch.add(a[nodes], times_Wh(h.index_select(0, parents)), out=gates[nodes])
            rows = slice(images + nodes.start, images + nodes.stop)
            lstm_gates_(gates[nodes], c_prev[nodes], h=h[rows], c=c[rows])
        ctx.save_for_backward(Wh, gates, h, c, c_prev)
        return h[images:], c[images:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        Wh, gates, h, c, c_prev = ctx.saved_tensors
        tree, images = ctx.tree, h.shape[0] - gates.shape[0]
        times_Wh_t = lay_out(Wh)
        gates_backward = LstmGatesBackward(gates, c[images:], c_prev)
        grad_h, grad_c = torch.zeros_like(h), torch.zeros_like(c)
        grad_h[images:], grad_c[images:] = dh, dc
        for step in reversed(tree.steps):
            nodes, parents = step.nodes, tree.parent_state[step.nodes]
            rows = slice(images + nodes.start, images + nodes.stop)
            grad_c.index_add_(0, parents, gates_backward(nodes, grad_h[rows], grad_c[rows]))
            grad_h.index_add_(0, parents, times_Wh_t(gates_backward.da[nodes]))
        da, h_prev = gates_backward.da, h[tree.parent_state]
        dWh = (h_prev.to(Wh.dtype).t() @ da.to(Wh.dtype)).to(ctx.dtype)
        a_dtype, h_dtype = ctx.dtypes
        return da.to(a_dtype), grad_h[:images].to(h_dtype), grad_c[:images].to(h_dtype), dWh, None


def lstm_gates_(gates: Tensor, c_prev: Tensor, *, h: Tensor, c: Tensor) -> None:
    """`functional.lstm_gates`: activate the gates (N, 4H) in place, write `h` and `c` (N, H)."""
    hidden = h.shape[1]
    gates[:, 3 * hidden :].mul_(2)
    i, f, o, g = gates.sigmoid_().chunk(4, dim=1)
    g.mul_(2).sub_(1)
    torch.mul(f, c_prev, out=c).addcmul_(i, g)
    h.copy_(_tanh(c)).mul_(o)


class LstmGatesBackward:
    """From gradients of `h` and `c` to those of pre-activations, `da` (Q, 4H), a slice at a time.

    The local derivatives are computed here, for all nodes at once, from activated gates (Q, 4H),
    `c` (Q, H) and the `c` before (Q, H).
    """

    def __init__(self, gates: Tensor, c: Tensor, c_prev: Tensor) -> None:
        i, f, o, g = gates.chunk(4, dim=1)
        tanh_c = _tanh(c)
        self.f = f
        self.dc_dh = o * (1 - tanh_c * tanh_c)
        self.dc_da = g * i * (1 - i), c_prev * f * (1 - f), i * (1 - g * g)
        self.dh_da_o = tanh_c * o * (1 - o)
        self.da = torch.empty_like(gates)

    def __call__(self, nodes: slice, dh: Tensor, dc: Tensor) -> Tensor:
        """Take gradients of a slice of `h` and `c`; return those of the `c` before."""
        dc = torch.addcmul(dc, dh, self.dc_dh[nodes])
        by_i, by_f, by_g = (derivative[nodes] for derivative in self.dc_da)
        da_i, da_f, da_o, da_g = self.da[nodes].chunk(4, dim=1)
        torch.mul(dc, by_i, out=da_i)
        torch.mul(dc, by_f, out=da_f)
        torch.mul(dh, self.dh_da_o[nodes], out=da_o)
        torch.mul(dc, by_g, out=da_g)
        return dc * self.f[nodes]


def _tanh(x: Tensor) -> Tensor:
    """`2 sigmoid(2x) - 1`: PyTorch's `tanh` takes as long as nine of its sigmoids."""
    return (2 * x).sigmoid_().mul_(2).sub_(1)
