"""Training losses: cross-entropy, REINFORCE, baselines.

Shapes: `M` words of all captions together, of `Q` predictions; `N` captions, `V` vocabulary, `T`
steps.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cutline.compiled import compiled_instead_of

__all__ = ["WordLoss", "moving_baseline", "reinforce", "sum_by_caption", "word_loss"]

TOP = 5
PIECE = 1 << 18  # scores at a time: a megabyte
LARGE = 1 << 27  # on a GPU


class WordLoss(NamedTuple):
    """Sums over words: `loss` (smoothed), `cross_entropy` in nats, `top5` hits; `words` of them.

    `log_likelihood` (M,) is of each word. Only `loss` has a gradient, and it is divided by `per`.
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


def word_loss(
    scores: Tensor,
    targets: Tensor,
    *,
    rows: Tensor | None = None,
    label_smoothing: float = 0.0,
    per: int = 1,
) -> WordLoss:
    """Cross-entropy and top-5 hits of the real words of a batch, summed.

    Args:
        scores: not normalised, (Q, V).
        targets: the words, (M,).
        rows: the row of `scores` of each word, (M,), ascending, as in `Unrolled`; each row is
            that of at least one word. Without them each word has its own.
        label_smoothing: probability spread over the whole vocabulary (Szegedy et al. 2016).
        per: what `loss` is divided by, such as the number of captions. To divide later is the same,
            but goes through the gradient (Q, V) once more.
    """
    each, smooth, top5 = _CrossEntropy.apply(scores, targets, rows, label_smoothing, per)
    known = each.detach()
    return WordLoss(smooth, known.sum(), top5.sum(), len(targets), -known)


class _CrossEntropy(torch.autograd.Function):
    """`-log p` of words (M,), their smoothed sum, and top-5 hits (M,).

    Only the sum has a gradient, which is made on the way: `p - q`, `q` being the distribution of
    the smoothed target. Scores are gone through in pieces that stay in the processor's cache.
    """

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, targets: Tensor, rows: Tensor | None, smoothing: float, per: int
    ) -> Any:
        exact = scores.dtype if scores.dtype == torch.float64 else torch.float32
        each = scores.new_empty(len(targets), dtype=exact)
        hits = torch.empty_like(targets, dtype=torch.bool)
        total = each.new_zeros(())
        # a scaler of float16 gradients multiplies first, so that what is divided is not lost
        at_once, ctx.later = (1, per) if scores.dtype == torch.float16 else (per, 1)
        uniform, scale = each.new_tensor(smoothing / scores.shape[1]), each.new_tensor(1 / at_once)
        gradient = torch.empty_like(scores) if scores.requires_grad else None
        smooth, with_grad = smoothing > 0, gradient is not None
        for chosen, words, index in _chunks(scores, rows):
            target = targets[words].unsqueeze(1)
            logits = scores[chosen] if index is None else scores[chosen].index_select(0, index)
            each[words], rank, mean, grad = _negative_log_likelihood(
                logits, target, uniform, scale, smooth, with_grad
            )
            hits[words] = rank < TOP
            if mean is not None:
                total += smoothing * mean.sum()
            if gradient is not None:
                on_target = torch.full_like(target, -(1 - smoothing) / at_once, dtype=exact)
                grad.scatter_add_(1, target, on_target)
                if index is not None:
                    grad = grad.new_zeros(gradient[chosen].shape).index_add_(0, index, grad)
                gradient[chosen] = grad
        total += (1 - smoothing) * each.sum()
        ctx.gradient = gradient
        ctx.mark_non_differentiable(each, hits)
        return each, total / per, hits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor, grad: Tensor, __: Tensor) -> tuple[Tensor | None, ...]:
        grad = grad / ctx.later
        # reading `grad` would wait for a GPU; a gradient returned as it is must not be written to
        unscaled = grad.device.type == "cpu" and float(grad) == 1
        grad_scores = ctx.gradient if unscaled else ctx.gradient * grad.to(ctx.gradient.dtype)
        return grad_scores, None, None, None, None


def _chunks(scores: Tensor, rows: Tensor | None) -> Iterator[tuple[slice, slice, Tensor | None]]:
    """Yield slices of rows, the slice of their words, and the row of each word within the slice.

    The last is None where each word has its own.
    """
    total, size = scores.shape
    chunk = max(1, (PIECE if scores.device.type == "cpu" else LARGE) // size)
    slices = [slice(first, min(first + chunk, total)) for first in range(0, total, chunk)]
    if rows is None or len(rows) == total:
        yield from ((chosen, chosen, None) for chosen in slices)
        return
    if len(slices) == 1:  # and a GPU is not waited for
        yield slices[0], slice(0, len(rows)), rows
        return
    ends = torch.searchsorted(rows, rows.new_tensor([chosen.stop for chosen in slices])).tolist()
    for chosen, begin, end in zip(slices, [0, *ends], ends, strict=False):
        words = slice(begin, end)
        one_each = end - begin == chosen.stop - chosen.start
        yield chosen, words, None if one_each else rows[words] - chosen.start


Likelihoods = tuple[Tensor, Tensor, Tensor | None, Any]


def _negative_log_likelihood_plain(
    scores: Tensor, target: Tensor, uniform: Tensor, scale: Tensor, smooth: bool, with_grad: bool
) -> Likelihoods:
    log_probs = F.log_softmax(scores, dim=1, dtype=uniform.dtype)
    return (
        -log_probs.gather(1, target)[:, 0],
        (scores > scores.gather(1, target)).sum(1),
        -log_probs.mean(1) if smooth else None,
        log_probs.exp_().sub_(uniform).mul_(scale) if with_grad else None,
    )


@compiled_instead_of(_negative_log_likelihood_plain)
def _negative_log_likelihood(
    scores: Tensor, target: Tensor, uniform: Tensor, scale: Tensor, smooth: bool, with_grad: bool
) -> Likelihoods:
    """`-log p` of the target, its rank from 0; the mean of `-log p`; `p - uniform`.

    (M,) but for the last, (M, V); scores (M, V), targets (M, 1), `uniform` and a `scale` of the
    last scalars of the type to compute in. The last two are None if not needed.
    """
    scores = scores.to(uniform.dtype)
    known = scores.gather(1, target)
    largest = scores.amax(1, keepdim=True)
    probs = (scores - largest).exp()
    total = probs.sum(1, keepdim=True)
    return (
        (total.log() - (known - largest))[:, 0],
        (scores > known).sum(1),
        (total.log() - (scores - largest).mean(1, keepdim=True))[:, 0] if smooth else None,
        (probs / total - uniform) * scale if with_grad else None,
    )


# --- hard attention


def sum_by_caption(values: Tensor, places: Tensor, *, captions: int, steps: int) -> Tensor:
    """Sum values of words over each caption.

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
    """Update the baseline: `b_k = 0.9 b_{k-1} + 0.1 log p(y|s~_k)`, averaged over the batch.

    Judge a batch by the baseline of those before it, `b_{k-1}`: one that knows the samples it is
    subtracted from would bias the gradient.

    Args:
        baseline: `b_{k-1}`, a scalar; zero at first.
        log_likelihood: `log p(y|s~_k)`, (N,) or any other shape.

    Source: Xu et al. 2015 (arXiv 1502.03044), section 4.1.
    """
    return 0.9 * baseline + 0.1 * log_likelihood.detach().mean()
