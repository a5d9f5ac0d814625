"""Adaptive attention: `spatial` with a visual sentinel beside the regions.

Lu et al. 2017 (arXiv 1612.01887), section 2.3, equations 9 to 13; the rest is that of `spatial`.

    g_t = sigmoid(W_x x_t + W_h h_{t-1})            s_t = g_t * tanh(m_t)
    alpha^_t = softmax([z_t; w_z . tanh(W_s s_t + W_g h_t)])      beta_t = alpha^_t[R+1]
    c^_t = beta_t s_t + (1 - beta_t) c_t            p(y_t) = softmax(W_p (c^_t + h_t))

`beta_t` is reported as `Step.sentinel`. `Step.attention` is `alpha^_t` without it: what is left for
the regions, `1 - beta_t` in all.

Where the encoder is trained from nothing the sentinel helps long before any region does: `beta`
goes to one and the regions are never learned. `sentinel_dropout` keeps it closed for a share of the
words that training reads.

Shapes: `N` captions, `R` regions, `E` embedding, `H` hidden, `A` attention.
"""

from typing import Literal

import torch
from torch import Tensor

from cutline.decoders.contract import Step, uniform
from cutline.decoders.lstm import LstmState
from cutline.decoders.registry import register
from cutline.decoders.spatial import Memory, Spatial
from cutline.functional import adaptive_attention, visual_sentinel

__all__ = ["Adaptive"]


@register("adaptive")
class Adaptive(Spatial):
    """Spatial attention with a visual sentinel."""

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
        sentinel_dropout: float = 0.0,
    ) -> None:
        super().__init__(
            vocabulary_size=vocabulary_size,
            feature_size=feature_size,
            embedding=embedding,
            hidden=hidden,
            attention=attention,
            dropout=dropout,
            cell=cell,
        )
        self.sentinel_dropout = sentinel_dropout
        self.W_x = uniform(embedding + hidden, hidden, fan_in=hidden)
        self.W_h = uniform(hidden, hidden, fan_in=hidden)
        self.W_s = uniform(hidden, attention, fan_in=hidden)

    def step(self, words: Tensor, state: LstmState, memory: Memory) -> Step[LstmState]:
        """Read the word, attend to the regions and to the sentinel, then answer."""
        x = self._input(words, memory)
        h, new = self.lstm.step(x, state)
        s = visual_sentinel(x, state.h[:, 0], new.c[:, 0], self.W_x, self.W_h)
        closed = None
        if self.training and self.sentinel_dropout:
            closed = torch.rand(words.shape[0], device=words.device) < self.sentinel_dropout
        c, alpha, beta = self.attend_adaptively(h, s, memory, closed)
        return Step(c + h, new, alpha, beta)

    def attend_adaptively(
        self, h: Tensor, s: Tensor, memory: Memory, closed: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the context `c^_t` (N, H), the regions' weights (N, R) and `beta_t` (N,)."""
        return adaptive_attention(h, s, memory.keys, memory.V, self.W_g, self.W_s, self.w_z, closed)
