"""What training makes small.

Shapes: `M` words of all captions together, `N` captions, `V` vocabulary, `T` steps.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["WordLoss", "moving_baseline", "reinforce", "sum_by_caption", "word_loss"]


class WordLoss(NamedTuple):
    """Sums over words: `loss` (smoothed), `cross_entropy` in nats, `top5` hits; `words` of them.

    `log_likelihood` (M,) is of each word. Only `loss` has a gradient.
    """

    loss: Tensor
    cross_entropy: Tensor
    top5: Tensor
    words: int
    log_likelihood: Tensor

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
    each = F.cross_entropy(scores, targets, reduction="none")
    loss = each.sum()
    if label_smoothing:
        loss = F.cross_entropy(scores, targets, reduction="sum", label_smoothing=label_smoothing)
    with torch.no_grad():
        best = scores.topk(min(5, scores.shape[1]), dim=1).indices
        top5 = (best == targets.unsqueeze(1)).any(1).sum()
    each = each.detach()
    return WordLoss(loss, each.sum(), top5, len(targets), -each)


# --- hard attention


def sum_by_caption(values: Tensor, places: Tensor, *, captions: int, steps: int) -> Tensor:
    """Add up what belongs to the words of a caption.

    Args:
        values: of each word, (M,).
        places: where each stands in the flattened (captions, steps), (M,); see `unroll`.
        captions: how many, `N`, those without a word included.
        steps: `T`.

    Returns:
        The sums, (N,).
    """
    return values.new_zeros(captions).index_add(0, places // steps, values)


def reinforce(
    log_likelihood: Tensor,
    log_prob: Tensor,
    entropy: Tensor,
    *,
    baseline: Tensor | float = 0.0,
    reinforce_weight: float = 1.0,
    entropy_weight: float = 0.0,
) -> Tensor:
    """Return a loss whose gradient is REINFORCE's; its value means nothing.

    With places `s~n` sampled for `N` captions (several samples of one caption count as so many),

        1/N sum_n [ d log p(y|s~n)/dW + lambda_r (log p(y|s~n) - b) d log p(s~n)/dW
                    + lambda_e dH[s~n]/dW ]

    with its sign changed, because losses are made small. The middle term is what teaches attention
    where to look: a place that made the caption likelier than `b` becomes likelier itself. With
    `lambda_r = 1`, `lambda_e = 0` and a `b` that does not depend on these samples, the expectation
    of the gradient is that of `E_s[log p(y|s)]`.

    Args:
        log_likelihood: `log p(y|s~)`, a caption's words together, (N,) or any other shape.
        log_prob: `log p(s~)`, its places together, likewise; zero where nothing was sampled.
        entropy: `H[s~]`, likewise.
        baseline: `b`, see `moving_baseline`.
        reinforce_weight: `lambda_r`.
        entropy_weight: `lambda_e`.

    Source: Xu et al. 2015 (arXiv 1502.03044), section 4.1, equations 11 and 12; Williams 1992.
    """
    advantage = (log_likelihood - baseline).detach()
    gains = log_likelihood + reinforce_weight * advantage * log_prob + entropy_weight * entropy
    return -gains.mean()


def moving_baseline(baseline: Tensor, log_likelihood: Tensor) -> Tensor:
    """Move on by a batch: `b_k = 0.9 b_{k-1} + 0.1 log p(y|s~_k)`, averaged over its captions.

    Judge a batch by the baseline of those before it, `b_{k-1}`: one that knows the samples it is
    subtracted from would bias the gradient.

    Args:
        baseline: `b_{k-1}`, a scalar; zero at first.
        log_likelihood: `log p(y|s~_k)`, (N,) or any other shape.

    Source: Xu et al. 2015 (arXiv 1502.03044), section 4.1.
    """
    return 0.9 * baseline + 0.1 * log_likelihood.detach().mean()
