"""The contexts of `attention_lstm`, forward and backward: gated (`soft`) or sampled (`hard`).

    context.forward(...)             # at each step
    context.begin_backward(...)
    context.backward(...)            # at each step, last to first
    context.weight_grads(...)

Shapes: `n` queries of a step, `L` queries in all, `R` regions, `D` feature size, `H` hidden state.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cutline.fast.prefix_tree import PrefixTree, TreeStep
from cutline.fast.products import lay_out

__all__ = ["GatedContext", "Sample", "SampledContext"]

Sample = Callable[[TreeStep, Tensor], Tensor]
"""From weights (n, R) of a step's queries to sampled regions (n,): -1 for the expected context."""


class GatedContext:
    """`z = sigmoid(h Wf + bf) * s`, `Wf` (D, H) and `bf` (D,) as in `torch.nn.Linear`.

    `s = sum_i alpha_i a_i` is the expected context.
    """

    def __init__(self, Wf: Tensor | None, bf: Tensor | None, z: Tensor, dtype: torch.dtype) -> None:
        assert Wf is not None
        assert bf is not None
        self.Wf, self.bf = Wf, bf
        self.times_Wf = lay_out(Wf)
        self.gate, self.expected = torch.empty_like(z, dtype=dtype), torch.empty_like(z)

    def forward(
        self,
        step: TreeStep,
        h_prev: Tensor,
        expected: Tensor,
        alpha: Tensor,  # noqa: ARG002
        z: Tensor,
    ) -> Tensor:
        """Write the contexts to `z` (n, D)."""
        gate = self.gate[step.queries]
        torch.add(self.times_Wf(h_prev), self.bf, out=gate).sigmoid_()
        self.expected[step.queries] = expected
        return torch.mul(gate, expected, out=z)

    def begin_backward(self, grad_grid: Tensor | None) -> None:  # noqa: ARG002
        """Prepare the backward pass."""
        self.times_Wf_t = lay_out(self.Wf.t())
        self.grad_gate = torch.empty_like(self.expected)

    def backward(self, step: TreeStep, dz: Tensor) -> tuple[Tensor, Tensor]:
        """From a gradient of `z` (n, D) to those of `s` (n, D) and of the state before (n, H)."""
        gate, grad_gate = self.gate[step.queries], self.grad_gate[step.queries]
        torch.mul(dz, self.expected[step.queries], out=grad_gate).mul_(gate - gate * gate)
        return dz * gate, self.times_Wf_t(grad_gate).to(dz.dtype)

    def weight_grads(self, h_prev: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of `Wf` and `bf`, given the states of all queries (L, H)."""
        dtype = self.gate.dtype
        return (self.grad_gate.t() @ h_prev).to(dtype), self.grad_gate.sum(0, dtype=dtype)


class SampledContext:
    """`z = a_s` where a region `s` was sampled, elsewhere the expected context."""

    def __init__(self, sample: Sample, grid: Tensor, tree: PrefixTree) -> None:
        self.sample = sample
        self.grid = grid
        self.image = tree.image
        self.region = torch.empty_like(tree.image)

    def forward(
        self,
        step: TreeStep,
        h_prev: Tensor,  # noqa: ARG002
        expected: Tensor,
        alpha: Tensor,
        z: Tensor,
    ) -> Tensor:
        """Write the contexts to `z` (n, D)."""
        region = self.region[step.queries] = self.sample(step, alpha)
        mask = region >= 0
        z.copy_(expected)
        z[mask] = self.grid[self.image[step.queries][mask], region[mask]].to(z.dtype)
        return z

    def begin_backward(self, grad_grid: Tensor | None) -> None:
        """Prepare the backward pass; sampled regions' gradients are added to `grad_grid`."""
        self.grad_grid = grad_grid

    def backward(self, step: TreeStep, dz: Tensor) -> tuple[Tensor, float]:
        """From a gradient of `z` (n, D) to that of `s` (n, D); the state before has none."""
        region = self.region[step.queries]
        mask = region >= 0
        if self.grad_grid is not None:
            sampled = self.image[step.queries][mask], region[mask]
            self.grad_grid.index_put_(sampled, dz[mask].to(self.grad_grid.dtype), accumulate=True)
        return dz.masked_fill(mask.unsqueeze(1), 0), 0.0

    def weight_grads(self, h_prev: Tensor) -> tuple[None, None]:  # noqa: ARG002
        """Return none: there are no weights."""
        return None, None
