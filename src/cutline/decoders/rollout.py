"""Captions that a decoder makes up while it trains: drawn word by word, with a gradient.

What self-critical training rewards (Rennie et al. 2017, arXiv 1612.00563, section 3).

Shapes: `B` images, `N = B * K` captions of which number `n` belongs to image `n // K`, `T` words.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from cutline.decoders.contract import Decoder, Location, repeat_rows
from cutline.decoders.deferred import deferred_gradients
from cutline.decoders.own_words import draw_words
from cutline.functional import Features
from cutline.search import Words

__all__ = ["Rollout", "rollout"]


class Rollout(NamedTuple):
    """Drawn captions.

    `words` (N, T): `<end>` and whatever would follow it is `<end>`.
    `lengths` (N,): words that count, the `<end>` included where there is one.
    `log_probs` (N, T): of the words, with a gradient; zero past the end.
    `location_log_probs` and `location_entropies` (N, T), likewise, if the decoder draws places.
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
        decoder: any decoder; in training it drops units and draws places as it does in training.
        features: of `B` images.
        words: which numbers are special.
        max_words: longest caption, its `<end>` included.
        samples: captions of each image, `K`.
    """
    memory = decoder.prepare(features)
    state = repeat_rows(decoder.start(memory), samples)
    rows = len(features.grid) * samples
    said = torch.full((rows,), words.start, device=features.grid.device)
    speaking = torch.ones_like(said, dtype=torch.bool)
    all_words: list[Tensor] = []
    all_speaking: list[Tensor] = []
    all_log_probs: list[Tensor] = []
    locations: list[Location] = []
    with deferred_gradients(decoder) as going:
        while len(all_words) < max_words and bool(speaking.any()):
            still = None if bool(speaking.all()) else speaking.nonzero()[:, 0]
            going.tell(still, among=rows)
            step = decoder.step(said, state, memory)
            state = step.state
            drawn, log_probs = draw_words(decoder, step.output, words.banned)
            said = drawn.where(speaking, words.end)
            all_words.append(said)
            all_speaking.append(speaking)
            all_log_probs.append(log_probs)
            if step.location is not None:
                locations.append(step.location)
            speaking = speaking & (said != words.end)
    counted = torch.stack(all_speaking, 1)

    def of_counted(values: list[Tensor]) -> Tensor:
        return torch.stack(values, 1).masked_fill(~counted, 0)

    return Rollout(
        torch.stack(all_words, 1),
        counted.sum(1),
        of_counted(all_log_probs),
        of_counted([place.log_prob for place in locations]) if locations else None,
        of_counted([place.entropy for place in locations]) if locations else None,
    )
