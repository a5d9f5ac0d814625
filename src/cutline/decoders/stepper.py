"""A PyTorch decoder as `cutline.search` sees it.

Shapes: `N` captions, `V` vocabulary.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders.best import Rough, best_words
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
        scores = self.decoder.rank(step.output)
        return Scored(scores, step.state, step.attention, step.sentinel)


class TorchArrays:
    """`cutline.search.Arrays` for tensors on any device."""

    def top(self, scores: Tensor | Rough, k: int, banned: Ints) -> tuple[Floats, Ints]:
        """See `Arrays.top`."""
        best = scores.top(k, torch.from_numpy(banned)) if isinstance(scores, Rough) else None
        if best is None:
            log_probs = self._masked(scores, banned)
            best = best_words(log_probs, min(k, log_probs.shape[1]))
        return best[0].numpy(force=True), best[1].numpy(force=True)

    def log_probs(self, scores: Tensor | Rough, banned: Ints) -> Floats:
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

    def _masked(self, scores: Tensor | Rough, banned: Ints) -> Tensor:
        every = scores.whole() if isinstance(scores, Rough) else scores
        log_probs = F.log_softmax(every.float(), dim=1)
        log_probs[:, torch.from_numpy(banned)] = -np.inf
        return log_probs


TORCH = TorchArrays()
