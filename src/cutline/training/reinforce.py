"""REINFORCE for hard attention, and its baselines.

Xu et al. 2015 (arXiv 1502.03044), section 4.1; see `cutline.losses.reinforce`.

Shapes: `B` images, `K` captions an image, `N = B * K`, `T` steps, `M` real words of all captions.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cutline.config import HardConfig
from cutline.decoders import Unrolled
from cutline.losses import moving_baseline, reinforce, sum_by_caption
from cutline.training.devices import Processes

__all__ = ["Mean", "Reinforce"]


class Mean(NamedTuple):
    """A figure, and how many things it is a mean over."""

    value: Tensor
    over: Tensor | int


class Reinforce(nn.Module):
    """The loss of the sampled regions: REINFORCE's term, and that of the attention's entropy.

    `decoder.credit` is the reward of a sampled region. `caption` is the paper's: the
    log-probability of the whole caption, with one moving average as its baseline. `reward_to_go`
    leaves out the words before the region was sampled, which it cannot have changed, and has a
    moving average for each number of words that are left.

    `decoder.baseline` is what is subtracted from the reward. `moving` is that average;
    `leave_one_out` is the mean reward of the other samples of the same caption, on the expected
    context or drawn (Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!"). No
    baseline depends on the regions that it is subtracted for, so the estimator stays unbiased, and
    its variance falls. With several `processes`, the rewards of all of them move one average.
    """

    baseline: Tensor

    def __init__(
        self, config: HardConfig, max_words: int, processes: Processes | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.processes = processes or Processes()
        # no average before the first batch, whose baseline is its own mean
        size = (max_words + 2,) if config.credit == "reward_to_go" else ()
        self.register_buffer("baseline", torch.full(size, torch.nan))

    def forward(
        self, unrolled: Unrolled, log_likelihood: Tensor, lengths: Tensor, *, steps: int
    ) -> tuple[Tensor, dict[str, Mean]]:
        """Return the terms as a loss, averaged over captions, and figures to show.

        Args:
            unrolled: with the places of `M` words; those that were not drawn have region -1.
            log_likelihood: of each word, (M,).
            lengths: words of each caption, (B, K).
            steps: `T` of what was unrolled.
        """
        assert unrolled.location is not None
        region, log_prob, entropy = unrolled.location
        drawn = region >= 0
        if not self.processes.total(drawn.sum()):
            return log_prob.new_zeros(()), {}
        by_caption = self.config.credit == "caption"
        terms_of = self._whole_caption if by_caption else self._reward_to_go
        terms, figures = terms_of(unrolled, log_likelihood, lengths.flatten(), drawn, steps)
        return terms, {
            **figures,
            "reinforce_baseline": Mean(self.baseline.nanmean(), 1),
            "attention_entropy": Mean(entropy.sum().detach() / drawn.sum(), drawn.sum()),
        }

    def _whole_caption(
        self, unrolled: Unrolled, log_likelihood: Tensor, lengths: Tensor, drawn: Tensor, steps: int
    ) -> tuple[Tensor, dict[str, Mean]]:
        location = unrolled.location
        assert location is not None
        by_caption = partial(
            sum_by_caption,
            places=unrolled.places,
            captions=len(lengths),
            steps=steps,
        )
        sampled = by_caption(drawn.to(log_likelihood.dtype)) > 0
        rewards = by_caption(log_likelihood)
        reward = rewards[sampled]
        both = torch.stack([reward.detach().sum(), reward.new_tensor(len(reward))])
        total, count = self.processes.total(both)
        mean = total / count
        baseline = torch.where(self.baseline.isnan(), mean, self.baseline)
        self.baseline.copy_(moving_baseline(baseline, mean))
        if self.config.baseline == "leave_one_out":
            baseline = self._leave_one_out(rewards)[sampled]
        terms = self._terms(
            reward,
            by_caption(location.log_prob)[sampled],
            by_caption(location.entropy)[sampled],
            baseline,
        )
        share = len(reward) / int((lengths > 0).sum())  # the others are on the expected context
        return terms * share, {"reinforce_reward": Mean(reward.mean(), len(reward))}

    def _reward_to_go(
        self, unrolled: Unrolled, log_likelihood: Tensor, lengths: Tensor, drawn: Tensor, steps: int
    ) -> tuple[Tensor, dict[str, Mean]]:
        location, places = unrolled.location, unrolled.places
        assert location is not None
        table = log_likelihood.new_zeros(len(lengths) * steps).index_copy(0, places, log_likelihood)
        table = table.view(-1, steps)
        table = table.flip(1).cumsum(1).flip(1)
        to_go = table.flatten()[places][drawn]
        left = (lengths[places // steps] - places % steps)[drawn]
        count = torch.bincount(left, minlength=len(self.baseline)).to(to_go)
        total = torch.zeros_like(count).index_add(0, left, to_go)
        total, count = self.processes.total(torch.stack([total, count]))
        mean = total / count
        baseline = torch.where(self.baseline.isnan(), mean, self.baseline)
        moved = 0.9 * baseline + 0.1 * mean
        self.baseline.copy_(torch.where(count > 0, moved, baseline))
        if self.config.baseline == "leave_one_out":
            baselines = self._leave_one_out(table).flatten()[places][drawn]
        else:
            baselines = baseline[left]
        terms = self._terms(to_go, location.log_prob[drawn], location.entropy[drawn], baselines)
        captions = int((lengths > 0).sum())
        share = len(to_go) / captions
        return terms * share, {"reinforce_reward": Mean(to_go.mean(), len(to_go))}

    def _leave_one_out(self, rewards: Tensor) -> Tensor:
        """Return the mean of the other samples of the same caption; shapes stay, (N,) or (N, T)."""
        samples = self.config.samples
        each = rewards.view(-1, samples, *rewards.shape[1:])
        mean = (each.sum(1, keepdim=True) - each) / (samples - 1)
        return mean.view_as(rewards)

    def _terms(self, reward: Tensor, log_prob: Tensor, entropy: Tensor, baseline: Tensor) -> Tensor:
        if not len(reward):  # this process has drawn none
            return reward.new_zeros(())
        return reinforce(
            reward,
            log_prob,
            entropy,
            baseline=baseline,
            reinforce_weight=self.config.reinforce_weight,
            entropy_weight=self.config.entropy_weight,
        )
