"""Losses of captions: cross-entropy over time, the doubly stochastic attention penalty.

Shapes: `N` captions, `T` time steps, `V` vocabulary, `R` regions.
"""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["doubly_stochastic_penalty", "temporal_softmax_loss"]


def temporal_softmax_loss(scores: Tensor, targets: Tensor, ignore_index: int) -> Tensor:
    """Cross-entropy of captions: summed over time, averaged over captions.

    `L = -1/N sum_n sum_t log softmax(scores_nt)[target_nt]`, without the targets to be ignored.

    Args:
        scores: not normalised, (N, T, V).
        targets: the words, (N, T).
        ignore_index: the target that does not count, such as the number of `<pad>`.

    Returns:
        A scalar.

    Source: Vinyals et al. 2015 (arXiv 1411.4555), equation 13, averaged over captions.
    """
    summed = F.cross_entropy(
        scores.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="sum"
    )
    return summed / scores.shape[0]


def doubly_stochastic_penalty(weights: Tensor, lengths: Tensor) -> Tensor:
    """Doubly stochastic attention penalty: mean over captions of `sum_i (1 - sum_t alpha_ti)^2`.

    Args:
        weights: attention, (N, T, R).
        lengths: number of steps that count for each caption, (N,); later steps are left out.

    Returns:
        A scalar.

    Source: Xu et al. 2015 (arXiv 1502.03044), section 4.2.1, equation 14.
    """
    steps = weights.new_ones(weights.shape[1]).cumsum(0) - 1
    counted = (steps < lengths.unsqueeze(1)).to(weights.dtype)
    looked = (weights * counted.unsqueeze(-1)).sum(1)
    return (1 - looked).square().sum(1).mean()
