"""The best words of many, and scores that are exact where it counts.

Shapes: `N` captions, `O` output size, `V` vocabulary.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.functional.products import Product

__all__ = ["Rough", "best_words", "exact_where_best"]

GROUP = 64  # words
FEW = 1 << 16  # scores that are sorted as fast as grouped
EXACT = 8  # words: of a beam of five, and three that are banned


class Rough(NamedTuple):
    """Scores (N, V) of low precision, and beside them the best `words` of each row, `exact`ly.

    In a beam wider than five, words beyond the `EXACT` best count with their rough scores.
    """

    scores: Tensor
    words: Tensor
    exact: Tensor

    def whole(self) -> Tensor:
        """Return all scores, the exact ones in their places."""
        return self.scores.scatter(1, self.words, self.exact)

    def top(self, k: int, banned: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the `k` best log-probabilities and words, or None: too few are exact."""
        if k + len(banned) > self.words.shape[1]:
            return None
        rough = F.log_softmax(self.scores, 1).gather(1, self.words)
        log_probs = rough + (self.exact - self.scores.gather(1, self.words))
        rest = (1 - rough.exp().sum(1, keepdim=True)).clamp_min(0)
        log_probs -= (rest + log_probs.exp().sum(1, keepdim=True)).log()
        log_probs[(self.words.unsqueeze(2) == banned).any(2)] = -torch.inf
        best, places = log_probs.topk(k, dim=1)
        return best, self.words.gather(1, places)


def exact_where_best(rough: Product, weight: Tensor, bias: Tensor) -> Callable[[Tensor], Rough]:
    """Make rough scores of all words, and multiply the best with the weight (V, O) as it is.

    Rounded scores make near words equal, and captions change. In the sum over all words errors even
    out.
    """

    def product(x: Tensor) -> Rough:
        scores = rough(x)
        words = best_words(scores, min(EXACT, len(weight)))[1]
        exact = (F.embedding(words, weight) * x.unsqueeze(1)).sum(2) + bias[words]
        return Rough(scores, words, exact)

    return product


def best_words(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the `k` largest of each row (N, V) and their places, best first.

    They are in the `k` groups with the largest maxima: to find those first is several times as fast
    as to sort all words.
    """
    groups = scores.shape[1] // GROUP
    if groups <= 2 * k or scores.numel() < FEW:
        return tuple(scores.topk(k, dim=1))  # type: ignore[return-value]
    grouped = scores.narrow(1, 0, groups * GROUP).view(len(scores), groups, GROUP)
    chosen = grouped.amax(2).topk(k, dim=1).indices
    word = torch.arange(scores.shape[1], device=scores.device)
    among = (chosen.unsqueeze(2) * GROUP + word[:GROUP]).flatten(1)
    rest = word[groups * GROUP :].expand(len(scores), -1)
    places = torch.cat([among, rest], 1)
    best, found = scores.gather(1, places).topk(k, dim=1)
    return best, places.gather(1, found)
