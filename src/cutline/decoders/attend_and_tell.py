"""Show, Attend and Tell: what soft and hard attention have in common.

Xu et al. 2015 (arXiv 1502.03044): equations 1 to 7, section 3.1.2. `soft` and `hard` differ in the
context `z_t` that they make of the regions, and in nothing else.

    c_0 = f_init,c(mean a_i)        h_0 = f_init,h(mean a_i)
    e_ti = v . tanh(W_a a_i + W_h h_{t-1})          alpha_t = softmax(e_t)
    h_t, c_t = LSTM([E y_{t-1}; z_t], h_{t-1}, c_{t-1})
    p(y_t) ~ exp(L_o(E y_{t-1} + L_h h_t + L_z z_t))

Shapes: `B` images, `N` captions, `R` regions, `D` feature size, `E` embedding, `H` hidden,
`A` attention, `V` vocabulary.
"""

from abc import abstractmethod
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Location, Step, uniform
from cutline.decoders.lstm import ScratchCell
from cutline.functional import Features, additive_attention, lstm_step

__all__ = ["AttendAndTell", "Context", "HardState", "Memory", "SoftState"]


class Memory(NamedTuple):
    """`grid` (B, R, D) are the regions `a_i`, `keys` (B, R, A) are `W_a a_i`, `mean` is (B, D)."""

    grid: Tensor
    keys: Tensor
    mean: Tensor


class SoftState(NamedTuple):
    """`h` and `c`, both (N, H)."""

    h: Tensor
    c: Tensor


class HardState(NamedTuple):
    """`h` and `c`, both (N, H), and `context` (N,): the kind of context of a whole caption.

    `EXPECTED` or `SAMPLED`; `UNDECIDED` until the first step in training, because the captions of
    an image, which start as one, are decided on one by one.
    """

    h: Tensor
    c: Tensor
    context: Tensor


State = TypeVar("State", SoftState, HardState)


class Context(NamedTuple):
    """`z` (N, D), the attention weights `alpha` (N, R), and the region if one was sampled."""

    z: Tensor
    alpha: Tensor
    location: Location | None = None


class AttendAndTell(Decoder[Memory, State]):
    """Additive attention before each word, an LSTM that reads word and context, deep output."""

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
        self.L_o = nn.Linear(embedding, vocabulary_size)

    def prepare(self, features: Features) -> Memory:
        """Project the regions for the attention, once."""
        return Memory(features.grid, self.W_a(features.grid), features.grid.mean(1))

    def step(self, words: Tensor, state: State, memory: Memory) -> Step[State]:
        """Attend (with the previous state), read the word, then answer."""
        y = F.dropout(self.embed(words), self.dropout, self.training)
        z, alpha, location = self.context(state, memory)
        h, c = self._lstm(torch.cat([y, z], 1), state.h, state.c)
        output = y + self.L_h(F.dropout(h, self.dropout, self.training)) + self.L_z(z)
        return Step(output, state._replace(h=h, c=c), alpha, location=location)

    def project(self, output: Tensor) -> Tensor:
        """`L_o`."""
        logits: Tensor = self.L_o(F.dropout(output, self.dropout, self.training))
        return logits

    @abstractmethod
    def context(self, state: State, memory: Memory) -> Context:
        """Make `z_t` of the regions, with the state before the word."""

    def attend(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return the expected context `sum_i alpha_ti a_i` (N, D) and `alpha_t` (N, R)."""
        return additive_attention(h, memory.keys, memory.grid, self.W_h, self.v)

    def first_state(self, memory: Memory) -> SoftState:
        """Both states come from the mean of the regions."""
        return SoftState(self.init_h(memory.mean).tanh(), self.init_c(memory.mean).tanh())

    def _lstm(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        if self.scratch is not None:
            new: tuple[Tensor, Tensor] = self.scratch(x, h, c)
            return new
        return lstm_step(x, h, c, self.Wx, self.Wh, self.b)
