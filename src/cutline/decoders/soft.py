"""Show, Attend and Tell with soft attention.

Xu et al. 2015 (arXiv 1502.03044): equations 1 to 7, 13 and 14, sections 3.1.2 and 4.2.

    c_0 = f_init,c(mean a_i)        h_0 = f_init,h(mean a_i)
    e_ti = v . tanh(W_a a_i + W_h h_{t-1})          alpha_t = softmax(e_t)
    z_t = beta_t * sum_i alpha_ti a_i               beta_t = sigmoid(f_beta(h_{t-1}))
    h_t, c_t = LSTM([E y_{t-1}; z_t], h_{t-1}, c_{t-1})
    p(y_t) ~ exp(L_o(E y_{t-1} + L_h h_t + L_z z_t))

All but the third line is in `attend_and_tell`.

Shapes: `N` captions, `R` regions, `D` feature size, `H` hidden.
"""

from typing import Literal

from torch import nn

from cutline.decoders.attend_and_tell import AttendAndTell, Context, Memory, SoftState
from cutline.decoders.registry import register

__all__ = ["Soft"]


@register("soft")
class Soft(AttendAndTell[SoftState]):
    """Soft attention: the context is the expected region, gated by `beta`."""

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
        super().__init__(
            vocabulary_size=vocabulary_size,
            feature_size=feature_size,
            embedding=embedding,
            hidden=hidden,
            attention=attention,
            dropout=dropout,
            cell=cell,
        )
        self.f_beta = nn.Linear(hidden, feature_size)
        nn.init.constant_(self.f_beta.bias, 2.0)  # the gate starts open, so that attention is felt

    def start(self, memory: Memory) -> SoftState:
        """Both states come from the mean of the regions."""
        return self.first_state(memory)

    def context(self, state: SoftState, memory: Memory) -> Context:
        """Gate the expected region."""
        expected, alpha = self.attend(state.h, memory)
        beta = self.f_beta(state.h).sigmoid()
        return Context(beta * expected, alpha)
