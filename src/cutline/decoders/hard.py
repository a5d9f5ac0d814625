"""Show, Attend and Tell with hard attention: one region is seen, and which one is sampled.

Xu et al. 2015 (arXiv 1502.03044), section 4.1, equations 8 to 12: the network of `soft`, but

    s_t ~ Multinoulli(alpha_t)                      z_t = a_{s_t}

and no gate. A sample has no gradient: `alpha` learns where to look by REINFORCE, from the
log-probability of the regions that were sampled (`Step.location`, `losses.reinforce`). To keep the
variance down, half of the captions train on the expected context `sum_i alpha_ti a_i` in place of
the samples. In the first `expectation_epochs` all of them do: samples from an `alpha` that knows
nothing yet teach the words to do without the image.

Shapes: `B` images, `N` captions, `R` regions, `D` feature size, `H` hidden.
"""

import copy
from typing import Literal

import torch
from torch import Tensor

from cutline.decoders.attend_and_tell import AttendAndTell, Context, HardState, Memory
from cutline.decoders.contract import Location, Step
from cutline.decoders.registry import register
from cutline.functional import multinoulli, take_regions

__all__ = ["Hard", "locate"]

UNDECIDED, SAMPLED, EXPECTED = -1, 0, 1


@register("hard")
class Hard(AttendAndTell[HardState]):
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
        self.expectation = expectation
        self.expectation_epochs = expectation_epochs
        self.expected = expectation  # in this epoch
        self.inference = inference

    def begin_epoch(self, epoch: int) -> None:
        """Decide on the share of captions that are on the expected context."""
        self.expected = 1.0 if epoch <= self.expectation_epochs else self.expectation

    def start(self, memory: Memory) -> HardState:
        """As `soft`, undecided."""
        h, c = self.first_state(memory)
        return HardState(h, c, torch.full((h.shape[0],), UNDECIDED, device=h.device))

    def without_draws(self) -> "Hard":
        """As `Decoder`: where it would sample a region, take the likeliest."""
        if self.inference != "sample":
            return self
        likeliest = copy.copy(self)
        likeliest.inference = "argmax"
        return likeliest

    def step(self, words: Tensor, state: HardState, memory: Memory) -> Step[HardState]:
        """As `soft`; in training, the first step decides for each caption on its contexts."""
        if self.training:
            expected = self.choose_expected(words.shape[0], words.device)
            decided = torch.where(expected, EXPECTED, SAMPLED)
            undecided = state.context == UNDECIDED
            state = state._replace(context=torch.where(undecided, decided, state.context))
        return super().step(words, state, memory)

    def context(self, state: HardState, memory: Memory) -> Context:
        """Take one region, or the expected one."""
        expected, alpha = self.attend(state.h, memory)
        if self.training:
            return self._sampled(alpha, memory, instead=state.context == EXPECTED, context=expected)
        if self.inference == "argmax":
            return Context(take_regions(memory.grid, alpha.argmax(1)), alpha)
        if self.inference == "expectation":
            return Context(expected, alpha)
        nobody = torch.zeros(alpha.shape[0], dtype=torch.bool, device=alpha.device)
        return self._sampled(alpha, memory, instead=nobody, context=expected)

    def choose_expected(self, captions: int, device: torch.device) -> Tensor:
        """Draw which of so many captions are on the expected context, (N,)."""
        return torch.rand(captions, device=device) < self.expected

    def sample(self, alpha: Tensor) -> Tensor:
        """Draw a region for each caption, (N,), from `alpha` (N, R)."""
        return alpha.detach().multinomial(1)[:, 0]

    def _sampled(
        self, alpha: Tensor, memory: Memory, *, instead: Tensor, context: Tensor
    ) -> Context:
        """Sample a region; rows of `instead` (N,) have the `context` (N, D) given, and none."""
        region = self.sample(alpha)
        location = locate(alpha, region.masked_fill(instead, -1))
        z = torch.where(instead.unsqueeze(1), context, take_regions(memory.grid, region))
        return Context(z, alpha, location)


def locate(alpha: Tensor, region: Tensor) -> Location:
    """Return the log-probability and entropy of regions (N,) sampled from `alpha` (N, R).

    Zeros where the region is -1, which stands for none.
    """
    nowhere = region < 0
    log_prob, entropy = multinoulli(alpha, region.clamp_min(0))
    return Location(region, log_prob.masked_fill(nowhere, 0), entropy.masked_fill(nowhere, 0))
