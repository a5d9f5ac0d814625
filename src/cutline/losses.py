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
        rows: which of the scores are a word's, (M,), as in `Unrolled`: each are at least one
            word's, and none comes after that of the next word. Without them each word has its own.
        label_smoothing: probability spread over the whole vocabulary (Szegedy et al. 2016).
        per: what `loss` is divided by, such as the number of captions. To divide later is the same,
            but goes through the gradient (Q, V) once more.
    """
    each, smooth, top5 = _Surprise.apply(scores, targets, rows, label_smoothing, per)
    known = each.detach()
    return WordLoss(smooth, known.sum(), top5.sum(), len(targets), -known)


class _Surprise(torch.autograd.Function):
    """`-log p` of words (M,), their smoothed sum, and top-5 hits (M,).

    Only the sum has a gradient, which is made on the way: `p - q`, `q` being what the target and
    the smoothing ask for. Scores are gone through in pieces that stay in the processor's cache.
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
        even, scale = each.new_tensor(smoothing / scores.shape[1]), each.new_tensor(1 / at_once)
        gradient = torch.empty_like(scores) if scores.requires_grad else None
        smooth, learns = smoothing > 0, gradient is not None
        for some, said, alike in _pieces(scores, rows):
            target = targets[said].unsqueeze(1)
            judged = scores[some] if alike is None else scores[some].index_select(0, alike)
            each[said], above, mean, wanted = _surprises(
                judged, target, even, scale, smooth, learns
            )
            hits[said] = above < TOP
            if mean is not None:
                total += smoothing * mean.sum()
            if gradient is not None:
                asked = torch.full_like(target, -(1 - smoothing) / at_once, dtype=exact)
                wanted.scatter_add_(1, target, asked)
                if alike is not None:
                    wanted = wanted.new_zeros(gradient[some].shape).index_add_(0, alike, wanted)
                gradient[some] = wanted
        total += (1 - smoothing) * each.sum()
        ctx.gradient = gradient
        ctx.mark_non_differentiable(each, hits)
        return each, total / per, hits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor, grad: Tensor, __: Tensor) -> tuple[Tensor | None, ...]:
        grad = grad / ctx.later
        # to ask is to wait for a GPU; what is returned as it is nobody may write to
        as_it_is = grad.device.type == "cpu" and float(grad) == 1
        felt = ctx.gradient if as_it_is else ctx.gradient * grad.to(ctx.gradient.dtype)
        return felt, None, None, None, None


def _pieces(scores: Tensor, rows: Tensor | None) -> Iterator[tuple[slice, slice, Tensor | None]]:
    """Yield rows of scores, the words they are of, and whose of these rows each word's are.

    The last is None where each word has its own.
    """
    total, size = scores.shape
    piece = max(1, (PIECE if scores.device.type == "cpu" else LARGE) // size)
    somes = [slice(first, min(first + piece, total)) for first in range(0, total, piece)]
    if rows is None or len(rows) == total:
        yield from ((some, some, None) for some in somes)
        return
    if len(somes) == 1:  # and a GPU is not waited for
        yield somes[0], slice(0, len(rows)), rows
        return
    ends = torch.searchsorted(rows, rows.new_tensor([some.stop for some in somes])).tolist()
    for some, begun, ended in zip(somes, [0, *ends], ends, strict=False):
        said = slice(begun, ended)
        one_each = ended - begun == some.stop - some.start
        yield some, said, None if one_each else rows[said] - some.start


Surprises = tuple[Tensor, Tensor, Tensor | None, Any]


def _surprises_in_turn(
    scores: Tensor, target: Tensor, even: Tensor, scale: Tensor, smooth: bool, learns: bool
) -> Surprises:
    log_probs = F.log_softmax(scores, dim=1, dtype=even.dtype)
    return (
        -log_probs.gather(1, target)[:, 0],
        (scores > scores.gather(1, target)).sum(1),
        -log_probs.mean(1) if smooth else None,
        log_probs.exp_().sub_(even).mul_(scale) if learns else None,
    )


@compiled_instead_of(_surprises_in_turn)
def _surprises(
    scores: Tensor, target: Tensor, even: Tensor, scale: Tensor, smooth: bool, learns: bool
) -> Surprises:
    """`-log p` of the target, how many words score above it; the mean of `-log p`; `p - even`.

    (M,) but for the last, (M, V); scores (M, V), targets (M, 1), `even` and a `scale` of the last
    scalars of the type to compute in. The last two are there if they are asked for.
    """
    scores = scores.to(even.dtype)
    known = scores.gather(1, target)
    most = scores.amax(1, keepdim=True)
    shares = (scores - most).exp()
    total = shares.sum(1, keepdim=True)
    return (
        (total.log() - (known - most))[:, 0],
        (scores > known).sum(1),
        (total.log() - (scores - most).mean(1, keepdim=True))[:, 0] if smooth else None,
        (shares / total - even) * scale if learns else None,
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
