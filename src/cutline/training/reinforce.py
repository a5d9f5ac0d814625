"""How hard attention learns where to look, with the baselines that this takes.

Xu et al. 2015 (arXiv 1502.03044), section 4.1; see `cutline.losses.reinforce`.

Shapes: `B` images, `K` captions an image, `N = B * K`, `T` steps, `M` real words of all captions.
"""

from functools import partial

import torch
from torch import Tensor, nn

from cutline.config import HardConfig
from cutline.decoders import Unrolled
from cutline.losses import moving_baseline, reinforce, sum_by_caption

__all__ = ["Reinforce"]


class Reinforce(nn.Module):
    """The two terms of REINFORCE, of whole captions or of the words that are left.

    What a place is judged by, `decoder.credit`:

    `caption` is the paper's: the log-probability of the whole caption, against one moving average.
    `future` leaves out the words before it, which it cannot have changed, and has a moving average
    for each number of words that are left.

    And against what, `decoder.baseline`: `moving` is that average; `others` is the mean of what the
    other samples of the same caption reached, on the expected context or drawn (Kool et al. 2019,
    "Buy 4 REINFORCE samples, get a baseline for free!"). None depends on the places that it judges,
    so the estimator stays unbiased, and its variance falls.
    """

    baseline: Tensor

    def __init__(self, config: HardConfig, max_words: int) -> None:
        super().__init__()
        self.config = config
        # no average before the first batch, which is judged by its own mean
        size = (max_words + 2,) if config.credit == "future" else ()
        self.register_buffer("baseline", torch.full(size, torch.nan))

    def forward(
        self, unrolled: Unrolled, log_likelihood: Tensor, lengths: Tensor, *, steps: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
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
        if not drawn.any():
            return log_prob.new_zeros(()), {}
        judge = self._whole if self.config.credit == "caption" else self._future
        terms, figures = judge(unrolled, log_likelihood, lengths.flatten(), drawn, steps)
        return terms, {
            **figures,
            "reinforce_baseline": self.baseline.nanmean(),
            "attention_entropy": entropy.sum().detach() / drawn.sum(),
        }

    def _whole(
        self,
        unrolled: Unrolled,
        log_likelihood: Tensor,
        lengths: Tensor,
        drawn: Tensor,
        steps: int,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        location = unrolled.location
        assert location is not None
        by_caption = partial(
            sum_by_caption,
            places=unrolled.places,
            captions=len(lengths),
            steps=steps,
        )
        sampled = by_caption(drawn.to(log_likelihood.dtype)) > 0
        reached = by_caption(log_likelihood)
        judged = reached[sampled]
        baseline = torch.where(self.baseline.isnan(), judged.mean(), self.baseline)
        self.baseline.copy_(moving_baseline(baseline, judged))
        if self.config.baseline == "others":
            baseline = self._others(reached)[sampled]
        terms = self._terms(
            judged,
            by_caption(location.log_prob)[sampled],
            by_caption(location.entropy)[sampled],
            baseline,
        )
        share = len(judged) / int((lengths > 0).sum())  # the others are on the expected context
        return terms * share, {"reinforce_reward": judged.mean()}

    def _future(
        self,
        unrolled: Unrolled,
        log_likelihood: Tensor,
        lengths: Tensor,
        drawn: Tensor,
        steps: int,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        location, places = unrolled.location, unrolled.places
        assert location is not None
        table = log_likelihood.new_zeros(len(lengths) * steps).index_copy(0, places, log_likelihood)
        table = table.view(-1, steps)
        table = table.flip(1).cumsum(1).flip(1)
        ahead = table.flatten()[places][drawn]
        left = (lengths[places // steps] - places % steps)[drawn]
        seen = torch.bincount(left, minlength=len(self.baseline))
        mean = torch.zeros_like(self.baseline).index_add(0, left, ahead) / seen
        baseline = torch.where(self.baseline.isnan(), mean, self.baseline)
        moved = 0.9 * baseline + 0.1 * mean
        self.baseline.copy_(torch.where(seen > 0, moved, baseline))
        if self.config.baseline == "others":
            against = self._others(table).flatten()[places][drawn]
        else:
            against = baseline[left]
        terms = self._terms(ahead, location.log_prob[drawn], location.entropy[drawn], against)
        captions = int((lengths > 0).sum())
        return terms * (len(ahead) / captions), {"reinforce_reward": ahead.mean()}

    def _others(self, reached: Tensor) -> Tensor:
        """Return the mean of the other samples of the same caption; shapes stay, (N,) or (N, T)."""
        samples = self.config.samples
        each = reached.view(-1, samples, *reached.shape[1:])
        others = (each.sum(1, keepdim=True) - each) / (samples - 1)
        return others.view_as(reached)

    def _terms(self, judged: Tensor, log_prob: Tensor, entropy: Tensor, baseline: Tensor) -> Tensor:
        return reinforce(
            judged,
            log_prob,
            entropy,
            baseline=baseline,
            reinforce_weight=self.config.reinforce_weight,
            entropy_weight=self.config.entropy_weight,
        )
