"""An LSTM with scaled dot-product attention over the projected grid.

    A = W_p a + b_p                  an affine map of each region: a 1x1 convolution of the grid
    h_0 = c_0 = mean_R(A)
    M = softmax(h_{t-1} . A / sqrt(H))              x_attn = A M
    h_t, c_t = LSTM, its pre-activation x_t W_x + h_{t-1} W_h + x_attn W_attn + b
    scores_t = h_t W_v + b_v

The scores are those of Luong et al. 2015 (arXiv 1508.04025), section 3.1, scaled as in Vaswani et
al. 2017 (arXiv 1706.03762), equation 1.

Shapes: `B` images, `N` captions, `R` regions (a grid of `h x w`), `D` feature size, `E` embedding,
`H` hidden, `V` vocabulary.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Step, uniform
from cutline.decoders.lstm import ScratchCell
from cutline.decoders.registry import register
from cutline.functional import Features, attention_lstm_step, dot_product_attention

__all__ = ["Dot"]


class Memory(NamedTuple):
    """`A` (B, H, h, w): the projected grid."""

    A: Tensor


class State(NamedTuple):
    """`h` and `c`, both (N, H)."""

    h: Tensor
    c: Tensor


@register("dot")
class Dot(Decoder[Memory, State]):
    """Dot-product attention before each word."""

    attends = True
    needs = "grid"

    def __init__(
        self,
        *,
        vocabulary_size: int,
        feature_size: int,
        embedding: int = 512,
        hidden: int = 512,
        dropout: float = 0.5,
        cell: Literal["scratch", "fused"] = "fused",
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.W_p = nn.Linear(feature_size, hidden)
        # features have passed a ReLU: as PyTorch draws it, its weight hardly changes at first
        nn.init.kaiming_normal_(self.W_p.weight, nonlinearity="relu")
        self.embed = nn.Embedding(vocabulary_size, embedding)
        self.scratch: ScratchCell | None = None
        if cell == "scratch":
            self.scratch = ScratchCell(embedding + hidden, hidden)
        else:  # gates in the order i, f, o, g
            self.Wx = uniform(embedding, 4 * hidden, fan_in=hidden)
            self.Wh = uniform(hidden, 4 * hidden, fan_in=hidden)
            self.Wattn = uniform(hidden, 4 * hidden, fan_in=hidden)
            self.b = nn.Parameter(torch.zeros(4 * hidden))
        self.W_v = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> Memory:
        """Project the grid to the size of a state."""
        A = self.W_p(features.grid).transpose(1, 2)
        return Memory(A.unflatten(2, (features.height, features.width)))

    def start(self, memory: Memory) -> State:
        """Both states are the mean of the projected grid."""
        mean = memory.A.mean((2, 3))
        return State(mean, mean)

    def step(self, words: Tensor, state: State, memory: Memory) -> Step[State]:
        """Attend (with the previous state), then read the word."""
        x = F.dropout(self.embed(words), self.dropout, self.training)
        x_attn, M = dot_product_attention(state.h, memory.A)
        h, c = self._lstm(x, x_attn, state)
        return Step(h, State(h, c), M.flatten(1))

    def project(self, output: Tensor) -> Tensor:
        """`W_v`."""
        logits: Tensor = self.W_v(F.dropout(output, self.dropout, self.training))
        return logits

    def _lstm(self, x: Tensor, x_attn: Tensor, state: State) -> tuple[Tensor, Tensor]:
        if self.scratch is not None:
            new: tuple[Tensor, Tensor] = self.scratch(torch.cat([x, x_attn], 1), *state)
            return new
        return attention_lstm_step(x, *state, x_attn, self.Wx, self.Wh, self.Wattn, self.b)
