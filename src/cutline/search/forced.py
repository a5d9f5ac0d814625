"""Log-probabilities of given captions, by teacher forcing.

Shapes: `N` captions, `T` words.
"""

from typing import Any

import numpy as np

from cutline.search.arrays import NUMPY, Arrays, Floats, Ints, Step
from cutline.search.words import Words

__all__ = ["forced_log_probs"]


def forced_log_probs(
    step: Step,
    state: Any,
    captions: Ints,
    *,
    words: Words,
    arrays: Arrays = NUMPY,
) -> Floats:
    """Return the log-probability of each word of given captions, after the words before it.

    Args:
        step: the decoder, see `Step`.
        state: its state before the first word, `N` rows.
        captions: numbers of the words, (N, T), without `<start>`; what follows a caption's end is
            scored too, and is for the caller to leave out.
        words: which numbers are special; the banned ones have probability 0.
        arrays: operations of the backend that `step` computes with.

    Returns:
        (N, T).
    """
    current = np.full(len(captions), words.start)
    found = np.empty(captions.shape)
    for t, following in enumerate(captions.T):
        scored = step(current, state)
        log_probs = arrays.log_probs(scored.scores, words.banned)
        found[:, t] = np.take_along_axis(log_probs, following[:, None], 1)[:, 0]
        state, current = scored.state, following
    return found
