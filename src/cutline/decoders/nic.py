"""Show and Tell, the Neural Image Caption generator.

Vinyals et al. 2015 (arXiv 1411.4555), equations 10 to 12: the image is the LSTM's first input and
is never seen again.

    x_{-1} = W_i CNN(I)      x_t = W_e S_t      h_t, c_t = LSTM(x_t, h_{t-1}, c_{t-1})
    p(y_t) = softmax(W_v h_t)

The LSTM is PyTorch's, `h_t = o_t * tanh(c_t)`; the paper's equation 8, `m_t = o_t * c_t`, has no
tanh on the cell.

Shapes: `B` images, `N` captions, `D` feature size, `E` embedding, `H` hidden,
`V` vocabulary.
"""

from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Step
from cutline.decoders.lstm import LstmState, build_lstm
from cutline.decoders.registry import register
from cutline.functional import Features

__all__ = ["Nic"]


class Memory(NamedTuple):
    """`image` (B, E): the pooled feature, projected to the size of a word."""

    image: Tensor


@register("nic")
class Nic(Decoder[Memory, LstmState]):
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
        layers: int = 1,
        dropout: float = 0.5,
        cell: Literal["scratch", "fused"] = "fused",
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.W_i = nn.Linear(feature_size, embedding)
        self.embed = nn.Embedding(vocabulary_size, embedding)
        self.lstm = build_lstm(cell, embedding, hidden, layers=layers, dropout=dropout)
        self.W_v = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> Memory:
        """Project the pooled feature to the size of a word."""
        return Memory(self.W_i(features.pooled))

    def start(self, memory: Memory) -> LstmState:
        """Read the image from an empty state."""
        empty = self.lstm.start(memory.image.shape[0])
        return self.lstm.step(self.drop(memory.image), empty)[1]

    def step(self, words: Tensor, state: LstmState, memory: Memory) -> Step[LstmState]:  # noqa: ARG002
        """Read the word; the image has been read already."""
        h, state = self.lstm.step(self.drop(self.embed(words)), state)
        return Step(h, state)

    def project(self, output: Tensor) -> Tensor:
        """`W_v`."""
        logits: Tensor = self.W_v(self.drop(output))
        return logits

    def drop(self, x: Tensor) -> Tensor:
        """Apply dropout, in training."""
        return F.dropout(x, self.dropout, self.training)
