"""What `attended_lstm` sees of the regions: a context through a gate, or a region that was drawn.

    glimpse.see(...)                    # at each step
    glimpse.turn(...)                   # before the way back
    glimpse.back(...)                   # at each step, last to first
    glimpse.gradients(...)              # of its weights

Shapes: `n` captions that look, `L` looks in all, `R` regions, `D` feature size, `H` hidden state.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cutline.functional.order import Order, Reading
from cutline.functional.products import lay_out

__all__ = ["Draw", "Drawn", "Gated"]

Draw = Callable[[Reading, Tensor], Tensor]
"""From weights (n, R) of those that look to the region that each looks at, (n,): -1 for `s_t`."""


class Gated:
    """`z = sigmoid(h Wf + bf) * s`, `Wf` (D, H) and `bf` (D,) as in `torch.nn.Linear`."""

    def __init__(self, Wf: Tensor | None, bf: Tensor | None, z: Tensor, exact: torch.dtype) -> None:
        assert Wf is not None
        assert bf is not None
        self.Wf, self.bf = Wf, bf
        self.by_f = lay_out(Wf)
        self.gate, self.context = torch.empty_like(z, dtype=exact), torch.empty_like(z)

    def see(
        self,
        reading: Reading,
        before: Tensor,
        context: Tensor,
        alpha: Tensor,  # noqa: ARG002
        z: Tensor,
    ) -> Tensor:
        """Write what is seen to `z` (n, D)."""
        gate = self.gate[reading.looks]
        torch.add(self.by_f(before), self.bf, out=gate).sigmoid_()
        self.context[reading.looks] = context
        return torch.mul(gate, context, out=z)

    def turn(self, dgrid: Tensor | None) -> None:  # noqa: ARG002
        """Begin the way back."""
        self.by_f_back = lay_out(self.Wf.t())
        self.dgate = torch.empty_like(self.context)

    def back(self, reading: Reading, dz: Tensor) -> tuple[Tensor, Tensor]:
        """From a gradient of `z` (n, D) to those of `s` (n, D) and of the state before (n, H)."""
        gate, dgate = self.gate[reading.looks], self.dgate[reading.looks]
        torch.mul(dz, self.context[reading.looks], out=dgate).mul_(gate - gate * gate)
        return dz * gate, self.by_f_back(dgate).to(dz.dtype)

    def gradients(self, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return those of `Wf` and `bf`, of the states that looked (L, H)."""
        exact = self.gate.dtype
        return (self.dgate.t() @ before).to(exact), self.dgate.sum(0, dtype=exact)


class Drawn:
    """`z = a_s` where a region `s` was drawn, elsewhere `s_t`."""

    def __init__(self, draw: Draw, grid: Tensor, order: Order) -> None:
        self.draw = draw
        self.grid = grid
        self.image = order.image
        self.region = torch.empty_like(order.image)

    def see(
        self,
        reading: Reading,
        before: Tensor,  # noqa: ARG002
        context: Tensor,
        alpha: Tensor,
        z: Tensor,
    ) -> Tensor:
        """Write what is seen to `z` (n, D)."""
        region = self.region[reading.looks] = self.draw(reading, alpha)
        drawn = region >= 0
        z.copy_(context)
        z[drawn] = self.grid[self.image[reading.looks][drawn], region[drawn]].to(z.dtype)
        return z

    def turn(self, dgrid: Tensor | None) -> None:
        """Begin the way back; what regions are due is added to `dgrid`, if that is wanted."""
        self.dgrid = dgrid

    def back(self, reading: Reading, dz: Tensor) -> tuple[Tensor, float]:
        """From a gradient of `z` (n, D) to that of `s` (n, D); the state before has none."""
        region = self.region[reading.looks]
        drawn = region >= 0
        if self.dgrid is not None:
            place = self.image[reading.looks][drawn], region[drawn]
            self.dgrid.index_put_(place, dz[drawn].to(self.dgrid.dtype), accumulate=True)
        return dz.masked_fill(drawn.unsqueeze(1), 0), 0.0

    def gradients(self, before: Tensor) -> tuple[None, None]:  # noqa: ARG002
        """Return none: there are no weights."""
        return None, None
