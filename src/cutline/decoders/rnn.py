"""The vanilla RNN captioner: the image is where its state starts.

Karpathy & Li 2015 (arXiv 1412.2306), equations 13 to 15, with the image as the first state in
place of a bias of the first step.

    h_0 = W_p CNN(I) + b_p
    h_t = tanh(x_t W_x + h_{t-1} W_h + b)           x_t the embedding of word t
    scores_t = h_t W_v + b_v

Shapes: `B` images, `N` captions, `T` time steps, `D` feature size, `E` embedding, `H` hidden,
`V` vocabulary.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Ran, Step, repeat_rows, uniform
from cutline.decoders.registry import register
from cutline.decoders.to_words import ToWords
from cutline.functional import Features, rnn, rnn_backward, rnn_step
from cutline.functional.order import Order

__all__ = ["Rnn"]

BLOCKS = 5  # fewer read more padding, more make smaller products: 4 to 8 are alike on Flickr8k


class Memory(NamedTuple):
    """`image` (B, H): the pooled feature, projected to the size of a state."""

    image: Tensor


class State(NamedTuple):
    """`h` (N, H)."""

    h: Tensor


@register("rnn")
class Rnn(Decoder):
    """A plain recurrent network; `backward` says who computes its gradient through time."""

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
        self.W_v = ToWords(hidden, vocabulary_size)

    def prepare(self, features: Features) -> Memory:
        """Project the pooled feature to the size of a state."""
        return Memory(self.W_p(features.pooled))

    def start(self, memory: Memory) -> State:
        """Start from the image."""
        return State(memory.image)

    def step(self, words: Tensor, state: State, memory: Memory) -> Step:  # noqa: ARG002
        """Read the word; the image is in the state already."""
        h = rnn_step(self._drop(self.embed(words)), state.h, self.Wx, self.Wh, self.b)
        return Step(h, State(h))

    def run(self, words: Tensor, lengths: Tensor, memory: Memory) -> Ran:
        """Read whole captions, in blocks of similar length: the padding of each is read too."""
        order = Order(lengths, words)
        words = words[:, : order.longest]
        state = repeat_rows(self.start(memory), lengths.shape[1])
        lengths = lengths.flatten()
        forward = rnn_by_hand if self.by_hand else rnn
        longest_first = lengths.argsort(descending=True)
        outputs = []
        for rows in longest_first.chunk(BLOCKS):
            longest = max(1, int(lengths[rows[0]]))
            x = self._drop(self.embed(words[rows, :longest]))
            h = forward(x, state.h[rows], self.Wx, self.Wh, self.b)
            outputs.append(F.pad(h, (0, 0, 0, words.shape[1] - longest)))
        return Ran(order, order.ending(torch.cat(outputs)[longest_first.argsort()]))

    def project(self, output: Tensor) -> Tensor:
        """`W_v`."""
        scores: Tensor = self.W_v(self._drop(output))
        return scores

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def rnn_by_hand(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    """`functional.rnn`, whose gradient `functional.rnn_backward` computes."""
    # mixed precision would make the forward's types differ from those the gradient needs
    with torch.autocast(x.device.type, enabled=False):
        h: Tensor = _ByHand.apply(x, h0.to(x.dtype), Wx, Wh, b)
    return h


class _ByHand(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
        h = rnn(x, h0, Wx, Wh, b)
        ctx.save_for_backward(x, h0, h, Wx, Wh)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor, ...]:
        return tuple(rnn_backward(dh, *ctx.saved_tensors))
