"""What training makes small.

Shapes: `M` words of all captions together, `V` vocabulary, `T` steps, `R` regions.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["WordLoss", "word_loss"]


class WordLoss(NamedTuple):
    """Sums over words: `loss` (smoothed), `cross_entropy` in nats, `top5` hits; `words` of them."""

    loss: Tensor
    cross_entropy: Tensor
    top5: Tensor
    words: int

    @property
    def perplexity(self) -> Tensor:
        """Perplexity per word."""
        return (self.cross_entropy / self.words).exp()


def word_loss(scores: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> WordLoss:
    """Cross-entropy of real words, summed.

    Args:
        scores: not normalised, (M, V).
        targets: the words, (M,).
        label_smoothing: probability spread over the whole vocabulary (Szegedy et al. 2016).
    """
    cross_entropy = F.cross_entropy(scores, targets, reduction="sum")
    loss = cross_entropy
    if label_smoothing:
        loss = F.cross_entropy(scores, targets, reduction="sum", label_smoothing=label_smoothing)
    with torch.no_grad():
        best = scores.topk(min(5, scores.shape[1]), dim=1).indices
        top5 = (best == targets.unsqueeze(1)).any(1).sum()
    return WordLoss(loss, cross_entropy.detach(), top5, len(targets))
