"""The vanilla RNN captioner: the image is where its state starts.

Karpathy & Li 2015 (arXiv 1412.2306), equations 13 to 15, with the image as the first state in
place of a bias of the first step.

    h_0 = W_p CNN(I) + b_p
    h_t = tanh(x_t W_x + h_{t-1} W_h + b)           x_t the embedding of word t
    scores_t = h_t W_v + b_v

Shapes: `B` images, `N` captions, `D` feature size, `E` embedding, `H` hidden,
`V` vocabulary.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Step, uniform
from cutline.decoders.registry import register
from cutline.functional import Features, rnn_step

__all__ = ["Rnn"]


class Memory(NamedTuple):
    """`image` (B, H): the pooled feature, projected to the size of a state."""

    image: Tensor


class State(NamedTuple):
    """`h` (N, H)."""

    h: Tensor


@register("rnn")
class Rnn(Decoder[Memory, State]):
    """A plain recurrent network.

    With `backward="manual"` whole captions train with `functional.rnn_backward`, the gradient
    through time written out by hand (`cutline.fast`); single steps are autograd's in any case.
    """

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
        backward: Literal["auto", "manual"] = "auto",
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.by_hand = backward == "manual"
        self.W_p = nn.Linear(feature_size, hidden)
        self.embed = nn.Embedding(vocabulary_size, embedding)
        self.Wx = uniform(embedding, hidden, fan_in=hidden)
        self.Wh = uniform(hidden, hidden, fan_in=hidden)
        self.b = nn.Parameter(torch.zeros(hidden))
        self.W_v = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> Memory:
        """Project the pooled feature to the size of a state."""
        return Memory(self.W_p(features.pooled))

    def start(self, memory: Memory) -> State:
        """Start from the image."""
        return State(memory.image)

    def step(self, words: Tensor, state: State, memory: Memory) -> Step[State]:  # noqa: ARG002
        """Read the word; the image is in the state already."""
        h = rnn_step(self.drop(self.embed(words)), state.h, self.Wx, self.Wh, self.b)
        return Step(h, State(h))

    def project(self, output: Tensor) -> Tensor:
        """`W_v`."""
        logits: Tensor = self.W_v(self.drop(output))
        return logits

    def drop(self, x: Tensor) -> Tensor:
        """Apply dropout, in training."""
        return F.dropout(x, self.dropout, self.training)
