"""`soft` with its products gathered, for captioning: four in place of seven, and a table of words.

What a caption sees depends on the state before, so that captions with the same parent see the same:
the look, first half of a step, is made once for all of them (`twins`).

    [a; q; f] = h_{t-1} [W_h, W_q, f_beta]      the LSTM's share, the query, the gate's
    z_t = sigmoid(f) * sum_i alpha_ti a_i
    [b; l] = z_t [W_z, L_z]                     what is seen, for the LSTM and for the answer

    h_t, c_t = gates(table[y_{t-1}] + a + b)    table = E W_y + b, made once
    output = E y_{t-1} + l + h_t L_h            E y_{t-1} lies beside the table's row

The equations are those of `soft`; what is shown here is the order of the sums only.

Shapes: `B` images, `N` captions, `M` of them that see different things, `D` feature size, `E`
embedding, `H` hidden, `A` attention.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders.best import Rough
from cutline.decoders.contract import Decoder, Step
from cutline.decoders.soft import Memory, Soft
from cutline.decoders.twins import find_twins
from cutline.functional import Features, prepare_keys
from cutline.functional.packed_lstm import through_gates
from cutline.functional.products import Product
from cutline.functional.ragged import ragged_attention

__all__ = ["ReadySoft"]

Make = Callable[[Tensor, Tensor | None], Product]
Rank = Callable[[Tensor], Tensor | Rough]

GATHERED = ("embed", "W_h", "f_beta", "Wx", "Wh", "b", "L_h", "L_z", "L_o")


class State(NamedTuple):
    """`h` and `c`, both (N, H), and `parent` (N,): which row each was before rows were chosen."""

    h: Tensor
    c: Tensor
    parent: Tensor


class ReadySoft(Decoder):
    """Takes over a fused `Soft`, and out of it what it gathers.

    `make` lays a weight (O, I) and a bias out, `rank` those of the map to the vocabulary. The
    regions that contexts are made of are kept as `regions`, because reading them is what takes
    time; by default as they come.
    """

    attends = True
    needs = "grid"

    def __init__(
        self,
        soft: Soft,
        make: Make,
        rank: Callable[[Tensor, Tensor], Rank],
        regions: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.soft = soft
        self.regions = regions
        words, features = soft.embed.weight.shape[1], soft.W_a.weight.shape[1]
        hidden, attention = soft.Wh.shape[0], soft.W_h.shape[1]
        self.parts = [4 * hidden, attention, features]
        self.shares = [4 * hidden, words]
        none = soft.b.new_zeros(4 * hidden + attention)
        self.by_h = make(
            torch.cat([soft.Wh.t(), soft.W_h.t(), soft.f_beta.weight]),
            torch.cat([none, soft.f_beta.bias]),
        )
        Wy, Wz = torch.split(soft.Wx, [words, features])
        self.by_z = make(torch.cat([Wz.t(), soft.L_z.weight]), None)
        self.by_new_h = make(soft.L_h.weight, soft.L_h.bias)
        self.by_output = rank(soft.L_o.weight, soft.L_o.bias)
        table = soft.embed.weight @ Wy + soft.b
        self.table = torch.cat([table, soft.embed.weight], 1)
        for gathered in GATHERED:
            delattr(soft, gathered)

    def prepare(self, features: Features) -> Memory:
        """See `Soft`."""
        grid = features.grid.to(self.regions or features.grid.dtype).contiguous()
        return Memory(grid, prepare_keys(self.soft.W_a(grid)), features.grid.mean(1))

    def start(self, memory: Memory) -> Any:
        """See `Soft`."""
        h, c = self.soft.start(memory)
        return State(h, c, torch.arange(len(h)))

    def step(self, words: Tensor, state: Any, memory: Memory) -> Step:
        """See `Soft`."""
        twins = find_twins(state.parent, len(memory.grid))
        seen, alpha = self._look(twins.choose(state.h), memory, twins.counts)
        inner, answer = torch.split(twins.spread(seen), self.shares, 1)
        share, word = torch.split(F.embedding(words, self.table), self.shares, 1)
        h, c = torch.empty_like(state.h), torch.empty_like(state.c)
        through_gates(share + inner, state.c, h=h, c=c)
        output = self.by_new_h(h).add_(word).add_(answer)
        return Step(output, State(h, c, torch.arange(len(h))), twins.spread(alpha))

    def project(self, output: Tensor) -> Tensor:
        """See `Soft`."""
        scores = self.by_output(output)
        return scores if isinstance(scores, Tensor) else scores.whole()

    def rank(self, output: Tensor) -> Tensor | Rough:
        """See `Decoder.rank`."""
        return self.by_output(output)

    def _look(self, h: Tensor, memory: Memory, counts: list[int]) -> tuple[Tensor, Tensor]:
        """From `M` states, so many of each image, to `[a + b; l]` (M, 4H + E) and `alpha`."""
        a, query, gate = torch.split(self.by_h(h), self.parts, 1)
        alpha, context = ragged_attention(query, memory.keys, self.soft.v, memory.grid, counts)
        z = gate.sigmoid().mul_(context)
        seen = self.by_z(z)
        seen[:, : self.shares[0]] += a
        return seen, alpha
