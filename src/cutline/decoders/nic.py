"""Show and Tell, the Neural Image Caption generator.

Vinyals et al. 2015 (arXiv 1411.4555), equations 10 to 12: the image is the LSTM's first input and
is never seen again.

    x_{-1} = W_i CNN(I)      x_t = W_e S_t      h_t, c_t = LSTM(x_t, h_{t-1}, c_{t-1})
    p(y_t) = softmax(W_v h_t)

Shapes: `B` images, `N` captions, `D` feature size, `E` embedding, `H` hidden, `V` vocabulary.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Step, uniform
from cutline.decoders.registry import register
from cutline.functional import Features, lstm_step

__all__ = ["Nic"]


class Memory(NamedTuple):
    """`image` (B, E): the pooled feature, projected to the size of a word."""

    image: Tensor


class State(NamedTuple):
    """`h` and `c`, both (N, H)."""

    h: Tensor
    c: Tensor


@register("nic")
class Nic(Decoder):
    """An LSTM that reads the image as if it were the first word."""

    attends = False
    needs = "pooled"

    def __init__(
        self,
        *,
        vocabulary_size: int,
        feature_size: int,
        embedding: int = 512,
        hidden: int = 512,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.hidden = hidden
        self.W_i = nn.Linear(feature_size, embedding)
        self.embed = nn.Embedding(vocabulary_size, embedding)
        # LSTM, gates in the order i, f, o, g
        self.Wx = uniform(embedding, 4 * hidden, fan_in=hidden)
        self.Wh = uniform(hidden, 4 * hidden, fan_in=hidden)
        self.b = nn.Parameter(torch.zeros(4 * hidden))
        self.W_v = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> Memory:
        """Project the pooled feature to the size of a word."""
        return Memory(self.W_i(features.pooled))

    def start(self, memory: Memory) -> State:
        """Read the image from an empty state."""
        empty = memory.image.new_zeros(memory.image.shape[0], self.hidden)
        return self._read(memory.image, State(empty, empty))

    def step(self, words: Tensor, state: State, memory: Memory) -> Step:  # noqa: ARG002
        """Read the word; the image has been read already."""
        state = self._read(self.embed(words), state)
        return Step(state.h, state)

    def project(self, output: Tensor) -> Tensor:
        """`W_v`."""
        scores: Tensor = self.W_v(F.dropout(output, self.dropout, self.training))
        return scores

    def _read(self, x: Tensor, state: State) -> State:
        x = F.dropout(x, self.dropout, self.training)
        return State(*lstm_step(x, state.h, state.c, self.Wx, self.Wh, self.b))
