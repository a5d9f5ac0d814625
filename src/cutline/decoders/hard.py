"""Show, Attend and Tell with hard attention: one region is looked at, and which one is drawn.

Xu et al. 2015 (arXiv 1502.03044), section 4.1, equations 8 to 12: the network of `soft`, but

    s_t ~ Multinoulli(alpha_t)                      z_t = a_{s_t}

and no gate. A draw has no gradient: `alpha` learns where to look by REINFORCE, from the
log-probability of the places that were drawn (`Step.location`, `losses.reinforce`). To keep the
variance down, half of the captions train on the expected context `sum_i alpha_ti a_i` in place of
the draws. In the first `expectation_epochs` all of them do: draws from an `alpha` that knows
nothing yet teach the words to do without the image.

Shapes: `B` images, `N` captions, `R` regions, `D` feature size, `H` hidden.
"""

import copy
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from cutline.decoders.contract import Location, Ran, Step, take_rows
from cutline.decoders.registry import register
from cutline.decoders.soft import Look, Memory, Soft
from cutline.functional import additive_attention, multinoulli, take_regions
from cutline.functional.order import Order, Reading

__all__ = ["Hard"]

UNDECIDED, SAMPLED, EXPECTED = -1, 0, 1


class State(NamedTuple):
    """`h` and `c`, both (N, H), and `context` (N,): what a caption looks at as long as it lasts.

    `EXPECTED` contexts or `SAMPLED` ones; `UNDECIDED` until the first step in training, because the
    captions of an image, which start as one, are decided on one by one.
    """

    h: Tensor
    c: Tensor
    context: Tensor


@register("hard")
class Hard(Soft):
    """Hard attention: sampled while training, chosen as `inference` says otherwise."""

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
        expectation: float = 0.5,
        expectation_epochs: int = 0,
        inference: Literal["argmax", "sample", "expectation"] = "argmax",
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
        del self.f_beta  # the gate belongs to the soft context, section 4.2.1
        self.expectation = expectation
        self.expectation_epochs = expectation_epochs
        self.expected = expectation  # in this epoch
        self.inference = inference

    def begin_epoch(self, epoch: int) -> None:
        """Decide on the share of captions that are on the expected context."""
        self.expected = 1.0 if epoch <= self.expectation_epochs else self.expectation

    def start(self, memory: Memory) -> Any:
        """As `soft`, undecided."""
        h, c = super().start(memory)
        undecided = torch.full((h.shape[0],), UNDECIDED, device=h.device)
        return State(h, c, undecided)

    def without_draws(self) -> "Hard":
        """As `Decoder`: where it would draw a region, look at the likeliest."""
        if self.inference != "sample":
            return self
        likeliest = copy.copy(self)
        likeliest.inference = "argmax"
        return likeliest

    def run(self, words: Tensor, lengths: Tensor, memory: Memory) -> Ran | None:
        """As `soft`, in training; a caption whose places are drawn has looks of its own."""
        if not (self.training and self._runs(words.device.type)):
            return None
        expected = torch.rand(len(words), device=words.device) < self.expected
        order = Order(lengths, words, alone=~expected)
        looks_at = []

        def draw(reading: Reading, alpha: Tensor) -> Tensor:
            looks_at.append(self._draw(alpha).masked_fill(~order.alone[reading.looks], -1))
            return looks_at[-1]

        ran = self._run(words, order, memory, draw)
        assert ran.attention is not None
        location = _locate(ran.attention, torch.cat(looks_at)[order.look])
        return ran._replace(location=take_rows(location, order.prefix))

    def step(self, words: Tensor, state: Any, memory: Memory) -> Step:
        """As `soft`; in training, the first step decides for each caption what it looks at."""
        if self.training:
            expected = torch.rand(len(words), device=words.device) < self.expected
            decided = torch.where(expected, EXPECTED, SAMPLED)
            undecided = state.context == UNDECIDED
            state = state._replace(context=torch.where(undecided, decided, state.context))
        return super().step(words, state, memory)

    def _look(self, state: Any, memory: Memory) -> Look:
        expected, alpha = additive_attention(state.h, memory.keys, memory.grid, self.W_h, self.v)
        if self.training:
            return self._sample(alpha, memory, instead=state.context == EXPECTED, context=expected)
        if self.inference == "argmax":
            return Look(take_regions(memory.grid, alpha.argmax(1)), alpha)
        if self.inference == "expectation":
            return Look(expected, alpha)
        nobody = torch.zeros(alpha.shape[0], dtype=torch.bool, device=alpha.device)
        return self._sample(alpha, memory, instead=nobody, context=expected)

    def _sample(self, alpha: Tensor, memory: Memory, *, instead: Tensor, context: Tensor) -> Look:
        """Draw where to look; rows of `instead` (N,) look at `context` (N, D), and nowhere."""
        region = self._draw(alpha)
        location = _locate(alpha, region.masked_fill(instead, -1))
        z = torch.where(instead.unsqueeze(1), context, take_regions(memory.grid, region))
        return Look(z, alpha, location)

    def _draw(self, alpha: Tensor) -> Tensor:
        return alpha.detach().multinomial(1)[:, 0]


def _locate(alpha: Tensor, region: Tensor) -> Location:
    """Say how probable regions (N,) were, drawn from `alpha` (N, R); -1 where none was."""
    nowhere = region < 0
    log_prob, entropy = multinoulli(alpha, region.clamp_min(0))
    return Location(region, log_prob.masked_fill(nowhere, 0), entropy.masked_fill(nowhere, 0))
