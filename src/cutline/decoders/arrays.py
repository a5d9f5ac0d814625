"""A PyTorch decoder's arrays, as `cutline.search` handles them.

Shapes: `N` captions, `V` vocabulary.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cutline.decoders.contract import take_rows
from cutline.search.arrays import Floats, Ints

__all__ = ["TORCH", "TorchArrays"]


class TorchArrays:
    """`cutline.search.Arrays` for tensors on any device."""

    def top(self, scores: Tensor, k: int, banned: Ints) -> tuple[Floats, Ints]:
        """See `Arrays.top`."""
        log_probs = self._masked(scores, banned)
        best, words = log_probs.topk(min(k, log_probs.shape[1]), dim=1)
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
