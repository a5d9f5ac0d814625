"""Show, Attend and Tell with soft attention.

Xu et al. 2015 (arXiv 1502.03044): equations 1 to 7, 13 and 14, sections 3.1.2 and 4.2.

    c_0 = f_init,c(mean a_i)        h_0 = f_init,h(mean a_i)
    e_ti = v . tanh(W_a a_i + W_h h_{t-1})          alpha_t = softmax(e_t)
    z_t = beta_t * sum_i alpha_ti a_i               beta_t = sigmoid(f_beta(h_{t-1}))
    h_t, c_t = LSTM([E y_{t-1}; z_t], h_{t-1}, c_{t-1})
    p(y_t) ~ exp(L_o(E y_{t-1} + L_h h_t + L_z z_t))

Shapes: `B` images, `N` captions, `R` regions, `D` feature size, `E` embedding, `H` hidden,
`A` attention, `V` vocabulary.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Location, Ran, Step, uniform
from cutline.decoders.lstm import ScratchCell
from cutline.decoders.registry import register
from cutline.decoders.to_words import ToWords
from cutline.functional import Features, Keys, additive_attention, lstm_step, prepare_keys
from cutline.functional.attended_lstm import LookWeights, attended_lstm
from cutline.functional.glimpse import Draw
from cutline.functional.order import Order
from cutline.functional.products import mixed_dtype

__all__ = ["Soft"]


class Memory(NamedTuple):
    """`grid` (B, R, D) are the regions, `keys` (B, R, A) project them, `mean` is (B, D)."""

    grid: Tensor
    keys: Keys
    mean: Tensor


class State(NamedTuple):
    """`h` and `c`, both (N, H)."""

    h: Tensor
    c: Tensor


class Look(NamedTuple):
    """What one look gives: `z` (N, D), the weights `alpha` (N, R), and the place if sampled."""

    z: Tensor
    alpha: Tensor
    location: Location | None = None


@register("soft")
class Soft(Decoder):
    """Soft attention, looked through before each word, gated by `beta`, with deep output."""

    attends = True
    needs = "grid"

    def __init__(
        self,
        *,
        vocabulary_size: int,
        feature_size: int,
        embedding: int = 512,
        hidden: int = 512,
        attention: int = 512,
        dropout: float = 0.5,
        cell: Literal["scratch", "fused"] = "fused",
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.embed = nn.Embedding(vocabulary_size, embedding)
        self.init_h = nn.Linear(feature_size, hidden)
        self.init_c = nn.Linear(feature_size, hidden)
        # attention
        self.W_a = nn.Linear(feature_size, attention)
        self.W_h = uniform(hidden, attention, fan_in=hidden)
        self.v = uniform(attention, fan_in=attention)
        self.f_beta = nn.Linear(hidden, feature_size)
        nn.init.constant_(self.f_beta.bias, 2.0)  # the gate starts open, so that attention is felt
        self.scratch: ScratchCell | None = None
        if cell == "scratch":
            self.scratch = ScratchCell(embedding + feature_size, hidden)
        else:  # gates in the order i, f, o, g
            self.Wx = uniform(embedding + feature_size, 4 * hidden, fan_in=hidden)
            self.Wh = uniform(hidden, 4 * hidden, fan_in=hidden)
            self.b = nn.Parameter(torch.zeros(4 * hidden))
        # deep output
        self.L_h = nn.Linear(hidden, embedding)
        self.L_z = nn.Linear(feature_size, embedding, bias=False)
        self.L_o = ToWords(embedding, vocabulary_size)

    def prepare(self, features: Features) -> Memory:
        """Project the regions for the attention, once."""
        grid = _as_multiplied(features.grid)
        return Memory(grid, prepare_keys(self.W_a(grid)), features.grid.mean(1))

    def start(self, memory: Memory) -> State:
        """Both states come from the mean of the regions."""
        return State(self.init_h(memory.mean).tanh(), self.init_c(memory.mean).tanh())

    def step(self, words: Tensor, state: Any, memory: Memory) -> Step:
        """Look (from the previous state), read the word, then answer."""
        y = F.dropout(self.embed(words), self.dropout, self.training)
        z, alpha, location = self._look(state, memory)
        h, c = self._lstm(torch.cat([y, z], 1), state.h, state.c)
        output = y + self.L_h(F.dropout(h, self.dropout, self.training)) + self.L_z(z)
        return Step(output, state._replace(h=h, c=c), alpha, location=location)

    def run(self, words: Tensor, lengths: Tensor, memory: Memory) -> Ran | None:
        """Read whole captions on a CPU, see `functional.attended_lstm`."""
        if not self._runs(words.device.type):
            return None
        return self._run(words, Order(lengths, words), memory)

    def _runs(self, device: str) -> bool:
        by_autocast = torch.is_autocast_enabled(device) and not mixed_dtype(device)
        return self.scratch is None and device == "cpu" and not by_autocast

    def _run(self, words: Tensor, order: Order, memory: Memory, draw: Draw | None = None) -> Ran:
        y = F.dropout(self.embed(order.ending(words)), self.dropout, self.training)
        gate = () if draw else (self.f_beta.weight, self.f_beta.bias)
        weights = LookWeights(self.Wx, self.Wh, self.b, self.W_h, self.v, *gate)
        state = self.start(memory)
        h, z, alpha = attended_lstm(
            y, state.h, state.c, memory.grid, memory.keys, weights, order, draw
        )
        added = self.L_h(F.dropout(h, self.dropout, self.training)) + self.L_z(z)[order.look]
        return Ran(order, y + added, alpha[order.look])

    def project(self, output: Tensor) -> Tensor:
        """`L_o`."""
        scores: Tensor = self.L_o(F.dropout(output, self.dropout, self.training))
        return scores

    def _look(self, state: Any, memory: Memory) -> Look:
        """Make the context: the one thing that hard attention does otherwise."""
        context, alpha = additive_attention(state.h, memory.keys, memory.grid, self.W_h, self.v)
        return Look(self.f_beta(state.h).sigmoid() * context, alpha)

    def _lstm(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        if self.scratch is not None:
            new: tuple[Tensor, Tensor] = self.scratch(x, h, c)
            return new
        return lstm_step(x, h, c, self.Wx, self.Wh, self.b)


def _as_multiplied(x: Tensor) -> Tensor:
    """Cast `x` once as autocast would at each of its products; without autocast it is as it is."""
    device = x.device.type
    narrow = x.dtype == torch.float32 and torch.is_autocast_enabled(device)
    return x.to(torch.get_autocast_dtype(device)) if narrow else x
