"""Spatial attention, driven by the new hidden state of the LSTM.

Lu et al. 2017 (arXiv 1612.01887), section 2.2, equations 3 to 8 and 13 to 16.

    v_i = relu(W_a a_i)         v_g = relu(W_b mean a_i)        x_t = [w_t; v_g]
    h_t, m_t = LSTM(x_t, h_{t-1}, m_{t-1})                      h_0 = m_0 = 0
    z_ti = w_z . tanh(W_v v_i + W_g h_t)              alpha_t = softmax(z_t)
    c_t = sum_i alpha_ti v_i                        p(y_t) = softmax(W_p (c_t + h_t))

Shapes: `B` images, `N` captions, `R` regions, `D` feature size, `E` embedding, `H` hidden (and the
size of a `v_i`), `A` attention, `V` vocabulary.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Step, uniform
from cutline.decoders.lstm import LstmState, build_lstm
from cutline.decoders.registry import register
from cutline.functional import Features, additive_attention

__all__ = ["Spatial"]


class Memory(NamedTuple):
    """`V` (B, R, H) are the regions, `keys` (B, R, A) project them, `v_g` (B, H)."""

    V: Tensor
    keys: Tensor
    v_g: Tensor


@register("spatial")
class Spatial(Decoder[Memory, LstmState]):
    """Attention driven by the new hidden state, used at the output only."""

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
        self.W_a = nn.Linear(feature_size, hidden)
        self.W_b = nn.Linear(feature_size, hidden)
        for linear in (self.W_a, self.W_b):
            # a ReLU halves the variance: without this V hardly changes the output at first
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        self.lstm = build_lstm(cell, embedding + hidden, hidden)
        # attention
        self.W_v = uniform(hidden, attention, fan_in=hidden)
        self.W_g = uniform(hidden, attention, fan_in=hidden)
        self.w_z = uniform(attention, fan_in=attention)
        self.W_p = nn.Linear(hidden, vocabulary_size)

    def prepare(self, features: Features) -> Memory:
        """Map the regions and their mean to the size of a state."""
        V = self.W_a(features.grid).relu()
        return Memory(V, V @ self.W_v, self.W_b(features.grid.mean(1)).relu())

    def start(self, memory: Memory) -> LstmState:
        """Both states are empty: each input shows the image."""
        return self.lstm.start(memory.V.shape[0])

    def step(self, words: Tensor, state: LstmState, memory: Memory) -> Step[LstmState]:
        """Read the word, attend (with the new state), then answer."""
        h, state = self.lstm.step(self._input(words, memory), state)
        c, alpha = self.attend(h, memory)
        return Step(c + h, state, alpha)

    def project(self, output: Tensor) -> Tensor:
        """`W_p`."""
        logits: Tensor = self.W_p(F.dropout(output, self.dropout, self.training))
        return logits

    def attend(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return the context `c_t` (N, H) and `alpha_t` (N, R)."""
        return additive_attention(h, memory.keys, memory.V, self.W_g, self.w_z)

    def _input(self, words: Tensor, memory: Memory) -> Tensor:
        """`x_t = [w_t; v_g]`, (N, E + H)."""
        w = self.embed(words)
        v_g = memory.v_g.repeat_interleave(words.shape[0] // memory.v_g.shape[0], 0)
        return F.dropout(torch.cat([w, v_g], 1), self.dropout, self.training)
