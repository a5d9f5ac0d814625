"""Array operations and step protocol of a search.

Search keeps its own small tables in numpy. What it needs of the big arrays is these four
operations, so that the same search drives PyTorch on any device and ONNX Runtime without PyTorch.

Shapes: `N` captions, `V` vocabulary.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NUMPY",
    "SHRINK",
    "Arrays",
    "Flags",
    "Floats",
    "Ints",
    "NumpyArrays",
    "Scored",
    "SelectableStep",
    "Step",
    "shrink",
]

SHRINK = 0.75  # a batch is made smaller when no more than this share of its images is open

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Scored(NamedTuple):
    """Output of a step: `scores` (N, V), not normalised, the next state, the attention.

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


@runtime_checkable
class SelectableStep(Step, Protocol):
    """A step of which a batch of fewer images can be had, when the others are done."""

    def select(self, images: Ints, /) -> Step:
        """Return the step of these images only, by their number from 0 to `B - 1`."""


def shrink(step: Step, images: Ints, *, of: int) -> Step | None:
    """Return the step of these images only, if they are few enough and it can be had."""
    if not 0 < len(images) <= SHRINK * of or not isinstance(step, SelectableStep):
        return None
    return step.select(images)


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
