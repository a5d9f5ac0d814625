"""Words drawn from what a decoder itself predicts.

Shapes: `N` captions, `V` vocabulary, `O` output size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders.contract import Decoder
from cutline.search.arrays import Ints

__all__ = ["draw_words"]


def draw_words(
    decoder: Decoder, output: Tensor, banned: Sequence[int] | Ints
) -> tuple[Tensor, Tensor]:
    """Draw a word for each output (N, O) from `softmax(project(output))` without the `banned`.

    Returns:
        The words (N,) and their log-probabilities (N,), which carry a gradient.
    """
    scores = decoder.project(output)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    never = torch.as_tensor(banned, dtype=torch.long, device=scores.device)
    log_probs = F.log_softmax(scores.index_fill(1, never, -torch.inf), dim=1)
    words = log_probs.detach().exp().multinomial(1)
    return words[:, 0], log_probs.gather(1, words)[:, 0]
