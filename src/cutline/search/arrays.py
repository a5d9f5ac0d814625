"""The seam between search and whatever computes the scores.

Search keeps its own small tables in numpy. What it needs of the big arrays is these four
operations, so that the same search drives PyTorch on any device and ONNX Runtime without PyTorch.

Shapes: `N` captions, `V` vocabulary.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LET_GO",
    "NUMPY",
    "Arrays",
    "Flags",
    "Floats",
    "Ints",
    "NumpyArrays",
    "Scored",
    "Step",
    "let_go",
]

LET_GO = 0.75  # images that are done are let go of when no more than this share goes on

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Scored(NamedTuple):
    """What a step gives: `scores` (N, V), not normalised, the next state, and where it looked.

    `attention` is (N, R) and `sentinel` (N,), each may be absent.
    """

    scores: Any
    state: Any
    attention: Any = None
    sentinel: Any = None


class Step(Protocol):
    """A decoder as search sees it: words (N,) and a state in, scores and a state out.

    `N` is a multiple of the number of images, and caption `n` belongs to image `n // (N / B)`.
    """

    def __call__(self, words: Ints, state: Any) -> Scored:
        """Read `words` (N,) in `state`."""


def let_go(step: Step, places: Ints, *, of: int) -> Step | None:
    """Return what steps the images at these places only, if that is worth it and can be had.

    A step that can has a method `keep(places)`, which returns the new one.
    """
    keep = getattr(step, "keep", None)
    if keep is None or not 0 < len(places) <= LET_GO * of:
        return None
    fewer: Step = keep(places)
    return fewer


class Arrays(Protocol):
    """Operations on a backend's arrays."""

    def top(self, scores: Any, k: int, banned: Ints) -> tuple[Floats, Ints]:
        """Return the `k` best log-probabilities and words of each row, best first, (N, k) both."""

    def log_probs(self, scores: Any, banned: Ints) -> Floats:
        """Return all log-probabilities (N, V), minus infinity for banned words."""

    def take(self, state: Any, rows: Ints) -> Any:
        """Return the state with these rows, repeats allowed."""

    def numpy(self, array: Any) -> Floats:
        """Return a small array as numpy."""


class NumpyArrays:
    """`Arrays` for numpy; a state is a tuple of arrays, nested or not."""

    def top(self, scores: Any, k: int, banned: Ints) -> tuple[Floats, Ints]:
        """See `Arrays.top`; equal scores keep the order of the vocabulary."""
        log_probs = self.log_probs(scores, banned)
        words = np.argsort(-log_probs, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(log_probs, words, 1), words

    def log_probs(self, scores: Any, banned: Ints) -> Floats:
        """See `Arrays.log_probs`."""
        shifted = scores - scores.max(1, keepdims=True)
        log_probs: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        log_probs[:, banned] = -np.inf
        return log_probs

    def take(self, state: Any, rows: Ints) -> Any:
        """See `Arrays.take`."""
        if isinstance(state, np.ndarray):
            return state[rows]
        parts = [self.take(part, rows) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)

    def numpy(self, array: Any) -> Floats:
        """See `Arrays.numpy`."""
        return np.asarray(array)


NUMPY = NumpyArrays()
