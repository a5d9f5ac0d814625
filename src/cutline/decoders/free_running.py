"""Free running: a decoder reads the words that it draws itself.

What self-critical training rewards (Rennie et al. 2017, arXiv 1612.00563, section 3), and what
scheduled sampling mixes in (`teacher_forcing`).

Shapes: `B` images, `N = B * K` captions of which number `n` belongs to image `n // K`, `T` words,
`V` vocabulary, `O` output size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, Location, repeat_rows
from cutline.functional import Features
from cutline.search import Words
from cutline.search.arrays import Ints

__all__ = ["Rollout", "draw_words", "rollout"]


class Rollout(NamedTuple):
    """Drawn captions.

    `words` (N, T): `<end>` and whatever would follow it is `<end>`.
    `lengths` (N,): words that count, the `<end>` included where there is one.
    `log_probs` (N, T): of the words, with a gradient; zero past the end.
    `location_log_probs` and `location_entropies` (N, T), likewise, if the decoder samples regions.
    """

    words: Tensor
    lengths: Tensor
    log_probs: Tensor
    location_log_probs: Tensor | None = None
    location_entropies: Tensor | None = None


def rollout(
    decoder: Decoder, features: Features, *, words: Words, max_words: int, samples: int = 1
) -> Rollout:
    """Draw `samples` captions of each image, in one pass, until all have ended.

    Args:
        decoder: any decoder; in training its dropout and its sampling of regions are on.
        features: of `B` images.
        words: which numbers are special.
        max_words: longest caption, its `<end>` included.
        samples: captions of each image, `K`.
    """
    memory = decoder.prepare(features)
    state = repeat_rows(decoder.start(memory), samples)
    rows = features.grid.shape[0] * samples
    drawn = torch.full((rows,), words.start, device=features.grid.device)
    unfinished = torch.ones_like(drawn, dtype=torch.bool)
    all_words: list[Tensor] = []
    masks: list[Tensor] = []
    all_log_probs: list[Tensor] = []
    locations: list[Location] = []
    while len(all_words) < max_words and bool(unfinished.any()):
        step = decoder.step(drawn, state, memory)
        state = step.state
        drawn, log_probs = draw_words(decoder, step.output, words.banned)
        drawn = drawn.where(unfinished, words.end)
        all_words.append(drawn)
        masks.append(unfinished)
        all_log_probs.append(log_probs)
        if step.location is not None:
            locations.append(step.location)
        unfinished = unfinished & (drawn != words.end)
    mask = torch.stack(masks, 1)

    def masked(values: list[Tensor]) -> Tensor:
        return torch.stack(values, 1).masked_fill(~mask, 0)

    return Rollout(
        torch.stack(all_words, 1),
        mask.sum(1),
        masked(all_log_probs),
        masked([location.log_prob for location in locations]) if locations else None,
        masked([location.entropy for location in locations]) if locations else None,
    )


def draw_words(
    decoder: Decoder, output: Tensor, banned: Sequence[int] | Ints
) -> tuple[Tensor, Tensor]:
    """Draw a word for each output (N, O) from `softmax(project(output))` without the `banned`.

    Returns:
        The words (N,) and their log-probabilities (N,), which carry a gradient.
    """
    logits = decoder.project(output)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    never = torch.as_tensor(banned, dtype=torch.long, device=logits.device)
    log_probs = F.log_softmax(logits.index_fill(1, never, -torch.inf), dim=1)
    words = log_probs.detach().exp().multinomial(1)
    return words[:, 0], log_probs.gather(1, words)[:, 0]
