"""`soft` with its products gathered, for captioning: four in place of seven, and a table of words.

    [a; q; f] = h_{t-1} [W_h, W_q, f_beta]      the LSTM's share, the query, the gate's
    z_t = sigmoid(f) * sum_i alpha_ti a_i
    h_t, c_t = gates(table[y_{t-1}] + a + z_t W_z)      table = E W_y + b, made once
    output = E y_{t-1} + [h_t; z_t] [L_h; L_z]          E y_{t-1} lies beside the table's row

The equations are those of `soft`; what is shown here is the order of the sums only.

Shapes: `N` captions, `D` feature size, `E` embedding, `H` hidden, `A` attention.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Step
from cutline.decoders.soft import Memory, Soft
from cutline.functional import Features, additive_scores, lstm_gates

__all__ = ["ReadySoft"]

Make = Callable[[Tensor, Tensor | None], Callable[[Tensor], Tensor]]

GATHERED = ("embed", "W_h", "f_beta", "Wx", "Wh", "b", "L_h", "L_z", "L_o")


class ReadySoft(Decoder):
    """Takes over a fused `Soft`, and out of it what it gathers.

    `make` lays a weight (O, I) and a bias out, `make_last` those of the map to the vocabulary. The
    regions that contexts are made of are kept as `regions`, because reading them is what takes
    time; by default as they come.
    """

    attends = True
    needs = "grid"

    def __init__(
        self, soft: Soft, make: Make, make_last: Make, regions: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.soft = soft
        self.regions = regions
        words, features = soft.embed.weight.shape[1], soft.W_a.weight.shape[1]
        hidden, attention = soft.Wh.shape[0], soft.W_h.shape[1]
        self.parts = [4 * hidden, attention, features]
        by_h = torch.cat([soft.Wh.t(), soft.W_h.t(), soft.f_beta.weight])
        none = soft.b.new_zeros(4 * hidden + attention)
        self.by_h = make(by_h, torch.cat([none, soft.f_beta.bias]))
        self.by_z = make(soft.Wx[words:].t(), None)
        self.by_hz = make(torch.cat([soft.L_h.weight, soft.L_z.weight], 1), soft.L_h.bias)
        self.by_output = make_last(soft.L_o.weight, soft.L_o.bias)
        shares = soft.embed.weight @ soft.Wx[:words] + soft.b
        self.table = torch.cat([shares, soft.embed.weight], 1)
        self.shares = [4 * hidden, words]
        for gathered in GATHERED:
            delattr(soft, gathered)

    def prepare(self, features: Features) -> Memory:
        """See `Soft`."""
        memory = self.soft.prepare(features)
        return memory._replace(grid=memory.grid.to(self.regions))

    def start(self, memory: Memory) -> Any:
        """See `Soft`."""
        return self.soft.start(memory)

    def step(self, words: Tensor, state: Any, memory: Memory) -> Step:
        """See `Soft`."""
        a, query, gate = torch.split(self.by_h(state.h), self.parts, 1)
        alpha = F.softmax(additive_scores(query, memory.keys, self.soft.v), dim=2)
        context = (alpha.to(memory.grid.dtype) @ memory.grid).flatten(0, 1)
        z = gate.sigmoid() * context
        share, word = torch.split(F.embedding(words, self.table), self.shares, 1)
        h, c = lstm_gates(share + a + self.by_z(z), state.c)
        output = word + self.by_hz(torch.cat([h, z], 1))
        return Step(output, state._replace(h=h, c=c), alpha.flatten(0, 1))

    def project(self, output: Tensor) -> Tensor:
        """See `Soft`."""
        return self.by_output(output)
