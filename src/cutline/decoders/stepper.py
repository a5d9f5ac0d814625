"""A PyTorch decoder as `cutline.search` sees it.

Shapes: `N` captions, `V` vocabulary.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders.contract import Decoder, take_rows
from cutline.functional import Features
from cutline.search import Scored
from cutline.search.arrays import Floats, Ints

__all__ = ["TORCH", "Stepper", "TorchArrays"]


class Stepper:
    """The step callable of one batch of images: prepared once, then stepped by any search."""

    def __init__(self, decoder: Decoder, features: Features) -> None:
        self.decoder = decoder
        self.memory = decoder.prepare(features)
        self.state = decoder.start(self.memory)
        self.device = features.grid.device

    def keep(self, places: Ints) -> "Stepper":
        """Return a step of the images at these places only."""
        fewer = copy.copy(self)
        fewer.memory = take_rows(self.memory, torch.from_numpy(places).to(self.device))
        return fewer

    def __call__(self, words: Ints, state: Any) -> Scored:
        """Read `words` (N,) in `state`; see `cutline.search.Step`."""
        step = self.decoder.step(torch.from_numpy(words).to(self.device), state, self.memory)
        scores = self.decoder.project(step.output)
        return Scored(scores, step.state, step.attention, step.sentinel)


class TorchArrays:
    """`cutline.search.Arrays` for tensors on any device."""

    def top(self, scores: Tensor, k: int, banned: Ints) -> tuple[Floats, Ints]:
        """See `Arrays.top`."""
        best, words = best_words(self._masked(scores, banned), min(k, scores.shape[1]))
        return best.numpy(force=True), words.numpy(force=True)

    def log_probs(self, scores: Tensor, banned: Ints) -> Floats:
        """See `Arrays.log_probs`."""
        all_log_probs: Floats = self._masked(scores, banned).numpy(force=True)
        return all_log_probs

    def take(self, state: Any, rows: Ints) -> Any:
        """See `Arrays.take`."""
        first = state
        while not isinstance(first, Tensor):
            first = first[0]
        return take_rows(state, torch.from_numpy(rows).to(first.device))

    def numpy(self, array: Tensor) -> Floats:
        """See `Arrays.numpy`."""
        # NumPy has no bfloat16, which mixed precision may have made
        known = array.float() if array.dtype == torch.bfloat16 else array
        small: Floats = known.numpy(force=True)
        return small

    def _masked(self, scores: Tensor, banned: Ints) -> Tensor:
        log_probs = F.log_softmax(scores.float(), dim=1)
        log_probs[:, torch.from_numpy(banned)] = -np.inf
        return log_probs


TORCH = TorchArrays()

GROUP = 64  # words
FEW = 1 << 16  # scores that are sorted as fast as grouped


def best_words(log_probs: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the `k` largest of each row (N, V) and their places, best first.

    They are in the `k` groups with the largest maxima: to find those first is several times as fast
    as to sort all words.
    """
    groups = log_probs.shape[1] // GROUP
    if groups <= 2 * k or log_probs.numel() < FEW:
        return tuple(log_probs.topk(k, dim=1))  # type: ignore[return-value]
    grouped = log_probs.narrow(1, 0, groups * GROUP).view(len(log_probs), groups, GROUP)
    chosen = grouped.amax(2).topk(k, dim=1).indices
    word = torch.arange(log_probs.shape[1], device=log_probs.device)
    among = (chosen.unsqueeze(2) * GROUP + word[:GROUP]).flatten(1)
    rest = word[groups * GROUP :].expand(len(log_probs), -1)
    places = torch.cat([among, rest], 1)
    best, found = log_probs.gather(1, places).topk(k, dim=1)
    return best, places.gather(1, found)
